"""Whether a key could be stored now: asked before a key exists, since afterwards it is too late to find out."""

import hvac
from hvac import exceptions

from pulumi_pinata.adapters.vault_errors import SERVICE, asked, data_of, translated
from pulumi_pinata.adapters.vault_login import Lifetime, look_up
from pulumi_pinata.core.errors import Refused
from pulumi_pinata.core.model import Location

# A create makes nine more calls after this one; a token limited to fewer would run out between key and store.
_USES = 12
_ALL = frozenset({"root", "sudo"})


def preflight(client: hvac.Client, login: Lifetime, secret: Location, record: Location, seconds: float) -> None:
    """Check, in three calls, login lifetime, capabilities and the KV version of the mount.

    Raises Refused with what is missing, Transient when Vault cannot be asked.
    """
    _lasts(client, login, seconds)
    _may(client, secret, record)
    for mount in {secret.mount, record.mount}:
        _is_kv2(client, mount)


def _lasts(client: hvac.Client, login: Lifetime, seconds: float) -> None:
    left, uses = login.seconds, login.uses
    if left is None:
        found = look_up(client)
        left, uses = found.seconds or 0, found.uses
    if 0 < left < seconds:
        raise Refused(
            f"the Vault token is good for {left} s more; storing a key safely needs {seconds:.0f} s.",
            about="vault.auth",
            hint="Renew it, or log in with a role whose tokens live longer.",
            service=SERVICE,
        )
    if 0 < uses < _USES:
        raise Refused(
            f"the Vault token has {uses} uses left; storing a key safely takes up to {_USES}.",
            about="vault.auth",
            hint="Use a token without a limit on uses.",
            service=SERVICE,
        )


def _may(client: hvac.Client, secret: Location, record: Location) -> None:
    needed = {
        f"{secret.mount}/data/{secret.path}": {"create", "read", "update"},
        f"{secret.mount}/metadata/{secret.path}": {"read", "update"},
        **{f"{secret.mount}/{verb}/{secret.path}": {"update"} for verb in ("delete", "undelete", "destroy")},
        f"{record.mount}/data/{record.path}": {"create", "read", "update"},
    }
    with asked("ask for its own capabilities"):
        granted = data_of(client.sys.get_capabilities(paths=list(needed)))
        missing = {
            path: sorted(wants - set(granted.get(path, ())))
            for path, wants in needed.items()
            if not _ALL & set(granted.get(path, ())) and wants - set(granted.get(path, ()))
        }
    if missing:
        listed = "; ".join(f"{', '.join(names)} on {path}" for path, names in missing.items())
        raise Refused(
            f"the Vault login lacks {listed}.",
            about="vault.auth",
            hint="Extend its policy; README, “The Vault policy”, has the whole of it.",
            service=SERVICE,
        )


def _is_kv2(client: hvac.Client, mount: str) -> None:
    try:
        with translated(f"see the mount {mount!r} (it may not exist)", about="vault.mount"):
            data = data_of(client.adapter.get(f"/v1/sys/internal/ui/mounts/{mount}"))
            version = (data.get("options") or {}).get("version")
    except exceptions.InvalidPath:
        data, version = {}, None
    if data.get("type") != "kv" or version != "2":
        found = "another engine" if data.get("type") not in (None, "kv") else "KV version 1"
        raise Refused(
            f"the mount {mount!r} is {found if data else 'missing'}, and keys are kept in KV version 2 only.",
            about="vault.mount",
            hint=f"Enable one (vault secrets enable -path={mount} -version=2 kv), or name another mount.",
            service=SERVICE,
        )
