"""Two resources of one program that would fight over one account or one Vault path: found before anything is sent."""

from typing import Any
from weakref import WeakKeyDictionary

from pulumi.runtime import settings

from pulumi_pinata.core.errors import Refused

# By run: the Automation API runs several programs in one process, each with a monitor of its own.
_CLAIMS: WeakKeyDictionary[Any, dict[tuple[object, ...], str]] = WeakKeyDictionary()


def claim(name: str, props: dict[str, Any], *, exists: bool) -> None:
    """Note what `name` will manage, as far as it is plain text; what is not is caught by the marks in Vault.

    A resource that is only looked up (`exists`) claims nothing. Raises Refused for a second claim.
    """
    monitor = settings.get_monitor()
    if exists or monitor is None:
        return
    taken = _CLAIMS.setdefault(monitor, {})
    vault = props.get("vault") or {}
    if not isinstance(vault, dict):
        return
    place = (
        vault.get("address"),
        vault.get("namespace"),
        vault.get("mount", "secret"),
        vault.get("path", f"pinata/{name}"),
    )
    account = (props.get("api_url"), props.get("credentials", "env:PINATA_JWT"))
    for kind, about, key in (
        ("the Vault path", "vault.path", place),
        ("the account of the credentials", "credentials", account),
    ):
        if not all(part is None or isinstance(part, str) for part in key):
            continue
        other = taken.setdefault((about, *key), name)
        if other != name:
            raise Refused(
                f"{kind} is already managed by the resource {other!r} of this program.",
                about=f"{name}: {about}",
                hint="One Inference an account, one Vault path each.",
            )
