"""What a person at a terminal sees besides the plain report: tables with colour, progress with an ETA."""

import os
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table
from rich.text import Text

from reconciler.fleetplan import CHANGES, FAILURES, FleetPlan, Kind, Row
from reconciler.guards import Verdict
from reconciler.report import SIGNS, footer, outage, summary


def is_terminal() -> bool:
    """Whether somebody looks at the output, and at more than a stream of lines."""
    return sys.stdout.isatty() and os.environ.get("TERM") != "dumb"


def show(plan: FleetPlan, verdict: Verdict, *, all_rows: bool = False, console: Console | None = None) -> None:
    """The plan as a table. NO_COLOR is heeded by rich."""
    console = console or Console()
    table = Table(box=None, pad_edge=False, header_style="bold")
    for title in ("", "account", "change", "condition", "Vault path", "why"):
        table.add_column(title, overflow="fold")
    for row in plan.rows:
        if row.kind is not Kind.NONE or all_rows:
            table.add_row(*(Text(cell, style=_style(row)) for cell in _cells(row)))
    console.print(Text(summary(plan), style="bold"))
    if table.row_count:
        console.print(table)
    for line in footer(plan, verdict):
        console.print(Text(line, style="yellow"))


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


def _cells(row: Row) -> tuple[str, ...]:
    why = "\n".join(part for part in (row.reason, outage(row)) if part)
    return SIGNS.get(row.kind, "~"), row.name, row.kind.value, row.condition.value, row.path, why


def _style(row: Row) -> str:
    if row.outage or row.kind in FAILURES:
        return "red"
    if row.kind in CHANGES:
        return "green" if row.kind is Kind.CREATE else "cyan"
    return "yellow" if row.kind is Kind.REPORT else "dim"
