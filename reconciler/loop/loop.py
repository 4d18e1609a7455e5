"""When passes are made, and of whom; the only place that waits.

The source is asked every `poll` seconds, all accounts are looked at every `interval` seconds and after each change,
and those that fail when `schedule` says so. A source that fails leaves the last good manifests in force.
"""

import math
import random
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from threading import Event

from pulumi_pinata.core.errors import PinataError, Refused
from pulumi_pinata.core.settings import Settings
from reconciler.loop import events
from reconciler.loop.cycle import Cycle
from reconciler.loop.failing import Failing
from reconciler.loop.schedule import jittered
from reconciler.loop.source import Checkout, Source
from reconciler.manifest.declared import Manifest

_GAP = 5.0  # between passes over failing accounts, since each reads the inventory too; and between early polls
_LONGEST_WAIT = 15.0  # so that the loop gives a sign of life, and sees credentials that were replaced
_FIRST_RATE = 20.0
_DEEP = 12  # one pass in so many reads both generation markers
_OF_COMMIT = "--allowed-signers"  # what is wrong then is the commit, and the next one may be signed
_SYNC_GAP = 600.0  # between syncs that also try refused JWTs again: every push may be one


@dataclass(frozen=True)
class Intervals:
    """Seconds between looks at the source, and between looks at all accounts; a tenth more or less by chance."""

    poll: float = 60.0
    whole: float = 300.0


@dataclass(frozen=True)
class Surroundings:
    """What the loop needs of those that connect.

    `load` reads manifests; `slow` bounds the calls a second to each Pinata API (None: as before); `content` is a digest
    of what an account's reference to credentials holds now; `keep_alive` renews what is due, and says in how many
    seconds something is due next. `broken` hears of defects: the loop goes on.
    """

    load: Callable[[Checkout], Manifest]
    slow: Callable[[float | None], None]
    content: Callable[[Settings], str | None]
    keep_alive: Callable[[], float]
    broken: Callable[[Exception], None]


class Cut(BaseException):
    """Raised by a signal's handler in `Loop.run`'s thread, while `Loop.fetching`: nobody waits for a server to stop."""


