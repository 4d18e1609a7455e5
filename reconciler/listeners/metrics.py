"""Prometheus metrics of the loop: counted as a `Listener`; `gauges` are looked up on the board beside them."""

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import TypeVar

from prometheus_client import CollectorRegistry, Counter, Histogram, ProcessCollector
from prometheus_client.core import Metric
from prometheus_client.exposition import generate_latest
from prometheus_client.openmetrics import exposition as openmetrics
from prometheus_client.registry import Collector

from pulumi_pinata import __version__
from reconciler.fleetplan import CHANGES, MINTS, Ending, Kind, Result, Row
from reconciler.listeners.gauges import GAUGES, PREFIX, Described, FromBoard, Now
from reconciler.loop.board import Board
from reconciler.loop.events import Event, EventKind
from reconciler.loop.listener import Listener
from reconciler.loop.view import AccountView, FleetView

CALL_RESULTS = ("ok", "transient", "ambiguous", "conflict", "refused")
NOTIFICATION_RESULTS = ("sent", "failed", "dropped")
CLASSIC = "text/plain; version=0.0.4; charset=utf-8"

# In seconds. A call is given up after half an account's `timeout`, which is 20 unless declared otherwise.
_CALL = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30)
_FETCH = (0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)
_PASS = (0.5, 1, 2.5, 5, 10, 30, 60, 120, 300, 600, 1800)
_HEAL = (1, 5, 15, 60, 300, 900, 3600, 4 * 3600, 24 * 3600)

M = TypeVar("M", Counter, Histogram)


