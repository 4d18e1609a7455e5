"""What the demo prints. Colours only on a terminal and without NO_COLOR; every line is kept for the scan."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

BOLD, DIM, RED, GREEN, CYAN = "1", "2", "31", "32", "36"


class Screen:
    """Prints lines, and remembers them."""

    def __init__(self) -> None:
        self.printed: list[str] = []
        self._colours = sys.stdout.isatty() and "NO_COLOR" not in os.environ and os.environ.get("TERM") != "dumb"

    def title(self, number: int, text: str) -> None:
        """Begin a step."""
        self._print(f"\n{number:2}  {text}", BOLD)

    def tell(self, text: str) -> None:
        """One sentence of the story."""
        self._print(f"    {text}")

    def command(self, text: str) -> None:
        """What a person would type."""
        self._print(f"    $ {text}", CYAN)

    def output(self, text: str) -> None:
        """A line that a program wrote."""
        self._print(f"      {text}", DIM)

    def proven(self, text: str) -> None:
        """A fact that was just checked."""
        self._print(f"    ✓ {text}", GREEN)

    def failed(self, text: str) -> None:
        """Why the demo ends here."""
        self._print(f"    ✗ {text}", RED)

    def heading(self, text: str) -> None:
        """A line that stands out."""
        self._print(text, BOLD)

    def table(self, rows: Sequence[Sequence[str]]) -> None:
        """Rows of equal length; the first is the heading."""
        widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
        for row in rows:
            line = "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
            self._print(f"  {line.rstrip()}", BOLD if row is rows[0] else None)

    def _print(self, text: str, colour: str | None = None) -> None:
        self.printed.append(text)
        print(f"\033[{colour}m{text}\033[0m" if colour and self._colours else text, flush=True)
