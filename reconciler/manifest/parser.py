"""YAML text to nodes, within bounds; no file is opened here, and no manifest understood.

The parser's events are followed one by one, without recursion and without writing aliases out, so that no input costs
more than its bounds: deep nesting would exhaust the stack of a recursive composer, a few aliases the memory.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import NamedTuple

import yaml

from reconciler.manifest.declared import Place, Problem
from reconciler.manifest.nodes import Group, Listing, Node, Scalar, meaning

MOST_DOCUMENTS = 10_000  # in a file
MOST_NODES = 10_000  # in a document, aliases written out
MOST_NODES_IN_FILE = 250_000
DEEPEST = 32
LONGEST_KEY = 1024

_Loader: type[yaml.SafeLoader] | type["yaml.CSafeLoader"] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\x85\xa0-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_TAB = re.compile(r" *\t")


class _Mark(NamedTuple):
    """Counted from 0, as the parser counts."""

    line: int = 0
    column: int = 0


class _Stop(Exception):
    """Nothing more of this file can be read."""

    def __init__(self, mark: _Mark, message: str) -> None:
        super().__init__(message)
        self.mark = mark
        self.message = message


def documents(file: str, data: bytes) -> tuple[list[Node], list[Problem], bool]:
    """The file's documents (empty ones left out), all its problems, and whether it was read to its end."""
    builder = _Builder(file)
    try:
        builder.run(_decoded(data))
    except _Stop as stop:
        builder.note(stop.mark, stop.message)
        return builder.roots, builder.problems, False
    return builder.roots, builder.problems, True


def _decoded(data: bytes) -> str:
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        # From the bytes themselves: the codec's own count leaves out a byte order mark.
        at = error.start + (3 if data.startswith(b"\xef\xbb\xbf") else 0)
        before = data[:at].decode("utf-8-sig", errors="replace")
        mark = _mark_at(before, len(before))
        raise _Stop(mark, f"not UTF-8: byte 0x{data[at]:02x} at offset {at}. Save the file as UTF-8.") from None
    if bad := _FORBIDDEN.search(text):
        raise _Stop(_mark_at(text, bad.start()), f"the character U+{ord(bad[0]):04X} is not allowed in YAML.")
    return text


def _mark_at(text: str, index: int) -> _Mark:
    start = text.rfind("\n", 0, index) + 1
    return _Mark(text.count("\n", 0, index), index - start)


@dataclass(slots=True)
class _Open:
    """A group or list that is being read; `key` is the group's key that waits for its value."""

    node: Group | Listing
    anchor: str | None
    key: Scalar | None = None
    waiting: bool = False


