"""JSON Web Tokens, signed only: HS256 as Pinata's, EdDSA for the login of a Vault role; no checking."""

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


def sign_hs256(claims: Mapping[str, object], secret: bytes) -> str:
    """Return a compact JWT with an HMAC-SHA256 signature."""
    return _compact("HS256", claims, lambda signed: hmac.new(secret, signed, hashlib.sha256).digest())


def sign_eddsa(claims: Mapping[str, object], key: Ed25519PrivateKey) -> str:
    """Return a compact JWT with an Ed25519 signature."""
    return _compact("EdDSA", claims, key.sign)


def _compact(algorithm: str, claims: Mapping[str, object], sign: Callable[[bytes], bytes]) -> str:
    signed = f"{_part({'alg': algorithm, 'typ': 'JWT'})}.{_part(claims)}"
    return f"{signed}.{_base64url(sign(signed.encode()))}"


def _part(fields: Mapping[str, object]) -> str:
    return _base64url(json.dumps(fields, separators=(",", ":")).encode())


def _base64url(raw: bytes) -> str:
    return base64.urlsafe_b64encode(raw).rstrip(b"=").decode()
