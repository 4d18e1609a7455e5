"""The accounts of one sandbox and who is behind a credential; no HTTP."""

import re
import secrets
import threading
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

from pulumi_pinata.sandbox.accounts import KEY_PREFIX, Account, public_half
from pulumi_pinata.sandbox.jwts import sign_hs256
from pulumi_pinata.sandbox.variants import ProbeOrder, Variants

_NAME = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,62}")


@dataclass(frozen=True)
class Holder:
    """One account with its names and its management credential; `exp` in seconds since the epoch or None."""

    name: str
    id: str
    email: str
    exp: float | None
    jwt: str = field(repr=False)
    account: Account = field(repr=False)


class Directory:
    """Holders by name, by JWT and by inference key; safe to use from many threads."""

    def __init__(self, *, clock: Callable[[], float], key_prefix: str = KEY_PREFIX) -> None:
        self._clock = clock
        self._key_prefix = key_prefix
        self._signing_secret = secrets.token_bytes(32)
        self._lock = threading.Lock()
        self._by_name: dict[str, Holder] = {}
        self._by_jwt: dict[str, Holder] = {}

    def add(
        self,
        name: str,
        *,
        variants: Mapping[str, object] | None = None,
        credits: float = 100.0,
        exp: float | None = None,
        id: str | None = None,
    ) -> Holder:
        """Add an account; `exp` = seconds since the epoch. ValueError for a bad or taken name."""
        if not _NAME.fullmatch(name):
            raise ValueError(f"account name {name!r} must be a letter, then letters, digits, - or _")
        account = Account(
            clock=self._clock,
            variants=Variants().changed(variants or {}),
            credits=credits,
            key_prefix=self._key_prefix,
        )
        user_id = id or str(uuid.uuid4())
        email = f"{name.lower()}@sandbox.example"
        jwt = sign_hs256(self._claims(user_id, email, exp), self._signing_secret)
        holder = Holder(name=name, id=user_id, email=email, exp=exp, jwt=jwt, account=account)
        with self._lock:
            if name in self._by_name:
                raise ValueError(f"account name {name!r} is taken")
            self._by_name[name] = holder
            self._by_jwt[jwt] = holder
        return holder

    def get(self, name: str) -> Holder:
        """Return the holder; KeyError when there is none."""
        return self._by_name[name]

    def by_jwt(self, token: str) -> Holder | None:
        """Return who holds this JWT, expired or not."""
        return self._by_jwt.get(token)

    def by_key(self, key: str) -> Holder | None:
        """Return whose inference key this is, live or revoked."""
        public = public_half(key, self._key_prefix)
        if public is None:
            return None
        return next((holder for holder in self._holders() if holder.account.minted(public)), None)

    def expired(self, holder: Holder) -> bool:
        """Whether the holder's JWT has passed its `exp`."""
        return holder.exp is not None and self._clock() >= holder.exp

    def probe_order(self, key: str) -> ProbeOrder:
        """Return what a chat call with `key` meets first; a stranger's key follows any validate_first."""
        holder = self.by_key(key)
        if holder is not None:
            return holder.account.variants.probe_order
        orders = {other.account.variants.probe_order for other in self._holders()}
        return ProbeOrder.VALIDATE_FIRST if ProbeOrder.VALIDATE_FIRST in orders else ProbeOrder.AUTH_FIRST

    def _holders(self) -> list[Holder]:
        with self._lock:
            return list(self._by_name.values())

    def _claims(self, user_id: str, email: str, exp: float | None) -> dict[str, object]:
        # The payload of real tokens, as third parties decoded it: it holds the API secret in clear.
        claims: dict[str, object] = {
            "userInformation": {
                "id": user_id,
                "email": email,
                "email_verified": True,
                "pin_policy": {"regions": [], "version": 1},
                "mfa_enabled": False,
                "status": "ACTIVE",
            },
            "authenticationType": "scopedKey",
            "scopedKeyKey": secrets.token_hex(10),
            "scopedKeySecret": secrets.token_hex(32),
            "iat": int(self._clock()),
        }
        if exp is not None:
            claims["exp"] = int(exp)
        return claims
