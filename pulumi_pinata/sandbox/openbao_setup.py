"""Mounts, policies and ways to log in on a fresh or restored OpenBao; starting it is openbao.py's."""

import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass, field

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat

from pulumi_pinata.sandbox.jwts import sign_eddsa
from pulumi_pinata.sandbox.openbao_api import BaoApi, BaoError
from pulumi_pinata.sandbox.policies import KV1_MOUNT, KV2_MOUNTS, PROVIDER_POLICY, READER_POLICY, TEXTS

AUDIENCE = "openbao-sandbox"
JWT_MOUNTS = ("jwt", "kubernetes")
"""Both are jwt auth methods; the second is where a Kubernetes login calls with the same fields."""
_PATIENCE = 10.0


@dataclass(frozen=True)
class AppRole:
    """What an AppRole login needs, at the mount `approle`."""

    role_id: str = field(repr=False)
    secret_id: str = field(repr=False)


@dataclass(frozen=True)
class Provisioned:
    """Ways in. The provider's: AppRole, userpass (`user`, `password`) and a JWT for role `jwt_role`."""

    provider: AppRole
    reader: AppRole
    user: str
    password: str = field(repr=False)
    jwt_role: str
    signing_key: Ed25519PrivateKey = field(repr=False)

    def sign_jwt(self, *, subject: str = "pinata-provider", audience: str = AUDIENCE, ttl: int = 600) -> str:
        """Return a JWT that logs in at JWT_MOUNTS; `ttl` in seconds, negative = expired already."""
        now = int(time.time())
        # OpenBao forgives a clock skew of minutes; an expired token must be older than that.
        end = now + ttl - (600 if ttl < 0 else 0)
        issued = min(now, end) - 1
        claims = {"iss": AUDIENCE, "sub": subject, "aud": audience, "iat": issued, "nbf": issued}
        return sign_eddsa({**claims, "exp": end}, self.signing_key)


def provision(api: BaoApi) -> Provisioned:
    """Set up with a root token; again is harmless: fresh secret ids, a fresh password and a fresh JWT key.

    KV v2 at secret/ and kv/, KV v1 at legacy/, auth approle, userpass, jwt and kubernetes (as jwt), policies
    and roles pinata-provider and pinata-reader.
    """
    for name, text in TEXTS.items():
        api.call("PUT", f"sys/policies/acl/{name}", {"policy": text})
    _mount_secrets(api)
    enabled = api.data("GET", "sys/auth")
    for path in ("approle", "userpass", *JWT_MOUNTS):
        if f"{path}/" not in enabled:
            api.call("POST", f"sys/auth/{path}", {"type": "jwt" if path in JWT_MOUNTS else path})
    password = secrets.token_urlsafe(18)
    grants = {"token_policies": [PROVIDER_POLICY], "token_no_default_policy": True, "token_ttl": "1h"}
    api.call("POST", f"auth/userpass/users/{PROVIDER_POLICY}", {**grants, "password": password})
    return Provisioned(
        provider=_app_role(api, PROVIDER_POLICY, grants),
        reader=_app_role(api, READER_POLICY, {**grants, "token_policies": [READER_POLICY]}),
        user=PROVIDER_POLICY,
        password=password,
        jwt_role=PROVIDER_POLICY,
        signing_key=_jwt_logins(api, grants),
    )


def _mount_secrets(api: BaoApi) -> None:
    mounted = api.data("GET", "sys/mounts")
    for mount in (*KV2_MOUNTS, KV1_MOUNT):
        if f"{mount}/" not in mounted:
            version = "1" if mount == KV1_MOUNT else "2"
            api.call("POST", f"sys/mounts/{mount}", {"type": "kv", "options": {"version": version}})
    for mount in KV2_MOUNTS:
        _await_upgrade(api, mount)


def _await_upgrade(api: BaoApi, mount: str) -> None:
    # A fresh KV v2 mount answers 400 "Upgrading from non-versioned to versioned data" for a moment.
    deadline = time.monotonic() + _PATIENCE
    while True:
        try:
            api.call("GET", f"{mount}/config")
        except BaoError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.01)
        else:
            return


def _app_role(api: BaoApi, name: str, grants: Mapping[str, object]) -> AppRole:
    role = f"auth/approle/role/{name}"
    api.call("POST", role, grants)
    role_id = api.data("GET", f"{role}/role-id")["role_id"]
    secret_id = api.data("POST", f"{role}/secret-id")["secret_id"]
    return AppRole(role_id=str(role_id), secret_id=str(secret_id))


def _jwt_logins(api: BaoApi, grants: Mapping[str, object]) -> Ed25519PrivateKey:
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo).decode()
    role = {**grants, "role_type": "jwt", "user_claim": "sub", "bound_audiences": [AUDIENCE]}
    for mount in JWT_MOUNTS:
        config = {"jwt_validation_pubkeys": [public], "bound_issuer": AUDIENCE}
        api.call("POST", f"auth/{mount}/config", config)
        api.call("POST", f"auth/{mount}/role/{PROVIDER_POLICY}", role)
    return key
