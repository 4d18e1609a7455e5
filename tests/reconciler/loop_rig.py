"""The loop's parts that tests of it share: a listener that remembers, and a loop on the doubles in virtual time."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from threading import Event as Flag
from typing import Any

from fake_fleet import NOW, FakeFleet, manifest

from pulumi_pinata.core.settings import Settings
from reconciler.fleetplan import Result
from reconciler.guards import Limits
from reconciler.loop.board import Board
from reconciler.loop.cycle import Cycle
from reconciler.loop.events import Event, EventKind
from reconciler.loop.listener import Listener, Listeners
from reconciler.loop.loop import Intervals, Loop, Surroundings
from reconciler.loop.source import Checkout
from reconciler.loop.view import FleetView
from reconciler.manifest.declared import Manifest


class Heard(Listener):
    def __init__(self) -> None:
        self.events: list[Event] = []
        self.passes: list[FleetView] = []
        self.whole: list[bool] = []
        self.results: list[Result] = []

    def told(self, events: Sequence[Event]) -> None:
        self.events += events

    def passed(self, view: FleetView, *, seconds: float, whole: bool) -> None:
        self.passes.append(view)
        self.whole.append(whole)

    def ended(self, result: Result, run: str, commit: str | None) -> None:
        self.results.append(result)

    def kinds(self, account: str | None = None) -> list[EventKind]:
        return [event.kind for event in self.events if account in (None, event.account)]


@dataclass
class Rig:
    """A loop over a fleet of doubles; `commit` puts new manifests where the loop finds them.

    `error` is raised by the source, `unloadable` by the reading of what it gave; `fetching` is called in the middle of
    a fetch; `waits` are the seconds that the loop wanted to wait.
    """

    fleet: FakeFleet = field(default_factory=FakeFleet)
    limits: Limits = field(default_factory=Limits)

    def __post_init__(self) -> None:
        self.clock = self.fleet.clock
        self.began = self.clock.now
        self.board, self.heard, self.rates = Board(), Heard(), list[float | None]()
        self.contents: dict[str, str | None] = {}
        self.content: Callable[[Settings], str | None] = lambda settings: self.contents.get(
            str(settings.credentials.name)  # type: ignore[union-attr]
        )
        self.keep_alive: Callable[[], float] = lambda: float("inf")
        self.error: Exception | None = None
        self.unloadable: Exception | None = None
        self.fetching: Callable[[], object] = lambda: None
        self.fetches = 0
        self.waits: list[float] = []
        self._commits: list[Manifest] = []
        self.broken: list[Exception] = []
        listeners = Listeners([self.heard], self.broken.append)
        self.cycle = Cycle(self.fleet, self.board, listeners, self.limits, 4, Flag(), self.now, self.clock.monotonic)
        around = Surroundings(
            load=self._load,
            slow=self.rates.append,
            content=lambda settings: self.content(settings),
            keep_alive=lambda: self.keep_alive(),
            broken=self.broken.append,
        )
        self.loop = Loop(
            self, self.cycle, around, Intervals(60, 300), dice=lambda: 0.5, clock=self.clock.monotonic, wait=self.wait
        )

    def now(self) -> datetime:
        return NOW + timedelta(seconds=self.clock.now - self.began)

    name = "a repository"

    def fetch(self) -> Checkout:
        self.fetches += 1
        self.fetching()
        if self.error:
            raise self.error
        return Checkout((Path(),), commit=str(len(self._commits)))

    def _load(self, checkout: Checkout) -> Manifest:
        if self.unloadable:
            raise self.unloadable
        return self._commits[int(checkout.commit or 0) - 1]

    def commit(self, *accounts: Any, **values: Any) -> None:
        digest = f"d{len(self._commits) + 1}"
        self._commits.append(manifest(*accounts, **{"digest": digest, **values}))

    def wait(self, wake: Flag, seconds: float) -> None:
        self.waits.append(seconds)
        left = seconds
        while not wake.is_set() and left > 0:
            self.clock.jump(min(1.0, left))
            left -= 1.0
        if not seconds:
            self.clock.jump(0.001)

    def let(self, **values: Any) -> None:
        """Put other values into what the passes have in common, or other `listeners` before the one that remembers."""
        if "listeners" in values:
            heard = [*values.pop("listeners"), self.heard]
            values["listener"] = Listeners(heard, self.broken.append)
        self.cycle = self.loop._cycle = replace(self.cycle, **values)

    def run(self, seconds: float = 10.0, **at: Callable[[], object]) -> None:
        """Let it run so long."""
        self.clock.at(seconds, self.loop.stop)
        self.loop.run()
        self.cycle.stop.clear()

    def looks(self) -> int:
        return len(self.fleet.opened)

    def view(self, name: str) -> Any:
        return self.board.view.accounts[name]
