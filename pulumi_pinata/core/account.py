"""Which account a JWT speaks for; pure, and silent about what else the token carries.

A Pinata JWT's payload holds an e-mail address and an API secret in clear base64, so nothing of it but the account's
fingerprint ever leaves this module.
"""

import base64
import binascii
import json
import math
from dataclasses import dataclass

from pulumi_pinata.core.errors import Refused
from pulumi_pinata.core.secret import Secret, digest

_HINT = "Copy the JWT alone (Pinata dashboard, API Keys); it has three parts separated by dots."


@dataclass(frozen=True)
class Account:
    """The account behind a JWT: `fingerprint` is a one-way digest of its identity."""

    fingerprint: str
    expires_at: int | None = None


def identify(jwt: Secret, label: str | None, *, now: float, about: str = "credentials") -> Account:
    """Tell whose `jwt` this is.

    The identity is the claim `userInformation.id` (seen in Pinata's tokens, not documented), else `label`, the
    account as the user names it. Where the token has claims, a label must be the id or the e-mail in them.

    `now` is in seconds since the epoch.

    Raises Refused for a malformed or expired token, a label that does not fit, or no identity at all.
    """
    claims = _claims(jwt)
    if isinstance(claims, str):
        raise Refused(f"not a JWT: {claims}", about=about, hint=_HINT)
    names, expires_at = claims
    if expires_at is not None and expires_at <= now:
        raise Refused(
            "the JWT has expired.",
            about=about,
            hint="Make a new API key in the Pinata dashboard and point the reference at it.",
        )
    if label and names and digest("account", label) not in names:
        raise Refused(
            "the JWT belongs to another account than the one named here.",
            about="account",
            hint="Set `account` to that account's user id or e-mail, or point `credentials` at the right JWT.",
        )
    if not names and not label:
        raise Refused(
            "the JWT does not say which account it belongs to.",
            about="account",
            hint="Set `account` to a name of your own for it; it then guards against a mix-up of credentials.",
        )
    expiry = None if expires_at is None else int(expires_at)
    return Account(names[0] if names else digest("account", str(label)), expiry)


def _claims(jwt: Secret) -> tuple[tuple[str, ...], float | None] | str:
    """Fingerprints of the names in it and its expiry, or what is wrong: not raised, so that no traceback leads here."""
    if not jwt.reveal().isascii() or not jwt.reveal().isprintable():
        return "it has characters that no JWT has."
    parts = jwt.reveal().split(".")
    if len(parts) != 3:
        return f"{len(parts)} part(s) instead of three."
    try:
        header, payload = (json.loads(base64.urlsafe_b64decode(p + "=" * (-len(p) % 4))) for p in parts[:2])
    except (binascii.Error, ValueError, RecursionError):
        return "its first two parts are not base64url JSON."
    if not isinstance(header, dict) or not isinstance(payload, dict):
        return "header and payload are not JSON objects."
    user, expires_at = payload.get("userInformation"), payload.get("exp")
    names = [str(user[k]) for k in ("id", "email") if user.get(k)] if isinstance(user, dict) else []
    if not isinstance(expires_at, (int, float)) or not math.isfinite(expires_at):
        expires_at = None
    return tuple(digest("account", name) for name in names), expires_at
