"""The services that all accounts share: their connections, how fast they are asked, when they are left alone."""

import random
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from typing import Protocol

from pulumi_pinata.adapters.vault_kv import VaultStore
from pulumi_pinata.core.errors import PinataError, Transient
from pulumi_pinata.core.settings import Settings
from pulumi_pinata.wiring import Connections, Session, local_identity, session
from reconciler.conditions import is_outage, of_error
from reconciler.fleetplan import Condition
from reconciler.inventory import Documents, default_settings, home_of
from reconciler.metered import Called, metered, result_of
from reconciler.pacing import Breaker, Bucket, Pause, full_jitter

DEFAULT_RATE = 100.0
_TRIES = 3
_READS = frozenset({"stat", "read", "record", "field"})


class Access(Protocol):
    """How the stages reach an account and the inventories."""

    def account(self, settings: Settings, notice: Callable[[str], None]) -> AbstractContextManager[Session]:
        """One account, ready to be worked on. Raises PinataError."""
        ...

    def documents(self, settings: Settings) -> Documents:
        """The documents at the home of an account."""
        ...

    def identity(self, settings: Settings) -> str | None:
        """The account's fingerprint as far as this machine alone can tell."""
        ...

    def default_home(self) -> Settings | None:
        """Where to look for an inventory when nothing is declared."""
        ...


@dataclass
class _Upstream:
    """One service."""

    bucket: Bucket
    breaker: Breaker
    pause: Pause = field(default_factory=Pause)


