"""One pass: look, judge, apply, tell; the same stages as `plan` and `apply`, with what a loop knows besides."""

import secrets
import time
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from threading import Event

from pulumi_pinata.core.errors import PinataError
from reconciler.apply import apply
from reconciler.fleet import STOPPED, make_plan
from reconciler.fleetplan import FleetPlan, Result, Row
from reconciler.guards import Limits, healing, judge
from reconciler.loop import events, viewing
from reconciler.loop.board import Board
from reconciler.loop.listener import Listener
from reconciler.loop.view import PassView
from reconciler.manifest.declared import Manifest
from reconciler.report import outcome, summary
from reconciler.upstreams import Access


@dataclass(frozen=True)
class Passed:
    """What a pass came to; `refused` where guards hold all of the manifests back.

    `error`: the fleet's inventory could not be written. Without results nothing was changed, else it was not noted.
    """

    plan: FleetPlan
    results: tuple[Result, ...]
    error: PinataError | None
    refused: bool


@dataclass(frozen=True)
class Cycle:
    """What all passes have in common."""

    access: Access
    board: Board
    listener: Listener
    limits: Limits
    workers: int
    stop: Event
    now: Callable[[], datetime]
    clock: Callable[[], float] = time.monotonic

    def once(
        self,
        manifest: Manifest,
        *,
        resting: Mapping[str, Row],
        only: Collection[str] | None = None,
        changed_first: bool = False,
        deep: bool = False,
        refused: bool = False,
    ) -> Passed:
        """Look at all accounts, or `only` some, and bring them to what is declared.

        `resting` are the rows of accounts that are not looked at. A pass over some accounts cuts nobody off: how many
        that may happen to at once is judged of the whole fleet; where the guards `refused` all of it, it only heals.
        """
        started, began, whole = self.now(), self.clock(), only is None
        run, commit = secrets.token_hex(4), self.board.view.source.commit
        plan = make_plan(
            manifest,
            self.access,
            workers=self.workers,
            now=started,
            only=only,
            resting=resting,
            changed_first=changed_first,
            deep=deep,
            stop=self.stop,
            seen=lambda row: self._alive(),
            tick=self._alive,
        )
        begun = plan if whole else replace(plan, rows=tuple(row for row in plan.rows if _may_be_done(row, refused)))
        verdict = judge(begun, self.limits, today=started.date().isoformat())
        error: PinataError | None = None
        results: list[Result] = []
        try:
            results, error = self._apply(healing(begun, verdict), run, commit)
        except PinataError as caught:
            error = caught
        before, ended = self.board.view, self.now()
        good = error is None and viewing.good(plan, verdict, results)
        looked = tuple(row for row in plan.rows if row.reason != STOPPED)
        if len(looked) < len(plan.rows):
            # Whom a stop kept from being looked at has not failed, and is as it was.
            plan, whole = replace(plan, rows=looked), False
        last = PassView(run, started, ended, good, _said(plan, results, error))
        # With problems it may be the name that is wrong.
        named = whole and not plan.problems
        after = self.board.change(
            fleet=plan.fleet if named else before.fleet or plan.fleet,
            accounts=viewing.accounts(
                before.accounts, plan, verdict, results, resting=resting, whole=whole, commit=commit, now=ended
            ),
            last=last if whole else before.last,
            last_good=ended if whole and good else before.last_good,
            problems=tuple(str(problem) for problem in plan.problems) if whole else before.problems,
            held=tuple(f"guard {each.guard}: {each}" for each in verdict.held) if whole else before.held,
            checksum=(plan.checksum if verdict.held else None) if whole else before.checksum,
        )
        self.listener.told(events.between(before, after, plan.rows, results, run, ended))
        self.listener.passed(replace(after, last=last), seconds=self.clock() - began, whole=whole)
        return Passed(plan, tuple(results), error, verdict.refuses_all if whole else refused)

    def _apply(self, plan: FleetPlan, run: str, commit: str | None) -> tuple[list[Result], PinataError | None]:
        def seen(result: Result) -> None:
            self._alive()
            self.listener.ended(result, run, commit)

        late: list[PinataError] = []
        results = apply(
            plan,
            self.access,
            workers=self.workers,
            now=self.now(),
            stop=self.stop,
            notice=lambda name, line: self.listener.noticed(name, line, run),
            begins=lambda row: self.listener.begins(row, run, commit),
            seen=seen,
            tick=self._alive,
            unnoted=late.append,
        )
        return results, late[0] if late else None

    def _alive(self) -> None:
        self.board.beat(self.clock())


def _said(plan: FleetPlan, results: Sequence[Result], error: PinataError | None) -> str:
    """The pass in a line."""
    left = len(plan.changes) - len(results)
    parts = [summary(plan), outcome(results) if results else "", f"{left} held back" if left and not error else ""]
    return "; ".join(part for part in (*parts, str(error or "")) if part)


def _may_be_done(row: Row, refused: bool) -> bool:
    return not row.outage and (row.drifted or not refused)
