"""References to what they lead to: the only place that reads credentials from variables, files and secrets."""

import hmac
import os
import secrets
import stat
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

from pulumi_pinata.adapters.vault_kv import VaultStore
from pulumi_pinata.adapters.vault_login import Credentials
from pulumi_pinata.core.errors import PinataError, Refused
from pulumi_pinata.core.reference import EnvReference, FileReference, Reference, VaultReference, parse
from pulumi_pinata.core.secret import Secret
from pulumi_pinata.core.settings import AuthSettings, Settings

_LONGEST = 64 * 1024
_LOCAL = "Put it into an environment variable or a file, and write env:NAME or file:PATH."
_SALT = secrets.token_bytes(32)


def resolve(where: Reference, about: str, env: Mapping[str, str], store: VaultStore | None) -> Secret:
    """What the reference leads to; `store` looks up those into Vault. Raises Refused where that is nothing."""
    if not isinstance(where, VaultReference):
        return read(where, about, env)
    if store is None:
        raise Refused("a vault: reference is not supported here.", about=about, hint="Use env: or file:.")
    if value := store.field(where.location, where.field):
        return value
    raise Refused(
        f"Vault has no field {where.field!r} at {where.location}.", about=about, hint="Check mount, path and field."
    )


def read(where: Reference, about: str, env: Mapping[str, str]) -> Secret:
    """What the reference leads to on this machine. Raises Refused where that is nothing."""
    match where:
        case EnvReference(name):
            if value := env.get(name, "").strip():
                return Secret(value)
            raise Refused(
                f"the environment variable {name} is not set.", about=about, hint=f"Set {name}, then run again."
            )
        case FileReference():
            return _read_file(where, about)
        case VaultReference():
            raise Refused("a Vault login cannot itself come from Vault.", about=about, hint="Use env: or file:.")


def vault_login(auth: AuthSettings, env: Mapping[str, str]) -> Credentials:
    """What a login to Vault needs, as its references hold it now. Raises Refused where they hold nothing."""
    about = "vault.auth"
    if auth.secret is None:
        return Credentials("token", _default_token(env))
    name = auth.name
    if not isinstance(name, str):
        return Credentials(auth.method, read(auth.secret, about, env), read(name, about, env), auth.mount)
    return Credentials(auth.method, read(auth.secret, about, env), name, auth.mount)


def local_secret(reference: str, about: str, environ: Mapping[str, str] | None = None) -> Callable[[], Secret]:
    """Reads, at each call, what an env: or file: reference leads to; a call raises Refused where that is nothing.

    Raises Refused for what is no such reference, and never quotes it: it may be the secret itself.
    """
    try:
        where = parse(reference, about)
    except Refused:  # its hints are for an input that a vault: reference would do for
        raise Refused("not a reference to a secret.", about=about, hint=_LOCAL) from None
    if isinstance(where, VaultReference):
        raise Refused("there is no Vault to look this up in.", about=about, hint=_LOCAL)
    return partial(read, where, about, os.environ if environ is None else environ)


def content_digest(settings: Settings, environ: Mapping[str, str] | None = None) -> str | None:
    """A one-way name, good within this process, for what the account's credentials reference leads to now.

    None where this machine alone cannot tell: for a `vault:` reference, and while there is nothing to be read.
    """
    env = os.environ if environ is None else environ
    if isinstance(settings.credentials, VaultReference):
        return None
    try:
        found = read(settings.credentials, "credentials", env)
    except PinataError:
        return None
    return hmac.digest(_SALT, found.reveal().encode(errors="surrogatepass"), "sha256").hex()


def _default_token(env: Mapping[str, str]) -> Secret:
    """As the `vault` command finds it: VAULT_TOKEN, else the file that `vault login` leaves."""
    if token := env.get("VAULT_TOKEN"):
        return Secret(token)
    home = FileReference("~/.vault-token")
    try:
        there = Path(home.path).expanduser().is_file()
    except (OSError, RuntimeError):
        there = False  # of another user, or of a user without a home
    if there:
        return _read_file(home, "vault.auth")
    raise Refused(
        "no Vault login: VAULT_TOKEN is not set, and there is no ~/.vault-token.",
        about="vault.auth",
        hint="Set VAULT_TOKEN, run `vault login`, or set `vault.auth` (approle, kubernetes, jwt, userpass).",
    )


def _read_file(where: FileReference, about: str) -> Secret:
    path = Path(where.path)
    try:
        path = path.expanduser()
        # Not blocking: to open a FIFO would wait for a writer.
        with open(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                raise OSError("not a plain file")  # noqa: TRY301
            found = file.read(_LONGEST + 1)
            if not found.strip() or len(found) > _LONGEST:
                raise Refused(f"the file {str(path)!r} is empty, or too long for a credential.", about=about)
            return Secret(found.decode().strip())
    except FileNotFoundError:
        raise Refused(f"there is no file {str(path)!r}.", about=about, hint="Check the path.") from None
    except (OSError, RuntimeError, ValueError) as error:
        raise Refused(
            f"the file {str(path)!r} cannot be read ({type(error).__name__}).",
            about=about,
            hint="Check its permissions.",
        ) from None