class Upstreams:
    """`Access` by real connections; `rate` bounds the calls to Pinata, a second (0: not at all).

    `called(upstream, operation, result, seconds)` hears of every call: to `pinata` or `vault`, by the name of its
    port's method (a top-up's and a balance's begin with `credits_`), with a result of `metered.result_of`.
    """

    def __init__(
        self,
        connections: Connections,
        *,
        rate: float = DEFAULT_RATE,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        dice: Callable[[], float] = random.random,
        called: Callable[[str, str, str, float], None] = lambda upstream, operation, result, seconds: None,
        stop: threading.Event | None = None,
    ) -> None:
        self._connections = connections
        self._rate = rate
        self._slowed: float | None = None
        self._clock = clock
        self._sleep = sleep
        self._dice = dice
        self._called = called
        self._stop = stop or threading.Event()
        self._lock = threading.Lock()
        self._apis: dict[str, _Upstream] = {}
        self._vaults: dict[str, _Upstream] = {}

    @contextmanager
    def account(self, settings: Settings, notice: Callable[[str], None]) -> Iterator[Session]:
        """See `Access.account`; begins when the services may be asked, or fails at once while they do not answer."""
        pinata, vault = self._api(settings.api_url), self._vault(settings)
        self._admit(pinata, "pinata", "apiUrl")
        try:
            self._admit(vault, "vault", "vault.address")
        except PinataError:
            self._unsure(pinata)
            raise
        try:
            through = self._to_vault(vault)
            with session(settings, notice=notice, connections=self._connections, through=through) as found:
                yield self._metered(found, pinata)
        except PinataError as error:
            self._ended(pinata, vault, error)
            raise
        except BaseException:
            self._unsure(pinata, vault)
            raise
        self._ended(pinata, vault, None)

    def documents(self, settings: Settings) -> Documents:
        """See `Access.documents`; reads are tried again, since all accounts of a home depend on its inventory."""

        def again(operation: str, attempt: int, error: PinataError) -> bool:
            return operation == "document" and self._again(attempt, error)

        return metered(self._connections.store(settings.vault, settings.timeout), self._of_vault, again)

    def identity(self, settings: Settings) -> str | None:
        """See `Access.identity`."""
        return local_identity(settings, self._connections.environ)

    def default_home(self) -> Settings | None:
        """See `Access.default_home`: the Vault that the environment names."""
        return default_settings(self._connections.environ)

    def budget(self) -> dict[str, tuple[float, float]]:
        """By API address: how many calls a second are allowed, and how many at once now (below 0: a debt).

        An API without a bound is left out.
        """
        with self._lock:
            now = self._clock()
            for api in self._apis.values():
                api.bucket.charge(now, 0.0)
            return {name: (api.bucket.rate, api.bucket.tokens) for name, api in self._apis.items() if api.bucket.rate}

    def slow(self, rate: float | None) -> None:
        """Ask each API at most `rate` times a second from now on, where that is less than allowed; None: as before."""
        with self._lock:
            self._slowed = rate
            pace, now = self._pace(), self._clock()
            for api in self._apis.values():
                bucket = api.bucket
                bucket.charge(now, 0.0)
                # Without a rate, calls have been charged and never paid for.
                bucket.tokens = min(bucket.tokens, pace.burst) if bucket.rate else pace.burst
                bucket.rate, bucket.burst = pace.rate, pace.burst

    def _pace(self) -> Bucket:
        rate = self._rate if self._slowed is None else min(self._slowed, self._rate or self._slowed)
        return Bucket(rate, max(1.0, 2 * rate))

    def _api(self, address: str) -> _Upstream:
        with self._lock:
            if address not in self._apis:
                self._apis[address] = _Upstream(self._pace(), Breaker(self._dice))
            return self._apis[address]

    def _vault(self, settings: Settings) -> _Upstream:
        name = str(home_of(settings))
        with self._lock:
            if name not in self._vaults:
                self._vaults[name] = _Upstream(Bucket(0, 1.0), Breaker(self._dice))
            return self._vaults[name]

    def _to_vault(self, upstream: _Upstream) -> Callable[[VaultStore], VaultStore]:
        def again(operation: str, attempt: int, error: PinataError) -> bool:
            # Where it has just failed for others, it is down, and to ask for each account again only adds to it.
            return operation in _READS and not upstream.breaker.failures and self._again(attempt, error)

        return lambda store: metered(store, self._of_vault, again)

    def _metered(self, found: Session, upstream: _Upstream) -> Session:
        called = self._of_pinata(upstream)

        def of_credits(operation: str, seconds: float, error: PinataError | None) -> None:
            called(f"credits_{operation}", seconds, error)

        ports = replace(found.ports, pinata=metered(found.ports.pinata, called))
        return replace(found, ports=ports, credits=lambda: metered(found.credits(), of_credits))

    def _of_pinata(self, upstream: _Upstream) -> Called:
        """Count a call to Pinata; none is held back."""

        def called(operation: str, seconds: float, error: PinataError | None) -> None:
            with self._lock:
                now = self._clock()
                upstream.bucket.charge(now)
                if isinstance(error, Transient) and error.retry_after is not None:
                    upstream.pause.asked(now, error.retry_after)
            self._called("pinata", operation, result_of(error), seconds)

        return called

    def _of_vault(self, operation: str, seconds: float, error: PinataError | None) -> None:
        self._called("vault", operation, result_of(error), seconds)

    def _again(self, attempt: int, error: PinataError) -> bool:
        """Whether to send a read once more; waits before."""
        if not isinstance(error, Transient) or attempt >= _TRIES - 1:
            return False
        self._sleep(full_jitter(attempt, base=0.5, cap=4.0, dice=self._dice))
        return True

    def _admit(self, upstream: _Upstream, service: str, about: str) -> None:
        while True:
            with self._lock:
                now = self._clock()
                wait = max(upstream.bucket.wait(now), upstream.pause.wait(now))
                if not wait:
                    blocked = upstream.breaker.blocked(now)
                    break
            if self._stop.is_set():
                raise Transient("the run was asked to stop before it was this account's turn.", about=about)
            self._sleep(min(wait, 1.0))
        if blocked is not None:
            raise Transient(
                f"{service.capitalize()} has failed for other accounts in a row, so it was not asked.",
                about=about,
                service=service,
                hint=f"It is tried again in {blocked:.0f} s.",
                retry_after=blocked,
            )

    def _ended(self, pinata: _Upstream, vault: _Upstream, error: PinataError | None) -> None:
        with self._lock:
            now = self._clock()
            if error is None or not is_outage(error):
                pinata.breaker.succeeded()
                vault.breaker.succeeded()
            elif of_error(error) is Condition.STORE_UNAVAILABLE:
                vault.breaker.failed(now)
                pinata.breaker.unsure()
            else:
                pinata.breaker.failed(now)
                vault.breaker.unsure()

    def _unsure(self, *upstreams: _Upstream) -> None:
        with self._lock:
            for upstream in upstreams:
                upstream.breaker.unsure()
