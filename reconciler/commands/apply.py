"""`pinata-reconciler apply`."""

import secrets
import sys
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, closing, nullcontext
from pathlib import Path
from threading import Event
from typing import Any

import click

from pulumi_pinata.core.errors import PinataError, Refused
from reconciler import planfile, report, terminal
from reconciler.apply import apply
from reconciler.commands import options, passes
from reconciler.fleetplan import Ending, FleetPlan, Result
from reconciler.guards import Limits, Verdict, allowed, judge
from reconciler.listeners.audit import AuditLog
from reconciler.loop.listener import Listener
from reconciler.planfile import Saved
from reconciler.upstreams import Upstreams

_EPILOG = """
\b
examples:
  pinata-reconciler apply manifests/
  pinata-reconciler apply manifests/ --yes -o markdown > comment.md
  pinata-reconciler plan manifests/ --out plan.json && pinata-reconciler apply plan.json
  pinata-reconciler apply manifests/ --yes --acknowledge CHECKSUM

\b
exit codes: 0 all applied, 1 nothing applied, 3 partly applied
"""


@click.command("apply", epilog=_EPILOG)
@options.paths
@options.output
@options.yes
@options.acknowledge
@options.audit_log
@options.workers
@options.rate
@options.limits
def command(
    paths: tuple[Path, ...],
    output: str,
    yes: bool,
    acknowledge: str | None,
    audit_log: Path | None,
    workers: int,
    rate: float,
    **guards: Any,
) -> int:
    """Bring the accounts declared in PATH (files or folders; default: here) to what is declared.

    With a file from `plan --out` in place of PATH, exactly that plan is applied, or nothing if anything that it
    relied on has moved. Ctrl-C and SIGTERM begin no new account and finish those that were begun.
    """
    saved = _saved(paths)
    manifest = passes.load(saved.paths if saved else paths)
    limits, yes = options.limits_of(guards), yes or bool(saved)
    with audited(audit_log, "apply") as audit, passes.upstreams(workers, rate) as access:
        plan = passes.look(manifest, access, workers)
        if saved:
            _require_unmoved(saved, plan)
        return carried_out(plan, access, output, limits, acknowledge, yes, workers, audit)


def audited(path: Path | None, command: str) -> AbstractContextManager[AuditLog | None]:
    """The audit log, if one is wanted. Raises Refused when it cannot be opened."""
    return closing(AuditLog(path, command)) if path else nullcontext()


def carried_out(
    plan: FleetPlan,
    access: Upstreams,
    output: str,
    limits: Limits,
    acknowledge: str | None,
    yes: bool,
    workers: int,
    listener: Listener | None = None,
) -> int:
    """Hold the plan against the guards, ask, apply, report; returns the exit code."""
    today = passes.now().date().isoformat()
    verdict = judge(plan, limits, today=today, acknowledged=acknowledge)
    if acknowledge and not verdict.acknowledged:
        passes.print_plan(plan, verdict, output)
        raise Refused(
            "the acknowledgement is for another plan than this one.",
            about="--acknowledge",
            hint="Read this plan, then give its checksum.",
        )
    machine = output != "text"
    if not machine:
        passes.print_plan(plan, verdict, output)
    chosen = allowed(plan, verdict)
    if verdict.refuses_all:
        if machine:
            _print([], plan, verdict, output)
        return 1
    if chosen.changes and not yes:
        _ask(chosen)
    unnoted: list[PinataError] = []
    with passes.graceful() as stop:
        results = _apply(chosen, access, workers, stop, listener or Listener(), unnoted.append)
    _print(results, plan, verdict, output)
    for error in unnoted:
        click.echo(f"it is done, but could not be noted in the inventory; apply again. {error}", err=True)
    return 3 if unnoted else _code(plan, verdict, results)


def _apply(
    plan: FleetPlan,
    access: Upstreams,
    workers: int,
    stop: Event,
    listener: Listener,
    unnoted: Callable[[PinataError], None],
) -> list[Result]:
    run = secrets.token_hex(4)

    def seen(result: Result) -> None:
        listener.ended(result, run, None)
        advance()

    with terminal.progress("applying", len(plan.changes)) as advance:
        return apply(
            plan,
            access,
            workers=workers,
            now=passes.now(),
            stop=stop,
            notice=lambda name, line: click.echo(f"{name}: {line}", err=True),
            begins=lambda row: listener.begins(row, run, None),
            seen=seen,
            unnoted=unnoted,
        )


def _saved(paths: tuple[Path, ...]) -> Saved | None:
    plans = [path for path in paths if path.is_file() and planfile.is_plan(path)]
    if plans and len(paths) > 1:
        raise click.UsageError("A plan stands alone: it names its manifests itself.")
    return planfile.load(plans[0]) if plans else None


def _require_unmoved(saved: Saved, plan: FleetPlan) -> None:
    if moved := planfile.moved(saved, plan):
        listed = "".join(f"\n  {line}" for line in moved[:20])
        more = f"\n  and {len(moved) - 20} more" if len(moved) > 20 else ""
        raise Refused(f"what the plan relied on has moved; nothing was changed. Plan again.{listed}{more}")


def _ask(plan: FleetPlan) -> None:
    if not (sys.stdin and sys.stdin.isatty()):  # None: it is closed
        raise click.UsageError("Nobody is there to ask: add --yes, or apply a saved plan.")
    cut = sum(row.outage for row in plan.changes)
    click.confirm(
        f"Apply {len(plan.changes)} change(s){f', {cut} of them an OUTAGE' if cut else ''}?", abort=True, err=True
    )


def _print(results: Sequence[Result], plan: FleetPlan, verdict: Verdict, output: str) -> None:
    data = {**report.plan_data(plan, verdict), "results": report.results_data(results)}
    match output:
        case "json":
            click.echo(report.as_json(data))
        case "yaml":
            click.echo(report.as_yaml(data))
        case "markdown":
            click.echo(report.plan_markdown(plan, verdict) if verdict.refuses_all else report.results_markdown(results))
        case _:
            click.echo(report.results_text(results))


def _code(plan: FleetPlan, verdict: Verdict, results: Sequence[Result]) -> int:
    done = sum(result.ending is Ending.DONE for result in results)
    whole = done == len(results) and not (plan.failures or plan.problems or verdict.names)
    return 0 if whole else 3 if done else 1
