"""Settings to ports: the only place that follows references and chooses implementations."""

import os
import secrets
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from pulumi_pinata.adapters.clock import SystemClock
from pulumi_pinata.adapters.escrow_age import AgeEscrow
from pulumi_pinata.adapters.pinata_http import CreditsClient, PinataClient
from pulumi_pinata.adapters.signals import shielded
from pulumi_pinata.adapters.vault_kv import VaultStore
from pulumi_pinata.adapters.vault_login import Credentials
from pulumi_pinata.core.account import Account, identify
from pulumi_pinata.core.errors import PinataError, Refused
from pulumi_pinata.core.model import Desired, Location, Minted, Mode
from pulumi_pinata.core.ports import Attempts, Ports
from pulumi_pinata.core.reference import EnvReference, FileReference, Reference, VaultReference
from pulumi_pinata.core.secret import Secret
from pulumi_pinata.core.settings import AuthSettings, Settings, VaultSettings

_LONGEST = 64 * 1024


@dataclass(frozen=True)
class Session:
    """One account, ready to be worked on; `field` reads one field of any secret."""

    account: Account
    ports: Ports
    field: Callable[[Location, str], str | None]


@contextmanager
def session(
    settings: Settings, *, notice: Callable[[str], None], environ: Mapping[str, str] | None = None
) -> Iterator[Session]:
    """Follow the references and connect; everything is let go of at the end.

    Raises Refused for a reference that leads nowhere or a JWT that is malformed, expired or of another account.
    """
    env = os.environ if environ is None else environ
    with ExitStack() as stack:
        store = stack.enter_context(closing(_store(settings, env)))
        jwt = _resolve(settings.credentials, "credentials", env, store)
        account = identify(jwt, settings.account, now=time.time())
        pinata = stack.enter_context(closing(PinataClient(settings.api_url, jwt, settings.timeout)))
        attempts = Attempts(secrets.token_hex(8))
        escrow = _escrow(env)
        sealed = escrow.prepare() if escrow else None
        ports = Ports(pinata, store, SystemClock(), attempts, settings.timeout, notice, sealed, shielded)
        yield Session(account, ports, store.field)


@contextmanager
def credits_session(
    api_url: str, credentials: Reference, account: str | None, timeout: float, recorded: str | None
) -> Iterator[tuple[Account, CreditsClient]]:
    """The account and its top-up configuration.

    Raises Refused like `session`, and for a `vault:` reference: there is no Vault here to look it up in.
    """
    jwt = _resolve(credentials, "credentials", os.environ, None)
    found = identify(jwt, account, now=time.time())
    same_account(found.fingerprint, recorded)
    with closing(CreditsClient(api_url, jwt, timeout)) as client:
        yield found, client


def same_account(found: str, recorded: str | None) -> None:
    """Raise Refused when credentials speak for another account than the one a resource was made for."""
    if recorded and recorded != found:
        raise Refused(
            f"these credentials speak for account {found}, but the resource belongs to {recorded}.",
            about="credentials",
            hint="Point them at the right account's JWT; nothing was changed.",
        )


def fingerprint(settings: Settings, environ: Mapping[str, str] | None = None) -> str:
    """The fingerprint of the account that the settings' credentials speak for."""
    env = os.environ if environ is None else environ
    with closing(_store(settings, env)) as store:
        jwt = _resolve(settings.credentials, "credentials", env, store)
    return identify(jwt, settings.account, now=time.time()).fingerprint


def desired(settings: Settings, account: Account, mode: Mode, held: Minted | None, *former: str) -> Desired:
    """The declaration for the core."""
    return Desired(
        mode=mode,
        owner=settings.owner,
        account=account.fingerprint,
        location=settings.vault.location,
        base_url=settings.base_url,
        field=settings.vault.field,
        labels=settings.labels,
        trigger=settings.trigger,
        on_delete=settings.on_delete,
        on_lost_key=settings.on_lost_key,
        adopt=settings.adopt,
        former_owners=tuple(owner for owner in former if owner != settings.owner),
        held=held,
    )