@dataclass
class _Builder:
    file: str
    roots: list[Node] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)
    _stack: list[_Open] = field(default_factory=list)
    _anchors: dict[str, Node] = field(default_factory=dict)
    _count: int = 0
    _whole_count: int = 0
    _documents: int = 0

    def note(self, mark: _Mark | Scalar, message: str) -> None:
        """Note a problem."""
        self.problems.append(Problem(Place(self.file, mark.line + 1, mark.column + 1), message))

    def run(self, text: str) -> None:
        """Follow the events to the end."""
        for event in _events(text):
            # Most are scalars: this order is worth a quarter of the time.
            if isinstance(event, yaml.ScalarEvent):
                self._scalar(event)
            elif isinstance(event, yaml.MappingStartEvent):
                self._open(Group, event)
            elif isinstance(event, yaml.SequenceStartEvent):
                self._open(Listing, event)
            elif isinstance(event, yaml.CollectionEndEvent):
                self._close()
            elif isinstance(event, yaml.AliasEvent):
                self._alias(event)
            elif isinstance(event, yaml.DocumentStartEvent):
                self._start(event)

    def _start(self, event: yaml.DocumentStartEvent) -> None:
        self._count = 0
        self._anchors = {}
        self._documents += 1
        if self._documents > MOST_DOCUMENTS:
            raise _Stop(_at(event), f"more than {MOST_DOCUMENTS:,} documents in one file. Split it.")

    def _scalar(self, event: yaml.ScalarEvent) -> None:
        mark = _at(event)
        value: str | int | float | bool | None = event.value
        trap = ""
        if event.implicit[0]:
            value, trap = meaning(event.value)
        elif event.tag not in (None, "!"):
            self._tag(event)
        node = Scalar(self.file, mark.line, mark.column, event.value, value, trap)
        if trap and not self._expects_key():
            self.note(node, trap)
        self._add(node, event, event.anchor)

    def _expects_key(self) -> bool:
        return bool(self._stack) and isinstance(self._stack[-1].node, Group) and not self._stack[-1].waiting

    def _tag(self, event: yaml.NodeEvent) -> None:
        self.note(_at(event), "tags (`!…`) are not supported. Leave it out; quote what must be text.")

    def _open(self, kind: type[Group] | type[Listing], event: yaml.CollectionStartEvent) -> None:
        if event.tag not in (None, "!"):
            self._tag(event)
        if len(self._stack) >= DEEPEST:
            raise _Stop(_at(event), f"nested more than {DEEPEST} levels deep.")
        mark = _at(event)
        self._stack.append(_Open(kind(self.file, mark.line, mark.column), event.anchor))

    def _close(self) -> None:
        done = self._stack.pop()
        self._add(done.node, None, done.anchor)

    def _alias(self, event: yaml.AliasEvent) -> None:
        name = event.anchor or ""
        known = self._anchors.get(name)
        if known is None:
            within = any(each.anchor == name for each in self._stack)
            self.note(_at(event), f"*{name} refers to {'what it is part of' if within else 'no anchor above it'}.")
            known = Scalar(self.file, _at(event).line, _at(event).column, "", None)
        if len(self._stack) + known.height > DEEPEST:
            raise _Stop(_at(event), f"nested more than {DEEPEST} levels deep, aliases written out.")
        self._add(known, event, None, known.size)

    def _add(self, node: Node, event: yaml.Event | None, anchor: str | None, size: int = 1) -> None:
        """Put a finished node where it belongs."""
        self._count += size
        self._whole_count += size
        if self._count > MOST_NODES or self._whole_count > MOST_NODES_IN_FILE:
            where, most = ("document", MOST_NODES) if self._count > MOST_NODES else ("file", MOST_NODES_IN_FILE)
            mark = _at(event) if event else _Mark(node.line, node.column)
            raise _Stop(mark, f"more than {most:,} values in one {where}, aliases written out.")
        if anchor:
            self._anchors[anchor] = node
        if not self._stack:
            if not (isinstance(node, Scalar) and node.value is None):
                self.roots.append(node)
            return
        parent = self._stack[-1]
        parent.node.size += node.size
        parent.node.height = max(parent.node.height, node.height + 1)
        if isinstance(parent.node, Listing):
            parent.node.items.append(node)
        elif parent.waiting:
            self._entry(parent, parent.node, node)
        else:
            parent.waiting = True
            parent.key = self._key(parent.node, node)

    def _entry(self, parent: _Open, group: Group, node: Node) -> None:
        if parent.key is not None:
            group.keys[parent.key.text] = parent.key
            group.items[parent.key.text] = node
        parent.waiting = False

    def _key(self, group: Group, node: Node) -> Scalar | None:
        """The key, if it may be one; the first of two that are the same stays."""
        if not isinstance(node, Scalar):
            self.note(_Mark(node.line, node.column), "a key must be text.")
        elif len(node.text) > LONGEST_KEY:
            self.note(node, f"a key of more than {LONGEST_KEY} characters.")
        elif node.text == "<<":
            self.note(node, "merge keys (`<<`) are not supported. Put what is shared into an InferenceDefaults.")
        elif node.text in group.keys:
            first = group.keys[node.text]
            self.note(node, f"`{node.text[:60]}` is given twice; the first is on line {first.line + 1}. Keep one.")
        else:
            return node
        return None


def _at(event: yaml.Event) -> _Mark:
    mark = event.start_mark
    return _Mark(mark.line, mark.column) if mark else _Mark()


def _events(text: str) -> Iterator[yaml.Event]:
    loader = _Loader(text)
    try:
        while (event := loader.get_event()) is not None:
            yield event
    except yaml.MarkedYAMLError as error:
        raise _Stop(_where(error, text), _complaint(error, text)) from None
    except yaml.YAMLError:
        raise _Stop(_Mark(0, 0), "not valid YAML.") from None
    finally:
        loader.dispose()


def _where(error: yaml.MarkedYAMLError, text: str) -> _Mark:
    mark = error.problem_mark or error.context_mark
    if mark is None:
        return _Mark()
    if mark.index >= len(text) and mark.column == 0 and not text.endswith("\n"):
        # The C parser ends every text with a line break; people look for the last line that is there.
        return _Mark(text.count("\n"), len(text) - text.rfind("\n") - 1)
    return _Mark(mark.line, mark.column)


def _complaint(error: yaml.MarkedYAMLError, text: str) -> str:
    mark = error.problem_mark
    lines = text.split("\n", mark.line + 1) if mark else []
    if mark and mark.line < len(lines) and _TAB.match(lines[mark.line]):
        return "a tab indents this line; YAML takes spaces only."
    began = ""
    if error.context and error.context_mark:
        began = f" {error.context} that began on line {error.context_mark.line + 1}"
    return f"not valid YAML: {error.problem or 'it breaks off'}{began}."
