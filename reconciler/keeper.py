"""Keeps the inventory in step with what an apply does: written before anything is minted, and after."""

import math
import time
from collections.abc import Callable, Collection, Mapping
from contextlib import suppress
from dataclasses import replace
from threading import Lock

from pulumi_pinata.core.errors import Conflict, PinataError
from pulumi_pinata.core.model import Mode
from reconciler import inventory
from reconciler.entries import Begun, Done, is_overtaken
from reconciler.findings import declaration
from reconciler.fleetplan import MINTS, Ending, FleetPlan, Kind, Result, Row
from reconciler.inventory import Entry, Home, Inventory, counted, home_document, home_of
from reconciler.settings_document import from_document, to_document
from reconciler.upstreams import Access

_LEFT = frozenset({Kind.SKIP, Kind.ERROR, Kind.REFUSED})
_MINTING = MINTS | {Kind.RESUME, Kind.MOVE}
_FRESH = 5.0  # seconds for which an inventory counts as just read: it is large, and there may be many accounts


class Keeper:
    """Writes the inventories of a plan's homes; `require` is for any thread."""

    def __init__(self, plan: FleetPlan, access: Access, today: str) -> None:
        self._plan = plan
        self._access = access
        self._today = today
        self._known: dict[Home, Inventory] = dict(plan.inventories)
        self._lock = Lock()
        self._read_at: dict[Home, float] = {}
        self._begun_as: dict[Home, Mapping[str, Entry]] = {}
        self._rows: dict[Home, list[Row]] = {}
        self._leaving: dict[Home, list[Row]] = {}
        self._reach = {home_of(row.settings): row.settings for row in plan.rows if row.settings}
        for row in plan.rows:
            if row.declared and row.settings and row.kind not in _LEFT and row.declared.mode is not Mode.OBSERVED:
                self._rows.setdefault(home_of(row.settings), []).append(row)
            elif row.settings and row.kind is Kind.PRUNE:
                self._leaving.setdefault(home_of(row.settings), []).append(row)
        for row in plan.rows:
            for former in (row.moved_from, row.entry):
                if former:
                    # One that was edited by hand is the trouble of its account alone.
                    with suppress(PinataError):
                        settings = former.settings()
                        self._reach.setdefault(home_of(settings), settings)
        self._documents = [home_document(settings) for settings in self._reach.values()]

    def before(self) -> dict[str, PinataError]:
        """Every account that may be minted is in the inventory before it is: whatever happens, it is not forgotten.

        Mints are counted as they are begun, so that a crash forgets none. What is to be switched off counts as applied
        no more, so that no run by an earlier commit takes it for drift meanwhile.
        Returns the errors of accounts whose home did not take it, or that another run has changed since they were
        planned; raises one where no home did.
        """
        failed: dict[str, PinataError] = {}
        refusals: list[PinataError] = []
        homes = self._rows.keys() | self._leaving.keys()
        former = {row.name for row in self._plan.rows if row.kind is Kind.FORGET}  # a name that came back is no drift
        for home in homes:
            rows, leaving = self._rows.get(home, []), self._leaving.get(home, [])
            planned = self._known.get(home, Inventory())
            begun = Begun(
                new={row.name: self._begun(row) for row in rows},
                wanted={row.name: declaration(row.declared) for row in rows if row.declared},
                leaving={*former, *(row.name for row in leaving)},
                planned=planned.entries,
            )
            try:
                self._update(home, begun)
                if self._known[home].version != planned.version:  # else it is as old as the plan
                    self._read_at[home] = time.monotonic()
            except PinataError as error:
                refusals.append(error)
                failed |= {row.name: error for row in (*self._rows.pop(home, []), *leaving)}
                continue
            overtaken = begun.overtaken
            failed |= {name: _overtaken(name) for name in overtaken}
            self._rows[home] = [row for row in rows if row.name not in overtaken]
        self._begun_as = {home: known.entries for home, known in self._known.items()}
        if refusals and len(refusals) == len(homes):
            raise refusals[0]
        return failed

    def require(self, row: Row, fresh: float = _FRESH) -> None:
        """Raise Conflict where another run has let go of an account since, or applies another declaration: minted now,
        nobody would switch it off, or it would be on again against that declaration.

        A run by a later commit does so, while this one, by an earlier, is slow or was paused. What was read `fresh`
        seconds ago counts.
        """
        home = home_of(row.settings) if row.settings else None
        if home is None or row.kind not in _MINTING or row not in self._rows.get(home, ()):
            return
        with self._lock:
            if time.monotonic() - self._read_at.get(home, -math.inf) > fresh:
                documents = self._access.documents(self._reach[home])
                self._known[home] = inventory.read(documents, self._plan.fleet)
                self._read_at[home] = time.monotonic()
            now = self._known[home].entries.get(row.name)
        wanted = declaration(row.declared) if row.declared else None
        if is_overtaken(self._begun_as[home].get(row.name), now, wanted):
            raise _overtaken(row.name)

    def after(self, results: Collection[Result], minted: Collection[str]) -> None:
        """Note what was applied in full, and let go of what is gone.

        Mints that were not made are not counted; what was minted and forgotten by another run since is kept.
        Raises PinataError when a home does not take it; the others have by then.
        """
        unmade = {result.row.name for result in results if result.row.kind in MINTS} - set(minted)
        done = {result.row.name for result in results if result.ending is Ending.DONE}
        gone = self._gone(done)
        errors: list[PinataError] = []
        for home in {*self._rows, *gone}:
            rows = self._rows.get(home, [])
            whole = {
                row.name: declaration(row.declared)
                for row in rows
                if row.declared and (row.name in done or row.kind is Kind.NONE)
            }
            back = {
                row.name: replace(self._begun(row), declared="")
                for row in rows
                if row.name in done and row.kind in _MINTING
            }
            fewer = unmade & {row.name for row in rows}
            try:
                if back:  # what was read before may still have what another run has let go of since
                    self._known[home] = inventory.read(self._access.documents(self._reach[home]), self._plan.fleet)
                self._update(
                    home, Done(whole, gone.get(home, {}), back, fewer, self._begun_as.get(home, {}), self._today)
                )
            except PinataError as error:
                errors.append(error)
        # A Vault that the fleet has left may be shut down: an inventory must not go on naming it.
        left = set() if errors or self._plan.problems else self._left()
        for home in self._rows.keys() - left if left else ():
            with suppress(PinataError):  # the next apply does it
                self._update(home, dict, left)
        if errors:
            raise errors[0]

    def _left(self) -> set[Home]:
        """Homes that no account is declared at, and whose inventory is there and empty, now and not only when planned.

        One that is not there at all may be a Vault that is being restored.
        """
        empty = {home for home, known in self._known.items() if known.version and not known.entries} - self._plan.homes
        named = [document for known in self._known.values() for document in known.homes]
        left = set()
        for home in empty:
            with suppress(PinataError):
                reach = self._reach.get(home) or next(
                    (s for s in map(from_document, named) if home_of(s) == home), None
                )
                now = inventory.read(self._access.documents(reach), self._plan.fleet) if reach else Inventory()
                if now.version and not now.entries:
                    left.add(home)
        return left

    def _gone(self, done: Collection[str]) -> dict[Home, dict[str, Home | None]]:
        """The names that are let go of, by home."""
        # A renamed account is ours by its former mark until the new one is written: its former entry vouches for that.
        unmarked = {
            row.account
            for row in self._plan.rows
            if row.declared and row.account and row.kind is not Kind.NONE and row.name not in done
        }
        gone: dict[Home, dict[str, Home | None]] = {}
        for row in self._plan.rows:
            if row.kind is Kind.FORGET and row.entry and row.entry.account in unmarked:
                continue
            former = row.moved_from or (row.entry if row.kind in (Kind.PRUNE, Kind.FORGET) else None)
            if row.declared and row.declared.mode is Mode.OBSERVED:
                former = row.entry  # only looked at now: nothing may switch it off once it is gone from the manifests
            if former and (row.name in done or row.kind is Kind.NONE):
                with suppress(PinataError):
                    declared = home_of(row.settings) if row.moved_from and row.settings else None
                    gone.setdefault(home_of(former.settings()), {})[row.name] = declared
        return gone

    def _begun(self, row: Row) -> Entry:
        old, declared = row.entry, row.declared
        entry = Entry(
            row.name,
            row.account or "",
            to_document(row.settings) if row.settings else {},
            prune=bool(declared and declared.prune),
            protect=bool(declared and declared.protect),
            declared=old.declared if old and row.kind is not Kind.DISABLE else "",
            day=old.day if old else "",
            mints=old.mints if old else 0,
        )
        return counted(entry, self._today) if row.kind in MINTS else entry

    def _update(
        self, home: Home, change: Callable[[Mapping[str, Entry]], dict[str, Entry]], left: Collection[Home] = ()
    ) -> None:
        documents = self._access.documents(self._reach[home])
        known = self._known.get(home, Inventory())
        self._known[home] = inventory.update(documents, self._plan.fleet, known, change, self._documents, left)


def _overtaken(name: str) -> Conflict:
    return Conflict(
        "another run has changed this account, or let go of it, since it was planned.",
        about=name,
        hint="Plan again, by the manifests of now.",
    )