def local_problems(settings: Settings, environ: Mapping[str, str] | None = None) -> list[tuple[str, str]]:
    """What is wrong with the references as far as this machine alone can tell: (property, reason) pairs."""
    env = os.environ if environ is None else environ
    problems = []

    def note(look: Callable[[], object], about: str) -> None:
        try:
            look()
        except PinataError as error:
            hint = f" {error.hint}" if error.hint else ""
            problems.append((error.about or about, f"{error.message}{hint}"))

    if not isinstance(settings.credentials, VaultReference):
        note(lambda: identify(_read(settings.credentials, "credentials", env), settings.account, now=time.time()), "")
    note(lambda: _credentials(settings.vault.auth, env), "vault.auth")
    note(lambda: _ca_cert(settings.vault, env), "vault.ca_cert")
    note(lambda: _escrow(env), "")
    return problems


def _store(settings: Settings, env: Mapping[str, str]) -> VaultStore:
    vault = settings.vault
    return VaultStore(
        vault.address,
        vault.location.mount,
        _credentials(vault.auth, env),
        timeout=settings.timeout,
        namespace=vault.namespace,
        ca_cert=_ca_cert(vault, env),
    )


def _escrow(env: Mapping[str, str]) -> AgeEscrow | None:
    """A property of the machine that runs, not of what is declared: so from the environment alone."""
    recipient = env.get("PINATA_ESCROW_RECIPIENT")
    if not recipient:
        return None
    state = env.get("XDG_STATE_HOME") or "~/.local/state"
    folder = env.get("PINATA_ESCROW_DIRECTORY") or f"{state}/pulumi-pinata/escrow"
    return AgeEscrow(recipient, Path(folder).expanduser())


def _ca_cert(vault: VaultSettings, env: Mapping[str, str]) -> str | None:
    path = vault.ca_cert or env.get("VAULT_CACERT") or None
    if path and not Path(path).is_file():
        raise Refused(
            f"there is no file {path!r}.", about="vault.ca_cert", hint="Name a PEM bundle of CA certificates."
        )
    return path


def _credentials(auth: AuthSettings, env: Mapping[str, str]) -> Credentials:
    about = "vault.auth"
    if auth.secret is None:
        return Credentials("token", _default_token(env))
    name = auth.name
    if not isinstance(name, str):
        name = _read(name, about, env).reveal()
    return Credentials(auth.method, _read(auth.secret, about, env), name, auth.mount)


def _default_token(env: Mapping[str, str]) -> Secret:
    """As the `vault` command finds it: VAULT_TOKEN, else the file that `vault login` leaves."""
    if token := env.get("VAULT_TOKEN"):
        return Secret(token)
    home = Path("~/.vault-token").expanduser()
    if home.is_file():
        return _read_file(FileReference(str(home)), "vault.auth")
    raise Refused(
        "no Vault login: VAULT_TOKEN is not set, and there is no ~/.vault-token.",
        about="vault.auth",
        hint="Set VAULT_TOKEN, run `vault login`, or set `vault.auth` (approle, kubernetes, jwt, userpass).",
    )


def _resolve(where: Reference, about: str, env: Mapping[str, str], store: VaultStore | None) -> Secret:
    if not isinstance(where, VaultReference):
        return _read(where, about, env)
    if store is None:
        raise Refused("a vault: reference is not supported here.", about=about, hint="Use env: or file:.")
    if value := store.field(where.location, where.field):
        return Secret(value)
    raise Refused(
        f"Vault has no field {where.field!r} at {where.location}.", about=about, hint="Check mount, path and field."
    )


def _read(where: Reference, about: str, env: Mapping[str, str]) -> Secret:
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


def _read_file(where: FileReference, about: str) -> Secret:
    path = Path(where.path).expanduser()
    try:
        with path.open("rb") as file:
            text = file.read(_LONGEST + 1).decode().strip()
    except FileNotFoundError:
        raise Refused(f"there is no file {str(path)!r}.", about=about, hint="Check the path.") from None
    except (OSError, UnicodeDecodeError) as error:
        raise Refused(
            f"the file {str(path)!r} cannot be read ({type(error).__name__}).",
            about=about,
            hint="Check its permissions.",
        ) from None
    if not text or len(text) > _LONGEST:
        raise Refused(f"the file {str(path)!r} is empty, or too long for a credential.", about=about)
    return Secret(text)
