"""Where a credential is to be found, in place of the credential; pure."""

import re
from dataclasses import dataclass

from pulumi_pinata.core.address import checked_path
from pulumi_pinata.core.errors import Refused
from pulumi_pinata.core.model import Location

_JWT = re.compile(r"eyJ[\w-]*\.[\w-]+\.[\w-]*")
_NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True)
class EnvReference:
    """`env:NAME`: a variable of the process that runs the call."""

    name: str


@dataclass(frozen=True)
class FileReference:
    """`file:PATH`: a file's text without surrounding space; `~` is the home folder."""

    path: str


@dataclass(frozen=True)
class VaultReference:
    """`vault:MOUNT/PATH#FIELD`: a field of a KV v2 secret, in the same Vault and with the same login."""

    location: Location
    field: str


Reference = EnvReference | FileReference | VaultReference

FORMS = "env:NAME, file:PATH or vault:MOUNT/PATH#FIELD"


def parse(text: str, about: str) -> Reference:
    """Read a reference.

    Raises Refused for anything else, and never quotes it: it may be the secret itself, pasted by mistake.
    """
    if _JWT.search(text):  # behind whatever scheme: an f-string too many
        raise Refused(
            "this is a JWT itself; it would be stored in Pulumi's state and shown in previews.",
            about=about,
            hint="Put it into an environment variable and write env:PINATA_JWT here.",
        )
    scheme, _, rest = text.partition(":")
    match scheme:
        case "env" if _NAME.fullmatch(rest):
            return EnvReference(rest)
        case "file" if rest:
            return FileReference(rest)
        case "vault":
            return _vault(rest, about)
    raise Refused("not a reference to a credential.", about=about, hint=f"Write {FORMS}.")


def _vault(rest: str, about: str) -> VaultReference:
    place, _, field = rest.partition("#")
    # A mount whose own path has slashes is told apart by a double one: vault:team/kv//pinata/jwt#token.
    mount, _, path = place.partition("//") if "//" in place else place.partition("/")
    if not (mount and path and field):
        raise Refused("not a reference to a Vault field.", about=about, hint="Write vault:MOUNT/PATH#FIELD.")
    return VaultReference(Location(checked_path(mount, about), checked_path(path, about)), field)
