"""One Pinata account as a state machine, with every undocumented variant; no HTTP, no names, no JWT."""

import base64
import hashlib
import threading
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timezone

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from pulumi_pinata.sandbox.credits import Credits
from pulumi_pinata.sandbox.variants import CreatedAt, DisableWhenOff, Reenable, Variants

KEY_PREFIX = "pnk_"
"""Every private key of the sandbox starts so, and so a scan for leaked keys can find all of them."""


class Rejected(Exception):
    """The account refuses; `status` is the HTTP status that Pinata would answer with."""

    def __init__(self, status: int, message: str) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True)
class Mint:
    """One Ed25519 key pair that enable handed out, and the secret entry that came with it."""

    private_key: str = field(repr=False)
    public_key: bytes
    created_at: str
    secret_id: str
    minted_at: str


@dataclass(frozen=True)
class Snapshot:
    """What a person behind the counter sees, without the status lag; `live_key_sha256` is hex or None."""

    enabled: bool
    created_at: str | None
    mints: int
    disables: int
    live_key_sha256: str | None
    credits: float


class Account:
    """Inference on or off, at most one live key, and the credits; safe to use from many threads.

    `clock` returns seconds since the epoch. Documented behaviour is from
    docs.pinata.cloud/inference/overview; what that page leaves open follows `variants`.
    """

    def __init__(
        self,
        *,
        clock: Callable[[], float],
        variants: Variants | None = None,
        credits: float = 100.0,
        key_prefix: str = KEY_PREFIX,
    ) -> None:
        self._clock = clock
        self._variants = variants or Variants()
        self._key_prefix = key_prefix
        self._lock = threading.RLock()
        self._live: Mint | None = None
        self._minted: dict[bytes, str] = {}
        self._mints = 0
        self._disables = 0
        self._last_stamp = 0.0
        self._views: list[tuple[float, str | None]] = [(0.0, None)]
        self.credits = Credits(credits)

    @property
    def variants(self) -> Variants:
        """The switches in force."""
        return self._variants

    @variants.setter
    def variants(self, variants: Variants) -> None:
        with self._lock:
            self._variants = variants

    @property
    def live(self) -> Mint | None:
        """The live mint, or None when inference is off."""
        return self._live

    def enable(self) -> str | None:
        """Switch on and return the one-time private key, None = success without it; Rejected: 409."""
        with self._lock:
            if self._live is None:
                return self._mint(self._stamp()).private_key
            reenable = self._variants.reenable
            if reenable is Reenable.CONFLICT:
                raise Rejected(409, "Inference is already enabled")
            if reenable is Reenable.NO_KEY:
                return None
            if reenable is Reenable.SAME:
                return self._live.private_key
            stays = self._variants.created_at_on_reenable is CreatedAt.STAYS
            return self._mint(self._live.created_at if stays else self._stamp()).private_key

    def disable(self) -> None:
        """Switch off and revoke the key at once; Rejected (404 or 409) when off and the variant says so."""
        with self._lock:
            if self._live is not None:
                self._live = None
                self._disables += 1
                self._show(None)
            elif self._variants.disable_when_off is DisableWhenOff.NOT_FOUND:
                raise Rejected(404, "Inference is not enabled")
            elif self._variants.disable_when_off is DisableWhenOff.CONFLICT:
                raise Rejected(409, "Inference is not enabled")

    def status(self) -> str | None:
        """Return `createdAt` when the status call shows "on", else None; `status_lag` seconds behind."""
        with self._lock:
            now = self._clock()
            while len(self._views) > 1 and self._views[1][0] <= now:
                del self._views[0]
            return self._views[0][1]

    def accepts(self, key: str) -> bool:
        """Whether `key` is the live private key: it derives the stored public half, as Pinata keeps it."""
        public = public_half(key, self._key_prefix)
        live = self._live
        return live is not None and public == live.public_key

    def minted(self, public_key: bytes) -> bool:
        """Whether this account ever handed out the key with this public half, live or revoked."""
        return public_key in self._minted

    def minted_keys(self) -> tuple[str, ...]:
        """Every private key so far, live or revoked, handed out or not: what a leak scan has to look for."""
        with self._lock:
            return tuple(self._minted.values())

    def snapshot(self) -> Snapshot:
        """Return the true state."""
        with self._lock:
            live = self._live
            return Snapshot(
                enabled=live is not None,
                created_at=live.created_at if live else None,
                mints=self._mints,
                disables=self._disables,
                live_key_sha256=hashlib.sha256(live.private_key.encode()).hexdigest() if live else None,
                credits=self.credits.balance().available,
            )

    def _mint(self, created_at: str) -> Mint:
        pair = Ed25519PrivateKey.generate()
        text = base64.urlsafe_b64encode(pair.private_bytes_raw()).rstrip(b"=").decode()
        self._live = Mint(
            private_key=self._key_prefix + text,
            public_key=pair.public_key().public_bytes_raw(),
            created_at=created_at,
            secret_id=str(uuid.uuid4()),
            minted_at=self._stamp(),
        )
        self._minted[self._live.public_key] = self._live.private_key
        self._mints += 1
        self._show(created_at)
        return self._live

    def _show(self, created_at: str | None) -> None:
        self._views.append((self._clock() + self._variants.status_lag, created_at))

    def _stamp(self) -> str:
        # Two mints in one millisecond must not share a createdAt: clients use it as a generation marker.
        self._last_stamp = max(round(self._clock(), 3), round(self._last_stamp + 0.001, 3))
        moment = datetime.fromtimestamp(self._last_stamp, tz=timezone.utc)
        return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def public_half(key: str, key_prefix: str) -> bytes | None:
    """Return the public key that `key` derives, or None when it is no key of this sandbox."""
    if not key.startswith(key_prefix):
        return None
    try:
        seed = base64.b64decode(key[len(key_prefix) :] + "=", altchars=b"-_", validate=True)
        return Ed25519PrivateKey.from_private_bytes(seed).public_key().public_bytes_raw()
    except ValueError:
        return None
