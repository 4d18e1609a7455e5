"""Every combination of what can be declared and found, and the table of docs/decision-table.md made from it.

`python -m tests.core.decision_table` prints the table.
"""

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from typing import Any

from pulumi_pinata.core import plan
from pulumi_pinata.core.actions import Action, Disable, Mint
from pulumi_pinata.core.model import (
    Actual,
    Adopt,
    Content,
    Desired,
    Label,
    Liveness,
    Location,
    Minted,
    Mode,
    OnLostKey,
    Purpose,
    Record,
    State,
    Status,
    Stored,
)
from pulumi_pinata.core.secret import PrivateKey

OURS, OTHERS = "us", "somebody else"
ACCOUNT = "account-1"
HERE, ELSEWHERE = Location("secret", "here"), Location("secret", "elsewhere")
KEY, ATTEMPTED, FOREIGN = PrivateKey("the key"), PrivateKey("the attempt's key"), PrivateKey("another key")

DOMAINS: Mapping[str, tuple[Any, ...]] = {
    "declared": tuple(Mode),
    "inference": ("on", "off"),
    "intent": ("none", "held", "open: mint", "open: disable", "open: move"),
    "account of": (OURS, OTHERS),
    "Vault copy": (
        "nothing",
        "current",
        "deleted",
        "rolled back",
        "elsewhere",
        "lost",
        "stale",
        "of the attempt",
        "foreign path",
    ),
    "adopt": tuple(Adopt),
    "rotate": ("no", "yes"),
    "on_lost_key": tuple(OnLostKey),
    "key tried": tuple(Liveness),
}


@dataclass(frozen=True)
class Row:
    """One combination: a value for each of DOMAINS, and what it stands for."""

    values: tuple[Any, ...]
    desired: Desired
    actual: Actual

    def __getitem__(self, name: str) -> Any:
        return self.values[list(DOMAINS).index(name)]

    @property
    def action(self) -> Action:
        return plan.decide(self.desired, self.actual)


def rows() -> Iterator[Row]:
    """All combinations."""
    for values in itertools.product(*DOMAINS.values()):
        yield _row(values)


def _row(values: tuple[Any, ...]) -> Row:
    found = dict(zip(DOMAINS, values, strict=True))
    copy, intent = found["Vault copy"], found["intent"]
    minted: Minted | None = Minted(HERE, 2, KEY.fingerprint, "a1", "PINATA_LLM_KEY", "T1", trigger="before")
    stored = Stored(2, State.READABLE, Label(found["account of"], ACCOUNT, minted), {}, (1, 2))
    content, origin = None, None
    match copy:
        case "nothing":
            minted, stored = None, Stored()
        case "deleted":
            stored = replace(stored, state=State.DELETED, readable=(1,))
        case "rolled back":
            stored, content = replace(stored, version=3, readable=(1, 2, 3)), Content(FOREIGN, "a0", "PINATA_LLM_KEY")
        case "elsewhere":
            minted = replace(minted, location=ELSEWHERE)
            origin, stored = replace(stored, label=Label(found["account of"], ACCOUNT, minted)), Stored()
        case "lost":
            stored = replace(stored, state=State.DESTROYED, readable=())
        case "stale":
            content = Content(KEY, "a1", "PINATA_LLM_KEY")
        case "of the attempt":
            stored, content = replace(stored, version=3, readable=(1, 2, 3)), Content(ATTEMPTED, "a2", "PINATA_LLM_KEY")
        case "foreign path":
            minted, stored = None, Stored(5, State.READABLE, None, {}, (5,))
    if intent == "open: mint" and copy == "current":
        content = Content(KEY, "a1", "PINATA_LLM_KEY")
    on = found["inference"] == "on"
    purpose = Purpose(intent.removeprefix("open: ")) if intent.startswith("open") else Purpose.MINT
    is_open = intent != "none"
    record = Record(
        7,
        is_open,
        found["account of"],
        purpose,
        ("a1", "a2") if is_open else ("a1",),
        HERE,
        ELSEWHERE if purpose is Purpose.MOVE else None,
        minted,
    )
    actual = Actual(
        status=Status(on, ("T2" if copy == "stale" else "T1") if on else None),
        stored=stored,
        record=record if is_open or minted else None,
        ours_to_resume=intent.startswith("open"),
        content=content,
        origin=origin,
        liveness=found["key tried"] if content and on else Liveness.UNKNOWN,
    )
    desired = Desired(
        found["declared"],
        OURS,
        ACCOUNT,
        HERE,
        "https://agents.pinata.cloud/v0/llm",
        trigger="after" if found["rotate"] == "yes" else "before",
        on_lost_key=found["on_lost_key"],
        adopt=found["adopt"],
    )
    return Row(values, desired, actual)


def name_of(action: Action) -> str:
    """The action in a few words."""
    match action:
        case Mint(disable_first):
            return "Mint, after disabling" if disable_first else "Mint"
        case Disable(already_off, ours):
            what = "tidy up" if already_off else "Disable"
            return f"{what}{'' if ours else ', leaving the path'}"
    return type(action).__name__


_ORDER = (
    "declared",
    "intent",
    "account of",
    "inference",
    "Vault copy",
    "rotate",
    "key tried",
    "on_lost_key",
    "adopt",
)


def table() -> str:
    """The whole page."""
    found = {tuple(row.values[list(DOMAINS).index(name)] for name in _ORDER): name_of(row.action) for row in rows()}
    lines = [
        "# What is decided",
        "",
        "Made by `python -m tests.core.decision_table` from `plan.decide` over all "
        f"{len(found):,} combinations of the columns; do not edit. A blank cell: whatever it is. "
        "`held`: somebody's open intent that may still be at work; `open`: an intent whose holder is gone.",
        "",
        f"| {' | '.join(_ORDER)} | action |",
        f"|{'---|' * (len(_ORDER) + 1)}",
    ]
    lines += [f"| {' | '.join(cells)} |" for cells in _collapsed(found, _ORDER)]
    return "\n".join(lines) + "\n"


def _collapsed(found: Mapping[tuple[Any, ...], str], names: tuple[str, ...]) -> tuple[tuple[str, ...], ...]:
    """Rows of patterns: values that lead to the same are written in one cell, and all of them as a blank."""
    if not names:
        return ((found[()],),)
    groups: dict[tuple[tuple[str, ...], ...], list[Any]] = {}
    for value in DOMAINS[names[0]]:
        rest = {key[1:]: action for key, action in found.items() if key[0] == value}
        groups.setdefault(_collapsed(rest, names[1:]), []).append(value)
    if len(groups) == 1:
        return tuple(("", *row) for row in next(iter(groups)))
    return tuple((", ".join(_text(v) for v in values), *row) for below, values in groups.items() for row in below)


def _text(value: Any) -> str:
    return str(getattr(value, "value", value))


if __name__ == "__main__":
    print(table(), end="")
