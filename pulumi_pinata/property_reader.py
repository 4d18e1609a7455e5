"""One level of a Pulumi property dict, read with every failure noted under its full property name; pure.

Anything that is not a JSON value is taken for an unknown of a preview and passed through untouched.
"""

import difflib
from collections.abc import Callable, Mapping
from enum import Enum
from typing import Any

from pulumi_pinata.core.errors import Refused

Failures = list[tuple[str, str]]


def is_known(value: object) -> bool:
    """Whether `value` is a JSON value; anything else is an unknown of a preview."""
    return value is None or isinstance(value, (str, int, float, bool, Mapping, list))


def all_known(value: object) -> bool:
    """Whether `value` holds no unknown at any depth."""
    if isinstance(value, Mapping):
        return all(all_known(inner) for inner in value.values())
    if isinstance(value, list):
        return all(all_known(inner) for inner in value)
    return is_known(value)


class Reader:
    """Reads one level of inputs and notes every failure, each with its full property name."""

    def __init__(self, values: Mapping[str, Any], prefix: str, failures: Failures) -> None:
        self.values = values
        self._prefix = prefix
        self._failures = failures

    def fail(self, name: str, reason: str) -> None:
        """Note that an input is wrong."""
        self._failures.append((f"{self._prefix}{name}", reason))

    def only(self, known: tuple[str, ...]) -> None:
        """Note every input that is not among `known`."""
        for name in self.values:
            if name not in known and not name.startswith("__"):
                near = difflib.get_close_matches(name, known, n=1)
                self.fail(name, f"no such input. {f'Did you mean `{near[0]}`?' if near else f'Known: {known}.'}")

    def inner(self, name: str) -> "Reader":
        """A reader of a nested group."""
        value = self.values.get(name)
        if value is not None and not isinstance(value, Mapping):
            self.fail(name, f"must be a group of values, not {type(value).__name__}.")
            value = None
        return Reader(value or {}, f"{self._prefix}{name}.", self._failures)

    def text(self, name: str, default: str | None = None, parse: Callable[[str, str], str] | None = None) -> Any:
        """Text that `parse` accepts; not empty unless the default is."""
        value = self.values.get(name)
        value = default if value is None else value
        if value is None or not is_known(value):
            return value
        if not isinstance(value, str) or (not value and default is None):
            self.fail(name, "must be text, and not empty.")
            return value
        try:
            return parse(value, f"{self._prefix}{name}") if parse else value
        except Refused as refused:
            self.fail(name, f"{refused.message} {refused.hint or ''}".strip())
            return value

    def choice(self, name: str, kind: type[Enum], default: Enum) -> Any:
        """One of an enum's values."""
        value = self.values.get(name)
        value = default.value if value is None else getattr(value, "value", value)
        if is_known(value) and value not in [member.value for member in kind]:
            self.fail(name, f"must be one of {', '.join(str(member.value) for member in kind)}.")
        return value

    def number(self, name: str, default: float, low: float, high: float) -> Any:
        """A number of seconds in bounds."""
        value = self.values.get(name)
        value = default if value is None else value
        if not is_known(value):
            return value
        if isinstance(value, bool) or not isinstance(value, (int, float)) or not low <= value <= high:
            self.fail(name, f"must be a number of seconds from {low:g} to {high:g}.")
            return value
        return float(value)

    def labels(self, name: str) -> Any:
        """Custom metadata within Vault's limits."""
        value = self.values.get(name)
        if value is None or not is_known(value):
            return value
        group = self.inner(name).values
        if len(group) > 48:
            self.fail(name, f"has {len(group)} entries; Vault takes 64, of which 16 are kept for our own.")
        for key, text in group.items():
            if is_known(text) and not (isinstance(text, str) and 0 < len(text.encode()) <= 512):
                self.fail(f"{name}.{key}", "must be text of 1 to 512 bytes (Vault's limit).")
            if key.startswith("pinata-") or not 0 < len(key.encode()) <= 128:
                self.fail(f"{name}.{key}", "the name must have 1 to 128 bytes and not start with `pinata-`.")
        return dict(group)
