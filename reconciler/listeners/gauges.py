"""The gauges of the loop, made from the board when they are asked for."""

from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime

from prometheus_client.core import GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from reconciler.fleetplan import Condition
from reconciler.loop.view import AccountView, FleetView

PREFIX = "pinata_reconciler_"
MOST_APIS = 20
_LONGEST = 200  # characters of a label's value

Sample = tuple[tuple[str, ...], float]


@dataclass(frozen=True)
class Described:
    """A metric as the reference page lists it; `name` is the series' name, without a histogram's suffixes."""

    name: str
    type: str
    labels: tuple[str, ...]
    meaning: str


@dataclass(frozen=True)
class Now:
    """What gauges are made from; times in seconds since 1970."""

    view: FleetView
    time: float
    silence: float
    budget: Mapping[str, tuple[float, float]]
    login_expiry: float | None
    version: str

    @property
    def drifted(self) -> list[datetime]:
        """Since when it is known of each account that differs."""
        return [each.drifted_at for each in self.view.accounts.values() if each.drifted_at]

    @property
    def watched(self) -> list[AccountView]:
        """The accounts whose credits somebody wants to be warned of."""
        return [each for each in self.view.accounts.values() if each.alert_below is not None]

    @property
    def apis(self) -> dict[str, tuple[float, float]]:
        """The budget by host, of no more APIs than a scraper should have to bear."""
        return {_host(name): self.budget[name] for name in sorted(self.budget)[:MOST_APIS]}


@dataclass(frozen=True)
class _Gauge:
    name: str
    meaning: str
    samples: Callable[[Now], Iterable[Sample]]
    labels: tuple[str, ...] = ()


def _one(name: str, meaning: str, value: Callable[[Now], float]) -> _Gauge:
    return _Gauge(name, meaning, lambda now: [((), value(now))])


def _seconds(moment: datetime | None) -> float:
    return moment.timestamp() if moment else 0.0


def _accounts(now: Now) -> Iterator[Sample]:
    tally = Counter(each.condition for each in now.view.accounts.values())
    yield from (((condition.value,), tally[condition]) for condition in Condition)


GAUGES = (
    _Gauge("build_info", "1; the version of this program", lambda now: [((now.version,), 1)], ("version",)),
    _Gauge("fleet_info", "1; the fleet's name", lambda now: [((now.view.fleet,), 1)], ("fleet",)),
    _one("loop_silence_seconds", "for how long the loop has given no sign of life", lambda now: now.silence),
    _one(
        "last_pass_timestamp_seconds",
        "when the last pass over all accounts ended; 0: none yet",
        lambda now: _seconds(now.view.last.ended if now.view.last else None),
    ),
    _one(
        "last_good_pass_timestamp_seconds",
        "when a pass last left every account as declared; 0: none yet",
        lambda now: _seconds(now.view.last_good),
    ),
    _one(
        "next_pass_timestamp_seconds",
        "when the next pass over all accounts is due; 0: not known",
        lambda now: _seconds(now.view.next_pass),
    ),
    _Gauge("accounts", "accounts by condition; all conditions are always there", _accounts, ("condition",)),
    _one(
        "failing_accounts",
        "accounts that could not be had as declared when they were last tried",
        lambda now: sum(each.failures > 0 for each in now.view.accounts.values()),
    ),
    _one(
        "open_intents",
        "accounts whose change was cut off and is not finished yet (condition Interrupted)",
        lambda now: sum(each.condition is Condition.INTERRUPTED for each in now.view.accounts.values()),
    ),
    _one(
        "drifted_accounts",
        "accounts that differ though their declaration has not changed",
        lambda now: len(now.drifted),
    ),
    _one(
        "oldest_drift_age_seconds",
        "for how long the oldest of these differences has been known; 0: there is none",
        lambda now: max(0.0, now.time - min(map(_seconds, now.drifted), default=now.time)),
    ),
    _one(
        "guard_holds",
        "refusals by guards that held changes back in the last pass over all accounts",
        lambda now: len(now.view.held),
    ),
    _one(
        "manifest_problems",
        "errors in the manifests that are followed; what they are about is left as it is (condition Suspended)",
        lambda now: len(now.view.problems),
    ),
    _Gauge(
        "source_info",
        "1; where the manifests come from, and the commit that is followed (empty: no history)",
        lambda now: [((now.view.source.name, now.view.source.commit or ""), 1)],
        ("source", "commit"),
    ),
    _one(
        "source_last_fetch_timestamp_seconds",
        "when the manifests were last had, changed or not; 0: not yet",
        lambda now: _seconds(now.view.source.fetched_at),
    ),
    _one(
        "source_last_change_timestamp_seconds",
        "when the commit that is followed was first seen; 0: none yet",
        lambda now: _seconds(now.view.source.changed_at),
    ),
    _one(
        "source_failing",
        "1 while the manifests cannot be had, and the last good ones stay in force; else 0",
        lambda now: float(now.view.source.error is not None),
    ),
    _Gauge(
        "rate_limit_calls_per_second",
        f"calls that an API may be sent; at most {MOST_APIS} APIs, none that has no bound",
        lambda now: [((name,), limit) for name, (limit, _) in now.apis.items()],
        ("api",),
    ),
    _Gauge(
        "rate_available_calls",
        "calls that an API may be sent at once now; below 0 the next account waits",
        lambda now: [((name,), available) for name, (_, available) in now.apis.items()],
        ("api",),
    ),
    _one(
        "vault_login_expiry_timestamp_seconds",
        "when the first of the logins to Vault ends unless it is renewed; 0: not known, or never",
        lambda now: now.login_expiry or 0.0,
    ),
    _one(
        "next_rotation_timestamp_seconds",
        "when the first key reaches its `rotation.maxAge`; 0: none does",
        lambda now: min(
            (_seconds(each.rotates_at) for each in now.view.accounts.values() if each.rotates_at), default=0
        ),
    ),
    _one(
        "credits_low_accounts",
        "accounts with fewer credits than their `credits.alertBelow`",
        lambda now: sum(each.credits_low for each in now.watched),
    ),
    _Gauge(
        "account_credits",
        "credits left; only where `credits.alertBelow` is declared and the balance is known",
        lambda now: [((each.name,), each.credits) for each in now.watched if each.credits is not None],
        ("account",),
    ),
    _Gauge(
        "account_credits_alert_threshold",
        "the declared `credits.alertBelow`; only where there is one",
        lambda now: [((each.name,), each.alert_below) for each in now.watched if each.alert_below is not None],
        ("account",),
    ),
)


class FromBoard(Collector):
    """All gauges, of what `now` gives when they are asked for."""

    def __init__(self, now: Callable[[], Now]) -> None:
        self._now = now

    def describe(self) -> Iterator[Metric]:
        """What there is, without asking anybody."""
        return (GaugeMetricFamily(PREFIX + each.name, each.meaning, labels=each.labels) for each in GAUGES)

    def collect(self) -> Iterator[Metric]:
        """The gauges of now."""
        now = self._now()
        for gauge in GAUGES:
            family = GaugeMetricFamily(PREFIX + gauge.name, gauge.meaning, labels=gauge.labels)
            for values, number in gauge.samples(now):
                family.add_metric([_text(value) for value in values], number)
            yield family


def _text(value: str) -> str:
    """A label's value. What is no UTF-8 (a lone surrogate, from a file's name) would fail the whole scrape."""
    return value[:_LONGEST].encode("utf-8", "replace").decode()


def _host(address: str) -> str:
    """The host and port of an API; whatever else an address may carry stays away."""
    return address.partition("://")[2].partition("/")[0].rpartition("@")[2] or address
