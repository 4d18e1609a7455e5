"""YAML values that know where they stand; no parsing here, and no knowledge of what a manifest holds.

Scalars are read as YAML 1.2 and JSON read them, since editors, Kubernetes and people do: `22:00` and `2026-11-01` are
text (YAML 1.1 makes a number and a date of them). What two readers would understand differently is marked as a trap.
"""

import re
from collections.abc import Sequence as Series
from dataclasses import dataclass, field

from reconciler.manifest.declared import Place

Plain = str | int | float | bool | None | list["Plain"] | dict[str, "Plain"]

_FIXED: dict[str, bool | None] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
# Booleans to YAML 1.1 (and so to kubectl), text to YAML 1.2 (and so to editors).
_TRAPS = {
    **dict.fromkeys(("yes", "Yes", "YES", "on", "On", "ON"), "true"),
    **dict.fromkeys(("no", "No", "NO", "off", "Off", "OFF"), "false"),
}
# At most 18 digits: what every JSON reader keeps exactly, and Python converts at once.
_WHOLE = re.compile(r"[-+]?(?:0|[1-9][0-9]{0,17})")
_REAL = re.compile(r"[-+]?(?:\.[0-9]{1,18}|[0-9]{1,18}(?:\.[0-9]{0,18})?)(?:[eE][-+]?[0-9]{1,3})?")
_OCTAL = re.compile(r"[-+]?0[0-9]+")


@dataclass(slots=True)
class Node:
    """Any value. `line` and `column` count from 0; `size` and `height` are those of its tree, aliases written out."""

    file: str
    line: int
    column: int
    size: int = field(default=1, init=False)
    height: int = field(default=1, init=False)

    @property
    def place(self) -> Place:
        """Where it stands, as people count."""
        return Place(self.file, self.line + 1, self.column + 1)


@dataclass(slots=True)
class Scalar(Node):
    """A single value: `text` as it is written, `value` as it is meant; `trap` says how readers differ about it."""

    text: str
    value: str | int | float | bool | None
    trap: str = ""


@dataclass(slots=True)
class Listing(Node):
    """A list."""

    items: list[Node] = field(default_factory=list)


@dataclass(slots=True)
class Group(Node):
    """A mapping; `keys` are the keys as they stand in the file."""

    items: dict[str, Node] = field(default_factory=dict)
    keys: dict[str, Scalar] = field(default_factory=dict)


def meaning(text: str) -> tuple[str | int | float | bool | None, str]:
    """What an unquoted scalar means, and what is treacherous about it, if anything."""
    if text in _FIXED:
        return _FIXED[text], ""
    if text in _TRAPS:
        return text, f"`{text}` is {_TRAPS[text]} in YAML 1.1 and text in YAML 1.2. Write true or false, or quote it."
    if text[0] not in "+-.0123456789":
        return text, ""
    if _WHOLE.fullmatch(text):
        return int(text), ""
    if _OCTAL.fullmatch(text):
        return (
            text,
            f"`{text[:20]}` is octal in YAML 1.1, decimal in YAML 1.2. Leave out the leading 0, or quote it.",
        )
    return (float(text) if _REAL.fullmatch(text) else text), ""


def plain(node: Node) -> Plain:
    """The value without its places."""
    if isinstance(node, Group):
        return {name: plain(inner) for name, inner in node.items.items()}
    if isinstance(node, Listing):
        return [plain(inner) for inner in node.items]
    return node.value if isinstance(node, Scalar) else None


def inner(node: Node | None, *path: str) -> Node | None:
    """The value at the end of `path`, if there is one."""
    for name in path:
        node = node.items.get(name) if isinstance(node, Group) else None
    return node


def locate(node: Node, path: Series[str | int], *, key: bool = False) -> tuple[Place, bool]:
    """Where `path` stands, and whether it is there; if not, the key of the innermost group around it.

    With `key` the place of the last name itself, not of its value.
    """
    mark = node
    for index, name in enumerate(path):
        if isinstance(node, Group) and name in node.items:
            mark, node = node.keys[str(name)], node.items[str(name)]
        elif isinstance(node, Listing) and isinstance(name, int) and name < len(node.items):
            mark = node = node.items[name]
        else:
            return (mark if index else node).place, False
    return (mark if key else node).place, True


def merged(below: Node | None, above: Node | None, path: tuple[str, ...] = ()) -> Node | None:
    """`above` laid over `below`, group by group; a null takes away what is below it.

    Logins are not mixed: a group `auth` that names its own method stands alone.
    """
    if not (isinstance(below, Group) and isinstance(above, Group)):
        return below if above is None else above
    if path == ("vault", "auth") and "method" in above.items:
        return above
    group = Group(above.file, above.line, above.column)
    group.keys = below.keys | above.keys
    group.items = below.items | above.items
    for name in below.items.keys() & above.items.keys():
        both = merged(below.items[name], above.items[name], (*path, name))
        if both is not None:
            group.items[name] = both
    return group