class Loop:
    """Follows a source until it is stopped. `run` belongs to one thread; `sync` and `stop` to any."""

    def __init__(
        self,
        source: Source,
        cycle: Cycle,
        around: Surroundings,
        intervals: Intervals,
        *,
        dice: Callable[[], float] = random.random,
        clock: Callable[[], float] = time.monotonic,
        wait: Callable[[Event, float], object] = Event.wait,
    ) -> None:
        self._source = source
        self._cycle = cycle
        self._around = around
        self._intervals = intervals
        self._dice = dice
        self._clock = clock
        self._wait_for = wait
        self._wake = Event()
        self._sync = Event()
        self._manifest: Manifest | None = None
        self._checkout: Checkout | None = None
        self._failing = Failing(around.content, clock, dice)
        self._poll_at = self._whole_at = self._retry_at = 0.0
        self._broken = 0
        self._wholes = 0
        self._refused = False
        self._agreed: Manifest | None = None
        self._forgiven = -math.inf
        self.fetching = False

    def sync(self) -> None:
        """Ask the source and look at all accounts now; those that fail too."""
        self._sync.set()
        self._wake.set()

    def stop(self) -> None:
        """Begin nothing more: what was begun is finished, then `run` returns. Not for a signal's handler: it locks."""
        self._cycle.stop.set()
        self._cycle.board.change(stopping=True)
        self._wake.set()

    def run(self) -> None:
        """Go on until stopped. Raises Refused when the source cannot be had at the start and it is not a hiccup."""
        while True:
            self._wake.clear()  # before it is looked whether to stop, else that would be slept over
            if self._cycle.stop.is_set():
                return
            self._cycle.board.beat(self._clock())
            if self._sync.is_set():
                self._sync.clear()
                self._forgive()
                self._poll_at = self._whole_at = 0.0
            if self._clock() >= self._poll_at:
                try:
                    self._follow()
                except Cut:
                    return
            try:
                if self._manifest and not self._cycle.stop.is_set():
                    self._passes(self._manifest)
                wait = self._wait()
            except Exception as error:
                # A defect of ours: other accounts, and other days, must still be looked after.
                self._around.broken(error)
                self._whole_at = self._clock() + self._intervals.whole
                wait = _GAP
            self._wait_for(self._wake, wait)

    def _forgive(self) -> None:
        """Look at failing accounts again, but at refused JWTs not for every push."""
        now = self._clock()
        lenient = now >= self._forgiven + _SYNC_GAP
        if lenient:
            self._forgiven = now
        self._failing.forgive(refused=lenient)

    def _follow(self) -> None:
        """Ask the source, and take in what is new."""
        board, began = self._cycle.board, self._clock()
        before, error, changed = board.view, None, False
        was = before.source
        commit = was.commit
        try:
            checkout = self._fetched()
            if checkout != self._checkout:
                known = self._manifest.former if self._manifest else ()
                self._manifest, self._checkout, commit = self._around.load(checkout), checkout, checkout.commit
                if self._manifest.former != known:
                    self._failing.forgive(refused=False)  # no account's own declaration shows it
                changed = True
        except PinataError as caught:
            if self._manifest is None and isinstance(caught, Refused) and caught.about != _OF_COMMIT:
                raise  # a mistake in how it was started; nobody would look at a log for it
            error = str(caught)
        except Exception as caught:
            # A folder that cannot be read now (EACCES, ESTALE), or a defect: what is followed stays in force.
            if self._manifest is None:
                raise
            error = f"an unexpected {type(caught).__name__} came up."
        now = self._cycle.now()
        after = board.change(
            source=replace(
                was,
                name=self._source.name,
                commit=commit,
                changed_at=now if changed else was.changed_at,
                fetched_at=was.fetched_at if error else now,
                error=error,
                failing_since=(was.failing_since or now) if error else None,
            )
        )
        self._poll_at = self._clock() + jittered(self._intervals.poll if self._manifest else _GAP, self._dice)
        if changed:
            self._whole_at = 0.0
        self._cycle.listener.fetched(after, seconds=self._clock() - began, changed=changed)
        self._cycle.listener.told(events.source(before, after, now))

    def _fetched(self) -> Checkout:
        try:
            self.fetching = True
            return self._source.fetch()
        finally:
            self.fetching = False

    def _passes(self, manifest: Manifest) -> None:
        """All accounts if that is due, else those that failed and are due."""
        now = self._clock()
        if now >= self._whole_at:
            self._whole(manifest)
        elif now >= self._retry_at and (names := self._failing.over(manifest.accounts)):
            held = self._failing.contents(each for each in manifest.accounts if each.name in names)
            resting = self._failing.rows(but=names)
            passed = self._cycle.once(manifest, resting=resting, only=names, refused=self._refused)
            self._failing.note(passed, held, self._intervals.whole)
            self._retry_at = self._clock() + _GAP
        self._show()

    def _whole(self, manifest: Manifest) -> None:
        self._failing.keep({each.name for each in manifest.accounts})
        if self._refused:
            self._heal(manifest)
        over = self._failing.over(manifest.accounts)
        over |= manifest.frozen | {each.name for each in manifest.accounts if each.suspend}  # these are not asked
        resting = self._failing.rows(but=over)
        first = self._wholes == 0
        if first:
            # Many reconcilers that start at once, after an outage say, do not all ask for everything at once.
            self._around.slow(max(_FIRST_RATE, 2 * len(manifest.accounts) / self._intervals.whole))
        held = self._failing.contents(each for each in manifest.accounts if each.name not in resting)
        deep = self._wholes % _DEEP == 0
        passed = self._cycle.once(manifest, resting=resting, changed_first=first, deep=deep)
        self._wholes += 1
        if first:
            self._around.slow(None)
        self._failing.note(passed, held, self._intervals.whole)
        if not (passed.refused or passed.error):
            self._agreed = manifest
        elif passed.refused and not self._refused and self._agreed not in (None, manifest):
            self._refused = True
            return self._whole(manifest)  # mends first, then shows what is held back
        self._refused = passed.refused
        self._broken = self._broken + 1 if passed.error else 0
        again = jittered(self._intervals.whole, self._dice)
        if passed.error:
            again = min(again, _GAP * 2.0 ** min(self._broken - 1, 30))
        self._whole_at = self._clock() + again

    def _heal(self, held: Manifest) -> None:
        """While a commit is held back, mend the drift of what was agreed on before: by that, not by the commit."""
        agreed = self._agreed
        if agreed and agreed is not held:
            names = {each.name for each in agreed.accounts} - self._failing.names
            self._cycle.once(agreed, resting=self._failing.rows(), only=names, refused=True)

    def _show(self) -> None:
        """Put on the board when what comes next."""
        board = self._cycle.board
        accounts = {
            name: view if view.retry_at == at else replace(view, retry_at=at)
            for name, view in board.view.accounts.items()
            for at in (self._moment(self._failing.due_at(name)),)
        }
        board.change(accounts=accounts, next_pass=self._moment(self._whole_at))

    def _moment(self, at: float | None) -> datetime | None:
        if at is None:
            return None
        seconds = max(0.0, at - self._clock())
        return (self._cycle.now() + timedelta(seconds=seconds)).replace(microsecond=0)

    def _wait(self) -> float:
        """Seconds until something is due."""
        alive = self._around.keep_alive()
        due = [self._poll_at]
        if self._manifest:
            due += [self._whole_at, max(self._retry_at, self._failing.next_at)]
        return max(0.0, min(min(due) - self._clock(), alive, _LONGEST_WAIT))
