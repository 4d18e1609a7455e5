"""One login for all who share a client: made on the first call, and a lasting one kept good for as long as it is used.

It is renewed at two thirds of its life, and made anew where that does not help; by one thread, while the others go on
with what is good, or wait where nothing is.
"""

import random
import threading
from collections.abc import Callable
from contextlib import suppress
from copy import copy
from dataclasses import dataclass, replace
from math import inf
from typing import Any

import hvac

from pulumi_pinata.adapters.clock import SystemClock
from pulumi_pinata.adapters.vault_login import Credentials, Lifetime, log_in, look_up, renew
from pulumi_pinata.core.errors import PinataError, Refused

WATCH = 10.0
"""How often (s) a token's place is looked at: an agent or a person may have put another one there."""
GAP = 60.0
"""How long (s) between two looks at a login because Vault forbids calls; doubles while they come one after another."""
_LONGEST_GAP = 3600.0
_LONGEST_WAIT = 30.0
_RESERVE = 12  # uses: what a mint takes, see vault_preflight


@dataclass(frozen=True)
class _Held:
    """A login. `granted` is how long (s) it was given for, `ends` when on the lease's clock; inf: for ever, or unknown.

    `capped`: a renewal has brought less than what was granted, so that its greatest age is near.
    """

    credentials: Credentials
    lifetime: Lifetime
    granted: float
    ends: float
    capped: bool = False

    @property
    def is_token(self) -> bool:
        """Whether it was handed out, so that there is nothing to log in with anew."""
        return self.credentials.method == "token"


