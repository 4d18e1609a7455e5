"""What every command does first: read the manifests, connect, look at the accounts; and print a report."""

import os
import signal
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from types import FrameType

import click

from pulumi_pinata.core.errors import Refused
from pulumi_pinata.wiring import Connections
from reconciler import report, terminal
from reconciler.fleet import make_plan
from reconciler.fleetplan import FleetPlan, Kind
from reconciler.guards import Verdict
from reconciler.manifest import manifests
from reconciler.manifest.declared import Declared, Manifest
from reconciler.upstreams import Upstreams

HERE = (Path(),)


def load(paths: Sequence[Path], environ: Mapping[str, str] | None = None) -> Manifest:
    """The manifests at `paths`, or in the folder that the command runs in."""
    return manifests.load(list(paths) or list(HERE), os.environ if environ is None else environ)


def one(manifest: Manifest, name: str) -> Declared:
    """The declared account of that name. Raises Refused when there is none, or it has errors."""
    for each in manifest.accounts:
        if each.name == name and name not in manifest.frozen:
            return each
    if name in manifest.frozen or manifest.problems:
        listed = "; ".join(str(problem) for problem in manifest.problems[:3])
        raise Refused(f"{name} is not to be had while the manifests have errors ({listed}).", about=name)
    known = report.names(sorted(each.name for each in manifest.accounts), most=10) or "none"
    raise Refused(f"no account of this name is declared; there are: {known}.", about=name)


@contextmanager
def upstreams(workers: int, rate: float) -> Iterator[Upstreams]:
    """Connections for a run."""
    with Connections(size=workers) as connections:
        yield Upstreams(connections, rate=rate)


def now() -> datetime:
    """The moment that rotation by age is judged by."""
    return datetime.now(timezone.utc)


def look(manifest: Manifest, access: Upstreams, workers: int, *, only: str | None = None) -> FleetPlan:
    """Plan, with progress on a terminal."""
    with terminal.progress("looking", len(manifest.accounts)) as advance:
        return make_plan(
            manifest, access, workers=workers, now=now(), only=only and (only,), seen=lambda row: advance()
        )


def print_plan(plan: FleetPlan, verdict: Verdict, output: str, *, all_rows: bool = False) -> None:
    """The plan on standard output."""
    match output:
        case "json":
            click.echo(report.as_json(report.plan_data(plan, verdict)))
        case "yaml":
            click.echo(report.as_yaml(report.plan_data(plan, verdict)))
        case "markdown":
            click.echo(report.plan_markdown(plan, verdict, all_rows=all_rows))
        case _ if terminal.is_terminal():
            terminal.show(plan, verdict, all_rows=all_rows)
        case _:
            click.echo(report.plan_text(plan, verdict, all_rows=all_rows))


def plan_code(plan: FleetPlan) -> int:
    """1 where something cannot be judged or had, 2 where something differs, else 0."""
    if plan.failures or plan.problems:
        return 1
    return 2 if plan.changes or any(row.kind is Kind.REPORT for row in plan.rows) else 0


@contextmanager
def graceful() -> Iterator[threading.Event]:
    """SIGTERM and Ctrl-C set the event instead of interrupting: no account is left in the middle of a mint."""
    stop = threading.Event()

    def asked(_number: int, _frame: FrameType | None) -> None:
        if not stop.is_set():
            # Not by way of a buffer, which the handler may have interrupted.
            os.write(2, b"stopping: accounts that were begun are finished, no other is begun\n")
        stop.set()

    before = {number: signal.signal(number, asked) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
