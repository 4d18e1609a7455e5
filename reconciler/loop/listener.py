"""Who hears what a pass does: audit log, notifications, metrics, log; each overrides what concerns it."""

from collections.abc import Callable, Sequence

from reconciler.fleetplan import Result, Row
from reconciler.loop.events import Event
from reconciler.loop.view import FleetView


class Listener:
    """All methods do nothing here; they are called by any thread, and must not wait for a network.

    `run` names a pass, `commit` the manifests that it follows.
    """

    def begins(self, row: Row, run: str, commit: str | None) -> None:
        """An account is about to be changed. Raises PinataError where that must not happen now: it is then left."""

    def ended(self, result: Result, run: str, commit: str | None) -> None:
        """An account was changed, or that failed, or it was not begun. `result.row` is what was planned."""

    def noticed(self, name: str, line: str, run: str) -> None:
        """Something to know in the middle of a change: another run is waited for, Vault does not answer."""

    def told(self, events: Sequence[Event]) -> None:
        """Things that are worth telling people."""

    def passed(self, view: FleetView, *, seconds: float, whole: bool) -> None:
        """A pass is over; `whole` unless it only tried failing accounts again."""

    def fetched(self, view: FleetView, *, seconds: float, changed: bool) -> None:
        """The source was asked; `view.source` says what came of it."""

    def called(self, upstream: str, operation: str, result: str, seconds: float) -> None:
        """A call to `pinata` or `vault` has ended.

        `operation` is the port's method; `result` is ok, transient, ambiguous, conflict or refused.
        """


class Listeners(Listener):
    """Several as one, in order. A defect in one of them must neither stop a pass nor keep the others from hearing."""

    def __init__(self, listeners: Sequence[Listener], broken: Callable[[Exception], None]) -> None:
        self._listeners = listeners
        self._broken = broken

    def begins(self, row: Row, run: str, commit: str | None) -> None:
        """See `Listener.begins`; what one of them raises is raised."""
        for listener in self._listeners:
            listener.begins(row, run, commit)

    def ended(self, result: Result, run: str, commit: str | None) -> None:
        """See `Listener.ended`."""
        self._all(lambda listener: listener.ended(result, run, commit))

    def noticed(self, name: str, line: str, run: str) -> None:
        """See `Listener.noticed`."""
        self._all(lambda listener: listener.noticed(name, line, run))

    def told(self, events: Sequence[Event]) -> None:
        """See `Listener.told`; not called for nothing."""
        if events:
            self._all(lambda listener: listener.told(events))

    def passed(self, view: FleetView, *, seconds: float, whole: bool) -> None:
        """See `Listener.passed`."""
        self._all(lambda listener: listener.passed(view, seconds=seconds, whole=whole))

    def fetched(self, view: FleetView, *, seconds: float, changed: bool) -> None:
        """See `Listener.fetched`."""
        self._all(lambda listener: listener.fetched(view, seconds=seconds, changed=changed))

    def called(self, upstream: str, operation: str, result: str, seconds: float) -> None:
        """See `Listener.called`."""
        self._all(lambda listener: listener.called(upstream, operation, result, seconds))

    def _all(self, tell: Callable[[Listener], None]) -> None:
        for listener in self._listeners:
            try:
                tell(listener)
            except Exception as error:
                self._broken(error)