class Lease:
    """See the module; `credentials` are read anew for each login. Safe for any number of threads."""

    def __init__(
        self,
        client: hvac.Client,
        credentials: Callable[[], Credentials],
        *,
        lasting: bool = False,
        clock: Callable[[], float] | None = None,
        dice: Callable[[], float] = random.random,
    ) -> None:
        self._client = client
        self._credentials = credentials
        self._lasting = lasting
        self._clock = clock or SystemClock().monotonic
        self._dice = dice
        self._lock = threading.Lock()
        self._held: _Held | None = None
        self._tried: Credentials | None = None
        self._used = 0  # calls with this login; threads may lose one now and then, which the reserve allows for
        self._due = self._watch = inf
        self._tainted = False
        self._looks_again, self._gap = -inf, GAP
        self._tries = self._failures = 0
        self._failure: PinataError | None = None
        self._unread: PinataError | None = None

    @property
    def problem(self) -> PinataError | None:
        """Why the last login, renewal or look at a token's place has failed; None once one has succeeded."""
        return self._failure or self._unread

    def needed(self, calls: int = 1) -> None:
        """Have a login for so many calls. Raises like `log_in`."""
        held, now = self._held, self._clock()
        if held is None or not self._is_good(held, now):
            self._wait_for_one()
        elif self._is_due(held, now) and self._lock.acquire(blocking=False):
            try:
                self._tend(held)
            finally:
                self._lock.release()
        self._used += calls

    def left(self, seconds: float) -> Lifetime:
        """What is left of it; first what can be done is done for that to be `seconds`. Raises like `log_in`."""
        self.needed(calls=3)
        held = self._held
        if self._lasting and held and self._is_short(held, seconds):
            with self._lock:
                held = self._lengthened(seconds)
        if held is None:  # pragma: no cover - `needed` has seen to it
            return Lifetime()
        uses = max(1, self._uses_left(held)) if held.lifetime.uses else 0
        if held.ends == inf:
            return replace(held.lifetime, uses=uses)
        # A login for ever is 0; one that has just run out is not.
        return replace(held.lifetime, seconds=max(1, int(held.ends - self._clock())), uses=uses)

    def tend(self) -> float:
        """Do what is due; returns the seconds until something is again (inf: nothing). See `problem` for errors."""
        if not self._lasting or self._held is None:
            return inf
        with self._lock:
            now = self._clock()
            if not self._is_good(self._held, now):
                self._mend(now)
            elif self._is_due(self._held, now):
                self._tend(self._held)
            looks = self._looks_again if self._tainted else inf
            return max(0.0, min(self._due, self._watch, looks) - self._clock())

    def expires_in(self) -> float:
        """Seconds until it ends; inf where there is none, or it is not known to end."""
        return self._held.ends - self._clock() if self._held else inf

    def heard(self, response: Any, **_: object) -> None:
        """Take note of an answer: a call that is forbidden may mean that the login is dead."""
        sent = response.request
        # Stragglers with the token before this one say nothing about this one, nor do logins.
        if response.status_code == 403 and "/v1/auth/" not in str(sent.url):
            self._tainted = self._tainted or sent.headers.get("X-Vault-Token") == self._client.token

    def _is_good(self, held: _Held, now: float) -> bool:
        if not self._lasting:
            return True
        if self._tainted and now >= self._looks_again:
            return False
        # Whether a token is over is for Vault to say: somebody else may have renewed it.
        return held.is_token or (now < held.ends and (not held.lifetime.uses or self._uses_left(held) > 0))

    def _is_due(self, held: _Held, now: float) -> bool:
        if not self._lasting:
            return False
        low = self._is_low(held) and not held.is_token and not self._tries
        return low or now >= min(self._due, self._watch)

    def _is_low(self, held: _Held) -> bool:
        return bool(held.lifetime.uses) and self._uses_left(held) <= min(_RESERVE, held.lifetime.uses // 2)

    def _is_short(self, held: _Held, seconds: float) -> bool:
        """Whether less is left than is needed, and a new one could have more."""
        can = seconds <= held.granted or (held.is_token and held.lifetime.renewable and not held.capped)
        uses = held.lifetime.uses >= _RESERVE > self._uses_left(held) and not held.is_token
        return uses or (can and held.ends - self._clock() < seconds)

    def _uses_left(self, held: _Held) -> int:
        return held.lifetime.uses - self._used

    def _wait_for_one(self) -> None:
        failures = self._failures
        with self._lock:
            now = self._clock()
            if self._held and self._is_good(self._held, now):
                return
            if self._failure and failures != self._failures:
                raise copy(self._failure)  # somebody has tried while this one waited
            self._mend(now)
            if self._failure and not (self._held and self._is_good(self._held, now)):
                raise copy(self._failure)

    def _mend(self, now: float) -> None:
        """Look at a login that is over, or that may be; the outcome is in `_held` and `problem`. Under the lock."""
        tainted = self._tainted
        try:
            credentials = self._credentials()
            if self._lasting and not tainted and self._failure and now < self._due and _same(credentials, self._tried):
                return  # the same again so soon would fail again: many accounts wait for this one login
            if tainted and self._held and self._held.is_token and _same(credentials, self._held.credentials):
                self._extended(self._held, look_up(self._client), now)
            else:
                self._log_in(credentials, now)
        except PinataError as error:
            self._failed(error, now)
        finally:
            if tainted:  # until here, so that the others wait for the outcome, and call with no token that is dead
                self._tainted = False
                self._gap = min(_LONGEST_GAP, 2 * self._gap) if now < self._looks_again + self._gap else GAP
                self._looks_again = now + self._gap

    def _tend(self, held: _Held) -> None:
        """Renew or replace a login that is still good: a failure is put down, and tried again soon. Under the lock."""
        now = self._clock()
        try:
            if now >= self._watch and (credentials := self._moved(held, now)):
                self._log_in(credentials, now)
            elif self._is_due(held, now):
                self._extend(held, now)
        except PinataError as error:
            self._failed(error, now)

    def _moved(self, held: _Held, now: float) -> Credentials | None:
        """Another token than the one that is held, if there is one by now; to be without one is no harm yet."""
        self._watch = now + WATCH
        try:
            credentials, self._unread = self._credentials(), None
        except PinataError as error:
            self._unread = error
            return None
        return None if _same(credentials, held.credentials) else credentials

    def _extend(self, held: _Held, now: float) -> None:
        if held.is_token:
            self._extended(held, self._token_time(held), now)
            return
        # By turns where one has failed: a secret id may be good for one login only, a policy for no renewal.
        if held.lifetime.renewable and not (held.capped or self._tries % 2 or self._is_low(held)):
            with suppress(Refused):  # its policy may not let it
                self._extended(held, renew(self._client), now)
                return
        self._log_in(self._credentials(), now)

    def _token_time(self, held: _Held) -> Lifetime:
        if held.lifetime.renewable:
            with suppress(Refused):
                return renew(self._client)
        return look_up(self._client)  # an agent may have renewed it

    def _lengthened(self, seconds: float) -> _Held | None:
        held, now = self._held, self._clock()
        if held and self._is_short(held, seconds):
            try:
                self._extend(held, now)
                held = self._held
                if held and not held.is_token and self._is_short(held, seconds):
                    self._log_in(self._credentials(), now)
            except PinataError as error:
                self._failed(error, now)
                raise
        return self._held

    def _log_in(self, credentials: Credentials, now: float) -> None:
        self._tried = credentials
        lifetime = log_in(self._client, credentials)
        if self._lasting and credentials.method == "token":
            try:
                lifetime = look_up(self._client)
            except Refused:
                lifetime = Lifetime()  # it may not look itself up, or is dead: the calls will tell
            self._watch = now + WATCH
        granted = float(lifetime.seconds or inf)
        self._used = 0
        self._hold(_Held(credentials, lifetime, granted, now + granted), now, granted)

    def _extended(self, held: _Held, lifetime: Lifetime, now: float) -> None:
        granted = float(lifetime.seconds or inf)
        capped = granted < held.granted - 1  # Vault counts in whole seconds
        lifetime = replace(lifetime, uses=held.lifetime.uses)
        longest = max(granted, held.granted)
        self._hold(_Held(held.credentials, lifetime, longest, now + granted, capped), now, granted)

    def _hold(self, held: _Held, now: float, seconds: float) -> None:
        self._held, self._due = held, now + max(seconds * 2 / 3, 1.0)
        self._tries, self._failure, self._unread = 0, None, None

    def _failed(self, error: PinataError, now: float) -> None:
        self._failures += 1
        self._tries += 1
        self._failure = error
        left = self._held.ends - now if self._held else 0.0
        bound = left / 4 if 0 < left < inf else 2.0 ** min(self._tries, 16) / 2
        # At least half of the bound, so that a wait means something; the rest is chance.
        self._due = now + min(_LONGEST_WAIT, max(0.5, bound)) * (0.5 + self._dice() / 2)


def _same(one: Credentials, other: Credentials | None) -> bool:
    return other is not None and _text(one) == _text(other)


def _text(credentials: Credentials) -> tuple[str, str, str, str]:
    name = credentials.name if isinstance(credentials.name, str) else credentials.name.reveal()
    return credentials.method, credentials.mount, name, credentials.secret.reveal()
