"""Carries a plan out, account by account, and keeps the inventory: before anything is minted, and after.

One account's failure stops no other; an end that was asked for begins no new account and abandons none.
"""

from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from functools import partial
from threading import Event
from typing import Any, cast

from pulumi_pinata import wiring
from pulumi_pinata.core.actions import Outcome
from pulumi_pinata.core.converge import converge
from pulumi_pinata.core.errors import Conflict, PinataError, Refused, Transient
from pulumi_pinata.core.model import Adopt, Desired, Mode, OnLostKey, Status
from pulumi_pinata.core.ports import PinataApi, Ports
from pulumi_pinata.core.relocate import relocate
from pulumi_pinata.core.secret import PrivateKey
from reconciler.conditions import of_error
from reconciler.fleetplan import Condition, Ending, FleetPlan, Kind, Result, Row
from reconciler.inventory import Entry
from reconciler.keeper import Keeper
from reconciler.pool import each
from reconciler.upstreams import Access
from reconciler.wording import renamed


def apply(
    plan: FleetPlan,
    access: Access,
    *,
    workers: int,
    now: datetime,
    stop: Event | None = None,
    notice: Callable[[str, str], None] = lambda name, line: None,
    begins: Callable[[Row], None] = lambda row: None,
    seen: Callable[[Result], None] = lambda result: None,
    tick: Callable[[], object] = lambda: None,
    unnoted: Callable[[PinataError], None] | None = None,
) -> list[Result]:
    """Do what the plan says, at most `workers` accounts at a time; `notice` hears (account, line).

    `begins` hears of each account before anything is done to it; where it raises PinataError, nothing is.
    Raises PinataError, and has done nothing, when the inventory cannot be written. Where it cannot be written at the
    end, that is raised too, unless `unnoted` takes it.
    """
    stop = stop or Event()
    keeper = Keeper(plan, access, now.date().isoformat())
    unkept = keeper.before()
    results: list[Result] = []
    minted: set[str] = set()

    def work(row: Row) -> Result:
        try:
            if found := unkept.get(row.name):
                return Result(row, Ending.FAILED, row.condition, error=found)
            keeper.require(row)
            if refused := _refused(row, begins):
                return Result(row, Ending.FAILED, row.condition, error=refused)  # untouched: it is as it was found
            announced = partial(_Announced, row=row, minted=lambda: minted.add(row.name), require=keeper.require)
            return _carried_out(row, access, lambda line: notice(row.name, line), announced)
        except PinataError as error:
            return Result(row, Ending.FAILED, of_error(error), error=renamed(error))
        except Exception as error:
            # As in `fleet`: a defect in one account must not keep the others from being healed.
            found = PinataError(f"an unexpected {type(error).__name__} came up.", hint="Report it; then plan again.")
            return Result(row, Ending.FAILED, of_error(found), error=found)

    for row, result in each(plan.changes, work, workers=workers, stop=stop, tick=tick):
        results.append(result or Result(row, Ending.NOT_STARTED, row.condition))
        seen(results[-1])
    try:
        keeper.after(results, minted)
    except PinataError as error:
        if unnoted is None:
            raise
        unnoted(error)
    return sorted(results, key=lambda result: result.row.name)


def _refused(row: Row, begins: Callable[[Row], None]) -> PinataError | None:
    try:
        begins(row)
    except PinataError as error:
        return error
    return None


def _carried_out(row: Row, access: Access, notice: Callable[[str], None], announced: Callable[..., Any]) -> Result:
    if row.settings is None or row.desired is None:
        return Result(row, Ending.DONE, row.condition)
    with access.account(row.settings, notice) as found:
        wiring.same_account(found.account.fingerprint, row.account)
        if row.kind is Kind.FORGET:
            if row.condition is Condition.OFF and found.ports.pinata.status().enabled:
                raise _not_announced("on")  # nobody would switch it off any more
            return Result(row, Ending.DONE, row.condition)
        version, fingerprint = row.version, row.fingerprint
        if row.kind is not Kind.CREDITS:
            desired = _as_announced(row, row.desired)
            ports = replace(found.ports, pinata=cast("PinataApi", announced(found.ports.pinata)))
            if row.moved_from:
                minted = _moved(row, row.moved_from, desired, ports, access, notice).minted
            else:
                minted = converge(desired, ports).minted
            version, fingerprint = (minted.version, minted.fingerprint) if minted else (0, None)
        if row.topup:
            with closing(found.credits()) as client:
                client.put(row.topup)
    off = row.desired.mode is Mode.DISABLED
    return Result(row, Ending.DONE, Condition.OFF if off else Condition.READY, version, fingerprint)


def _as_announced(row: Row, desired: Desired) -> Desired:
    """What was planned to leave the key alone does so: if it was lost since, the next plan announces the outage."""
    quiet = row.kind in (Kind.RESTORE, Kind.MOVE) or (row.kind is Kind.RESUME and row.protected)
    if row.kind is Kind.MOVE:  # nor is it rotated on the way, or taken from somebody: the next plan announces that
        desired = replace(desired, trigger=None, outworn=None, adopt=Adopt.REFUSE)
    return replace(desired, on_lost_key=OnLostKey.FAIL) if quiet else desired


def _moved(
    row: Row, former: Entry, desired: Desired, ports: Ports, access: Access, notice: Callable[[str], None]
) -> Outcome:
    settings = former.settings_of(row.settings) if row.settings else former.settings()
    with access.account(settings, notice) as found:
        wiring.same_account(found.account.fingerprint, row.account)
        old = wiring.desired(settings, found.account, Mode.ENABLED, None)
        return relocate(old, found.ports, desired, ports)


class _Announced:
    """A `PinataApi` that does only what was announced of `row`, and tells of each mint that was or may have been made.

    Another run may have changed the account since it was planned, or while it is worked on.
    """

    def __init__(
        self, pinata: PinataApi, row: Row, minted: Callable[[], None], require: Callable[[Row, float], None]
    ) -> None:
        self._pinata = pinata
        self._row = row
        self._minted = minted
        self._require = require
        self._tried = False

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pinata, name)

    def status(self) -> Status:
        status = self._pinata.status()
        tidied = self._row.kind in (Kind.DISABLE, Kind.PRUNE) and not self._row.outage
        if status.enabled and tidied and not self._tried:
            raise _not_announced("on")
        return status

    def enable(self) -> PrivateKey | None:
        if self._row.kind is Kind.RESTORE and not self._tried:
            raise _not_announced("off")
        if self._row.drifted:
            # Under the intent by now: who switches it off later waits for it, who has done so before has said so.
            try:
                self._require(self._row, -1.0)
            except Conflict as error:
                raise _not_announced("off") from error
        self._tried = True
        try:
            key = self._pinata.enable()
        except (Transient, Refused):
            raise  # proven to have minted nothing
        except BaseException:
            self._minted()
            raise
        self._minted()
        return key

    def disable(self) -> None:
        if self._row.kind is Kind.CREATE and not self._tried:
            raise _not_announced("on")
        self._tried = True
        self._pinata.disable()


def _not_announced(state: str) -> Refused:
    return Refused(f"another run has switched it {state} since it was planned.", hint="Plan again.")
