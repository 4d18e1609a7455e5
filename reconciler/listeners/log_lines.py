"""What of a pass is worth a line in the log; what stays as it is, is told once."""

import re
import threading
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from reconciler.fleetplan import FAILURES, Ending, Result
from reconciler.listeners.logs import Log
from reconciler.loop.events import Event, EventKind
from reconciler.loop.listener import Listener
from reconciler.loop.view import AccountView, FleetView
from reconciler.report import names, together

T = TypeVar("T")

_NAMED = 5  # accounts that are named in a line which tells of more
# By "changed", and by a line for each problem and for each refusal of a guard.
_SAID = frozenset({EventKind.KEY_CHANGED, EventKind.KEY_GONE, EventKind.HELD, EventKind.MANIFEST_PROBLEMS})
_GOOD_NEWS = frozenset(
    {EventKind.RECOVERED, EventKind.SOURCE_RECOVERED, EventKind.RELEASED, EventKind.MANIFESTS_MENDED}
)


class LogListener(Listener):
    """Tells the log what passes do. A failure that stays as it is is told once, and then only counted."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._lock = threading.Lock()
        self._failing: dict[str, str] = {}
        self._heard: dict[str, bool] = {}  # changes that failed in this pass, and whether that was news
        self._before: dict[str, object] = {}

    def ended(self, result: Result, run: str, commit: str | None) -> None:
        """See `Listener.ended`."""
        row = result.row
        about: dict[str, Any] = {"run": run, "commit": commit, "account": row.name}
        about |= {"change": row.kind.value, "path": row.path, **({"outage": True} if row.outage else {})}
        if result.ending is Ending.FAILED:
            error = str(result.error)
            about |= {"condition": result.condition.value, "error": error}
            news = self._heard[row.name] = self._is_new(row.name, error)
            (self._log.warning if news else self._log.debug)("change failed", **about)
        elif result.ending is Ending.NOT_STARTED:
            self._log.info("change not begun", **about)
        else:
            self._log.info("changed", **about, version=result.version or None, fingerprint=result.fingerprint)

    def noticed(self, name: str, line: str, run: str) -> None:
        """See `Listener.noticed`."""
        self._log.info("notice", run=run, account=name, notice=line)

    def told(self, events: Sequence[Event]) -> None:
        """See `Listener.told`."""
        for alike in _alike([event for event in events if event.kind not in _SAID], lambda event: event.kind):
            first, *more = alike
            say = self._log.info if first.kind in _GOOD_NEWS else self._log.warning
            about = {"account": first.account, "path": first.path, "version": first.version}
            if more:
                about = {"count": len(alike), "accounts": names([event.account or "" for event in alike], most=_NAMED)}
            shown = {name: value for name, value in about.items() if value is not None}
            say("told", run=first.run, commit=first.commit, kind=first.kind.value, **shown, message=first.message)

    def passed(self, view: FleetView, *, seconds: float, whole: bool) -> None:
        """See `Listener.passed`."""
        last = view.last
        about: dict[str, Any] = {"run": last.run if last else None, "commit": view.source.commit}
        again = self._failures(view, about, whole=whole)
        if self._changed("problem", view.problems):
            for line in view.problems:
                self._log.warning("problem in a manifest", **about, what=line)
        if self._changed("held", view.held):
            todo = f"pinata-reconciler plan, then correct the manifests or apply --acknowledge {view.checksum}"
            for line in view.held:
                self._log.warning("held back", **about, what=line, checksum=view.checksum, next=todo)
        kinds: dict[str, int] = {}
        for account in view.accounts.values():
            kinds[account.condition.value] = kinds.get(account.condition.value, 0) + 1
        good = last is not None and last.good
        say = self._log.info if good else self._log.warning
        if not whole and not any(self._heard.values()):
            say = self._log.debug  # failing accounts are tried again every few seconds
        say(
            "pass" if whole else "failing accounts tried again",
            **about,
            seconds=round(seconds, 3),
            good=good,
            summary=last.summary if last else "",
            accounts=kinds,
            **({"failing_as_before": again} if again else {}),
        )
        self._heard.clear()

    def fetched(self, view: FleetView, *, seconds: float, changed: bool) -> None:
        """See `Listener.fetched`."""
        source, about = view.source, {"commit": view.source.commit, "source": view.source.name}
        news = self._changed("source", _shape(source.error or ""))
        if source.error:
            (self._log.warning if news else self._log.debug)("source failed", **about, error=source.error)
        elif news or changed:
            self._log.info(
                "manifests changed" if changed else "source answers again", **about, seconds=round(seconds, 3)
            )
        else:
            self._log.debug("manifests unchanged", **about, seconds=round(seconds, 3))

    def called(self, upstream: str, operation: str, result: str, seconds: float) -> None:
        """See `Listener.called`."""
        self._log.debug("call", upstream=upstream, operation=operation, result=result, seconds=round(seconds, 3))

    def _failures(self, view: FleetView, about: Mapping[str, Any], *, whole: bool) -> int:
        """Tell those that have changed; the number of those that have not."""
        again = 0
        failing: list[AccountView] = []
        sound: list[AccountView] = []
        for name, account in view.accounts.items():
            if account.failures or account.kind in FAILURES:
                if name in self._heard:
                    again += not self._heard[name]
                elif self._is_new(name, account.reason):
                    failing.append(account)
                else:
                    again += 1
            elif self._recovered(name):
                sound.append(account)
        self._tell_failing(failing, about)
        self._tell_sound(sound, about)
        if whole:
            with self._lock:
                self._failing = {name: shape for name, shape in self._failing.items() if name in view.accounts}
        return again

    def _tell_failing(self, accounts: Sequence[AccountView], about: Mapping[str, Any]) -> None:
        for first, *more in _alike(accounts, lambda account: (account.condition, _shape(account.reason))):
            shown = {"condition": first.condition.value, "error": first.reason}
            if more:
                self._log.warning("accounts fail", **about, **_named([first, *more]), **shown)
            else:
                self._log.warning("account fails", **about, account=first.name, **shown, path=first.path)

    def _tell_sound(self, accounts: Sequence[AccountView], about: Mapping[str, Any]) -> None:
        for first, *more in _alike(accounts, lambda account: account.condition):
            shown = {"condition": first.condition.value}
            if more:
                self._log.info("accounts no longer fail", **about, **_named([first, *more]), **shown)
            else:
                self._log.info("account no longer fails", **about, account=first.name, **shown)

    def _is_new(self, name: str, error: str) -> bool:
        with self._lock:
            before, self._failing[name] = self._failing.get(name), _shape(error)
            return before != self._failing[name]

    def _recovered(self, name: str) -> bool:
        with self._lock:
            return self._failing.pop(name, None) is not None

    def _changed(self, what: str, now: object) -> bool:
        before, self._before[what] = self._before.get(what), now
        return (before or None) != (now or None)


def _alike(news: Sequence[T], key: Callable[[T], Hashable]) -> Iterator[list[T]]:
    """What is to be told in a line: each by itself, but together what more than _NAMED have in common.

    An outage concerns all accounts at once.
    """
    for alike in together(news, key):
        yield from [alike] if len(alike) > _NAMED else [[each] for each in alike]


def _named(accounts: Sequence[AccountView]) -> dict[str, Any]:
    return {"count": len(accounts), "accounts": names([account.name for account in accounts], most=_NAMED)}


def _shape(error: str) -> str:
    """A text without its numbers: "tried again in 4 s" is no news after "tried again in 9 s"."""
    return re.sub(r"\d+", "#", error)
