"""What a person at a terminal sees besides the plain report: tables with colour, progress with an ETA."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from reconciler.fleetplan import CHANGES, FAILURES, FleetPlan, Kind, Row
from reconciler.guards import Verdict
from reconciler.report import SIGNS, footer, row_lines, shown, summary, title

_TABLE = 110  # columns that a table needs to leave some for why


def is_terminal() -> bool:
    """Whether somebody looks at the output, and at more than a stream of lines."""
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def show(plan: FleetPlan, verdict: Verdict, *, all_rows: bool = False, console: Console | None = None) -> None:
    """The plan as a table, or as lines where a table is too wide. NO_COLOR is heeded by rich."""
    console = console or Console()
    groups = shown(plan, all_rows=all_rows)
    console.print(Text(summary(plan), style="bold"))
    if groups:
        (_as_table if console.width >= _TABLE else _as_lines)(groups, console)
    for line in footer(plan, verdict):
        console.print(Text(line, style="yellow"))


def _as_table(groups: list[list[Row]], console: Console) -> None:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in ("", "account", "change", "condition", "Vault path", "why"):
        table.add_column(column, overflow="fold")
    for rows in groups:
        table.add_row(*(Text(cell, style=_style(rows[0])) for cell in _cells(rows)))
    console.print(table)


def _as_lines(groups: list[list[Row]], console: Console) -> None:
    for rows in groups:
        head, *why = row_lines(rows)
        console.print(Text(head, style=_style(rows[0])))
        for line in why:
            console.print(Padding(Text(line, style=_style(rows[0])), (0, 0, 0, 4)))


@contextmanager
def progress(what: str, total: int) -> Iterator[Callable[[], None]]:
    """A bar on standard error, if that is a terminal; else nothing. Yields what to call for each that is done."""
    if total < 2 or not sys.stderr.isatty() or os.environ.get("TERM") == "dumb":
        yield lambda: None
        return
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeRemainingColumn())
    with Progress(*columns, console=Console(stderr=True), transient=True) as bar:
        task = bar.add_task(what, total=total)
        yield lambda: bar.advance(task)


def _cells(rows: list[Row]) -> tuple[str, ...]:
    row, (_, *why) = rows[0], row_lines(rows)
    path = row.path if len(rows) == 1 else ""
    return SIGNS.get(row.kind, "~"), title(rows), row.kind.value, row.condition.value, path, "\n".join(why)


def _style(row: Row) -> str:
    if row.outage or row.kind in FAILURES:
        return "red"
    if row.kind in CHANGES:
        return "green" if row.kind is Kind.CREATE else "cyan"
    return "yellow" if row.kind is Kind.REPORT else "dim"
