"""The services that all accounts share: their connections, how fast they are asked, when they are left alone."""

import random
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field, replace
from typing import Any, Protocol

from pulumi_pinata.core.errors import PinataError, Transient
from pulumi_pinata.core.model import Liveness, Status
from pulumi_pinata.core.ports import PinataApi
from pulumi_pinata.core.secret import PrivateKey
from pulumi_pinata.core.settings import Settings
from pulumi_pinata.wiring import Connections, Session, session
from reconciler.conditions import is_outage, of_error
from reconciler.fleetplan import Condition
from reconciler.inventory import Documents, default_settings, home_of
from reconciler.pacing import Breaker, Bucket, Pause, full_jitter

DEFAULT_RATE = 100.0
_TRIES = 3


class Access(Protocol):
    """How the stages reach an account and the inventories."""

    def account(self, settings: Settings, notice: Callable[[str], None]) -> AbstractContextManager[Session]:
        """One account, ready to be worked on. Raises PinataError."""
        ...

    def documents(self, settings: Settings) -> Documents:
        """The documents at the home of an account."""
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
    """`Access` by real connections; `rate` bounds the calls to Pinata, a second (0: not at all)."""

    def __init__(
        self,
        connections: Connections,
        *,
        rate: float = DEFAULT_RATE,
        clock: Callable[[], float] = time.monotonic,
        sleep: Callable[[float], None] = time.sleep,
        dice: Callable[[], float] = random.random,
    ) -> None:
        self._connections = connections
        self._rate = rate
        self._clock = clock
        self._sleep = sleep
        self._dice = dice
        self._lock = threading.Lock()
        self._upstreams: dict[str, _Upstream] = {}

    @contextmanager
    def account(self, settings: Settings, notice: Callable[[str], None]) -> Iterator[Session]:
        """See `Access.account`; begins when the services may be asked, or fails at once while they do not answer."""
        pinata, vault = self._of(settings.api_url, self._rate), self._of(str(home_of(settings)), 0)
        self._admit(pinata, "Pinata", "api_url")
        try:
            self._admit(vault, "Vault", "vault.address")
        except PinataError:
            self._unsure(pinata)
            raise
        try:
            with session(settings, notice=notice, connections=self._connections) as found:
                paced = _Paced(found.ports.pinata, lambda error: self._called(pinata, error))
                yield replace(found, ports=replace(found.ports, pinata=paced))
        except PinataError as error:
            self._ended(pinata, vault, error)
            raise
        except BaseException:
            self._unsure(pinata, vault)
            raise
        self._ended(pinata, vault, None)

    def documents(self, settings: Settings) -> Documents:
        """See `Access.documents`."""
        return _Patient(self._connections.store(settings.vault, settings.timeout), self._sleep, self._dice)

    def default_home(self) -> Settings | None:
        """See `Access.default_home`: the Vault that the environment names."""
        return default_settings(self._connections.environ)

    def _of(self, name: str, rate: float) -> _Upstream:
        with self._lock:
            if name not in self._upstreams:
                self._upstreams[name] = _Upstream(Bucket(rate, max(1.0, 2 * rate)), Breaker(self._dice))
            return self._upstreams[name]

    def _admit(self, upstream: _Upstream, what: str, about: str) -> None:
        while True:
            with self._lock:
                now = self._clock()
                wait = max(upstream.bucket.wait(now), upstream.pause.wait(now))
                if not wait:
                    blocked = upstream.breaker.blocked(now)
                    break
            self._sleep(min(wait, 1.0))
        if blocked is not None:
            raise Transient(
                f"{what} has failed for other accounts in a row, so it was not asked.",
                about=about,
                hint=f"It is tried again in {blocked:.0f} s.",
                retry_after=blocked,
            )

    def _called(self, upstream: _Upstream, error: PinataError | None) -> None:
        with self._lock:
            now = self._clock()
            upstream.bucket.charge(now)
            if isinstance(error, Transient) and error.retry_after is not None:
                upstream.pause.asked(now, error.retry_after)

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


class _Patient:
    """Documents whose reads are tried again: all accounts of a home depend on the one of their inventory."""

    def __init__(self, documents: Documents, sleep: Callable[[float], None], dice: Callable[[], float]) -> None:
        self._documents = documents
        self._sleep = sleep
        self._dice = dice

    def document(self, path: str) -> tuple[Mapping[str, Any] | None, int]:
        for attempt in range(_TRIES - 1):
            try:
                return self._documents.document(path)
            except Transient:
                self._sleep(full_jitter(attempt, base=0.5, cap=4.0, dice=self._dice))
        return self._documents.document(path)

    def put_document(self, path: str, data: Mapping[str, Any], cas: int) -> int:
        return self._documents.put_document(path, data, cas)


class _Paced:
    """A PinataApi whose calls are counted; none is held back."""

    def __init__(self, api: PinataApi, called: Callable[[PinataError | None], None]) -> None:
        self._api = api
        self._called = called

    def status(self) -> Status:
        with self._counted():
            return self._api.status()

    def marker(self) -> str | None:
        with self._counted():
            return self._api.marker()

    def enable(self) -> PrivateKey | None:
        with self._counted():
            return self._api.enable()

    def disable(self) -> None:
        with self._counted():
            self._api.disable()

    def probe(self, key: PrivateKey) -> Liveness:
        with self._counted():
            return self._api.probe(key)

    @contextmanager
    def _counted(self) -> Iterator[None]:
        try:
            yield
        except PinataError as error:
            self._called(error)
            raise
        self._called(None)
