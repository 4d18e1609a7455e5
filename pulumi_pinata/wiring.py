"""Settings to ports: the only place that follows references and chooses implementations."""

import os
import secrets
import stat
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from pulumi_pinata.adapters.clock import SystemClock
from pulumi_pinata.adapters.escrow_age import AgeEscrow
from pulumi_pinata.adapters.pinata_http import CreditsClient, PinataClient
from pulumi_pinata.adapters.pinata_transport import SharedPool
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
    """One account, ready to be worked on.

    `field` reads one field of any secret; `credits` makes a client of the account's top-up, to be closed.
    """

    account: Account
    ports: Ports
    field: Callable[[Location, str], Secret | None]
    credits: Callable[[], CreditsClient]


class Connections:
    """What many accounts share: connections to each API, and a login to each Vault; for any number of threads.

    References are followed anew for each session, so a rotated JWT needs no new Connections; a Vault login is made
    once. `with Connections(…) as connections:` lets go of everything at the end.
    """

    def __init__(self, environ: Mapping[str, str] | None = None, *, size: int = 16) -> None:
        self.environ = os.environ if environ is None else environ
        self._size = size
        self._lock = threading.Lock()
        self._pools: dict[str, SharedPool] = {}
        self._stores: dict[object, VaultStore] = {}

    def __enter__(self) -> "Connections":
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            for pool in self._pools.values():
                pool.shut()
            for store in self._stores.values():
                store.close()
            self._pools, self._stores = {}, {}

    def pool(self, api_url: str) -> SharedPool:
        """The connections to an API."""
        with self._lock:
            if api_url not in self._pools:
                self._pools[api_url] = SharedPool(api_url, self._size)
            return self._pools[api_url]

    def store(self, vault: VaultSettings, timeout: float) -> VaultStore:
        """The Vault, logged in to at its first call, with the records at the mount of `vault`."""
        key = (vault.address, vault.namespace, vault.auth, vault.ca_cert, timeout)
        with self._lock:
            if key not in self._stores:
                self._stores[key] = _store(vault, timeout, self.environ, self._size)
            return self._stores[key].at(vault.location.mount)


@contextmanager
def session(
    settings: Settings,
    *,
    notice: Callable[[str], None],
    environ: Mapping[str, str] | None = None,
    connections: Connections | None = None,
) -> Iterator[Session]:
    """Follow the references and connect; everything is let go of at the end, but for what `connections` share.

    Raises Refused for a reference that leads nowhere or a JWT that is malformed, expired or of another account.
    """
    env = connections.environ if connections else os.environ if environ is None else environ
    with ExitStack() as stack:
        if connections:
            store, pool = connections.store(settings.vault, settings.timeout), connections.pool(settings.api_url)
        else:
            store, pool = stack.enter_context(closing(_store(settings.vault, settings.timeout, env))), None
        jwt = _resolve(settings.credentials, "credentials", env, store)
        account = identify(jwt, settings.account, now=time.time())
        pinata = stack.enter_context(closing(PinataClient(settings.api_url, jwt, settings.timeout, pool)))
        attempts = Attempts(secrets.token_hex(8))
        escrow = _escrow(env)
        sealed = escrow.prepare() if escrow else None
        ports = Ports(pinata, store, SystemClock(), attempts, settings.timeout, notice, sealed, shielded)
        credits = partial(CreditsClient, settings.api_url, jwt, settings.timeout, pool)
        yield Session(account, ports, store.field, credits)


@contextmanager
def credits_session(
    api_url: str,
    credentials: Reference,
    account: str | None,
    timeout: float,
    recorded: str | None,
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
    with closing(_store(settings.vault, settings.timeout, env)) as store:
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


def _store(vault: VaultSettings, timeout: float, env: Mapping[str, str], pool: int = 10) -> VaultStore:
    return VaultStore(
        vault.address,
        vault.location.mount,
        _credentials(vault.auth, env),
        timeout=timeout,
        namespace=vault.namespace,
        ca_cert=_ca_cert(vault, env),
        pool=pool,
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
        return Credentials(auth.method, _read(auth.secret, about, env), _read(name, about, env), auth.mount)
    return Credentials(auth.method, _read(auth.secret, about, env), name, auth.mount)


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


def _resolve(where: Reference, about: str, env: Mapping[str, str], store: VaultStore | None) -> Secret:
    if not isinstance(where, VaultReference):
        return _read(where, about, env)
    if store is None:
        raise Refused("a vault: reference is not supported here.", about=about, hint="Use env: or file:.")
    if value := store.field(where.location, where.field):
        return value
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
