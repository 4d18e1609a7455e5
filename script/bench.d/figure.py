"""One measured figure: its value, what was aimed at, and every sample behind it."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any

from sampling import Sample, quartiles


@dataclass(frozen=True)
class Aim:
    """At least, or at most, so much."""

    value: float
    at_most: bool = False

    def met(self, value: float) -> bool:
        """Whether it is."""
        return value <= self.value if self.at_most else value >= self.value

    def __str__(self) -> str:
        return f"{'≤' if self.at_most else '≥'} {self.value:g}"


@dataclass(frozen=True)
class Figure:
    """`values` has one entry a round, and the figure is their median; `samples` are what they were made of.

    `unit` is "ratio", "MiB", "ms" or "calls"; `bound` says what bounds it, `note` what it is.
    """

    name: str
    unit: str
    values: Sequence[float]
    bound: str
    note: str = ""
    aim: Aim | None = None
    samples: Mapping[str, Sequence[Sample | float]] = field(default_factory=dict)

    @property
    def value(self) -> float:
        """The median."""
        return statistics.median(self.values)

    @property
    def met(self) -> bool | None:
        """Whether the aim is met; None without one."""
        return self.aim.met(self.value) if self.aim else None

    def data(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "name": self.name,
            "unit": self.unit,
            "value": self.value,
            "quartiles": list(quartiles(self.values)),
            "values": list(self.values),
            "aim": str(self.aim) if self.aim else None,
            "met": self.met,
            "bound": self.bound,
            "note": self.note,
            "samples": {
                name: [asdict(one) if isinstance(one, Sample) else one for one in each]
                for name, each in self.samples.items()
            },
        }

    def row(self) -> list[str]:
        """As the table has it."""
        low, high = quartiles(self.values)
        verdict = {True: "✓", False: "✗", None: ""}[self.met]
        shown = f"{_shown(low)} to {_shown(high)}" if low != high else ""
        unit = "" if self.unit == "ratio" else f" {self.unit}"
        return [self.name, f"{_shown(self.value)}{unit}", shown, str(self.aim or ""), verdict, self.bound]


HEADING = ["figure", "median", "quartiles", "aim", "", "bounded by"]


def table(rows: Sequence[Sequence[str]]) -> list[str]:
    """Lines of text; the first row is the heading, and the last column is as wide as it likes."""
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]) - 1)]
    return [
        "  ".join([*(cell.ljust(width) for cell, width in zip(row, widths, strict=False)), row[-1]]).rstrip()
        for row in rows
    ]


def _shown(value: float) -> str:
    return f"{value:.0f}" if value >= 100 else f"{value:.1f}" if value >= 10 else f"{value:.2f}"