class Metrics(Listener):
    """The metrics of one loop, in a registry of their own.

    `budget` gives calls a second and calls at once by API address, `login_expiry` the moment (seconds since 1970) at
    which the first Vault login ends. No label but those of credits grows with the fleet, and none holds an error's
    text: neither a secret nor a thousand series can get in by one.
    """

    def __init__(
        self,
        board: Board,
        *,
        clock: Callable[[], float] = time.time,
        monotonic: Callable[[], float] = time.monotonic,
        budget: Callable[[], Mapping[str, tuple[float, float]]] = dict,
        login_expiry: Callable[[], float | None] = lambda: None,
        version: str = __version__,
    ) -> None:
        self._clock = clock
        self._registry = CollectorRegistry()
        self._counted: list[Described] = []
        self._lock = threading.Lock()
        self._drifting: dict[str, float] = {}
        self._planned: tuple[str, float] = ("", 0.0)
        self._by_call: dict[tuple[str, str], tuple[dict[str, Counter], Histogram]] = {}
        self._passes = self._counter(
            "passes",
            "passes; whole: over all accounts, some: over those that failed; good: all of these are as declared",
            ("scope", "result"),
            [(scope, result) for scope in ("whole", "some") for result in ("good", "bad")],
        )
        self._pass_time = self._histogram("pass_duration", "how long a pass took", _PASS, ("scope",))
        self._changes = self._counter(
            "changes",
            "changes to accounts by what was planned, and what became of it",
            ("kind", "ending"),
            [(kind.value, _word(ending)) for kind in Kind if kind in CHANGES for ending in Ending],
        )
        self._mints = self._counter(
            "mints",
            "new keys by what was planned; resume: the mint of a run that was cut off",
            ("kind",),
            [(kind.value,) for kind in Kind if kind in MINTS or kind is Kind.RESUME],
        )
        self._heal_time = self._histogram("drift_heal_duration", "from when a drift was found until it was gone", _HEAL)
        self._events = self._counter(
            "events", "things that people are told of", ("kind",), [(kind.value,) for kind in EventKind]
        )
        self._calls = self._counter(
            "upstream_calls", "calls to Pinata and Vault", ("upstream", "operation", "result"), ()
        )
        self._call_time = self._histogram(
            "upstream_call_duration", "how long a call took", _CALL, ("upstream", "operation")
        )
        self._fetches = self._counter(
            "source_fetches",
            "looks at the source of the manifests",
            ("result",),
            [("changed",), ("unchanged",), ("failed",)],
        )
        self._fetch_time = self._histogram("source_fetch_duration", "how long a look at the source took", _FETCH)
        self._notifications = self._counter(
            "notifications", "notifications to the webhook", ("result",), [(each,) for each in NOTIFICATION_RESULTS]
        )

        def now() -> Now:
            return Now(board.view, clock(), board.silence(monotonic()), budget(), login_expiry(), version)

        self._registry.register(FromBoard(now))
        ProcessCollector(registry=self._registry)

    @property
    def described(self) -> list[Described]:
        """All metrics but the process's own (`process_…`), in the order of the page."""
        gauges = [Described(PREFIX + each.name, "gauge", each.labels, each.meaning) for each in GAUGES]
        return [*gauges, *self._counted]

    def render(self, accept: str = "") -> tuple[bytes, str]:
        """The metrics and their content type; in OpenMetrics if `accept` (the request's header) asks for it."""
        encode: Callable[[Collector], bytes] = generate_latest
        content_type = CLASSIC
        if openmetrics.CONTENT_TYPE_LATEST.partition(";")[0] in accept:
            encode, content_type = openmetrics.generate_latest, openmetrics.CONTENT_TYPE_LATEST
        return encode(_WithoutCreated(self._registry)), content_type

    def notified(self, result: str) -> None:
        """A notification was sent, failed for good, or was dropped."""
        self._notifications.labels(result).inc()

    def begins(self, row: Row, run: str, commit: str | None) -> None:
        """See `Listener.begins`: the first of a pass marks when all that it changes was found."""
        with self._lock:
            if self._planned[0] != run:
                self._planned = (run, self._clock())

    def ended(self, result: Result, run: str, commit: str | None) -> None:
        """See `Listener.ended`."""
        row = result.row
        self._changes.labels(row.kind.value, _word(result.ending)).inc()
        if result.ending is not Ending.DONE:
            return
        finished = row.kind is Kind.RESUME and result.fingerprint not in (None, row.fingerprint)
        if row.kind in MINTS or finished:
            self._mints.labels(row.kind.value).inc()
        if row.drifted:
            now = self._clock()
            with self._lock:
                planned = self._planned[1] if self._planned[0] == run else now
                found = self._drifting.pop(row.name, planned)
            self._heal_time.observe(max(0.0, now - found))

    def told(self, events: Sequence[Event]) -> None:
        """See `Listener.told`."""
        for event in events:
            self._events.labels(event.kind.value).inc()

    def passed(self, view: FleetView, *, seconds: float, whole: bool) -> None:
        """See `Listener.passed`."""
        scope = "whole" if whole else "some"
        self._passes.labels(scope, "good" if view.last and view.last.good else "bad").inc()
        self._pass_time.labels(scope).observe(seconds)
        for since in self._follow(view.accounts):
            self._heal_time.observe(max(0.0, self._clock() - since))

    def fetched(self, view: FleetView, *, seconds: float, changed: bool) -> None:
        """See `Listener.fetched`."""
        self._fetches.labels("failed" if view.source.error else "changed" if changed else "unchanged").inc()
        self._fetch_time.observe(seconds)

    def called(self, upstream: str, operation: str, result: str, seconds: float) -> None:
        """See `Listener.called`."""
        # Looking labels up costs more than all the rest of it; two threads that do it at once find the same.
        known = self._by_call.get((upstream, operation))
        if known is None:
            results = {each: self._calls.labels(upstream, operation, each) for each in CALL_RESULTS}
            known = self._by_call[upstream, operation] = (results, self._call_time.labels(upstream, operation))
        known[0][result].inc()
        known[1].observe(seconds)

    def _follow(self, accounts: Mapping[str, AccountView]) -> list[float]:
        """Keep track of what drifts; returns since when it was known of that which is in order without a change."""
        healed = []
        with self._lock:
            for name in list(self._drifting):
                account = accounts.get(name)
                if account is None or account.kind in (Kind.NONE, Kind.SKIP):
                    since = self._drifting.pop(name)
                    healed += [since] if account and account.kind is Kind.NONE else []
            for name, account in accounts.items():
                if account.drifted_at:
                    self._drifting.setdefault(name, account.drifted_at.timestamp())
        return healed

    def _counter(self, name: str, meaning: str, labels: Sequence[str], known: Iterable[tuple[str, ...]]) -> Counter:
        """A counter that begins with 0 for what is `known`, so that the first of each is seen to be one more."""
        made = self._noted(Counter(PREFIX + name, meaning, labels, registry=self._registry), "_total", meaning, labels)
        for values in known:
            made.labels(*values)
        return made

    def _histogram(self, name: str, meaning: str, buckets: Sequence[float], labels: Sequence[str] = ()) -> Histogram:
        made = Histogram(
            f"{PREFIX}{name}", meaning, labels, unit="seconds", registry=self._registry, buckets=tuple(buckets)
        )
        return self._noted(made, "", meaning, labels)

    def _noted(self, made: M, suffix: str, meaning: str, labels: Sequence[str]) -> M:
        (family,) = made.describe()
        self._counted.append(Described(family.name + suffix, family.type, tuple(labels), meaning))
        return made


class _WithoutCreated(Collector):
    """Without the moments at which each counter was made: they would double the series, and nobody asks."""

    def __init__(self, registry: CollectorRegistry) -> None:
        self._registry = registry

    def collect(self) -> Iterator[Metric]:
        for metric in self._registry.collect():
            metric.samples = [each for each in metric.samples if not each.name.endswith("_created")]
            yield metric


def _word(ending: Ending) -> str:
    return ending.value.replace(" ", "_")
