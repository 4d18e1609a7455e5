"""Settings to ports: the only place that chooses implementations."""

import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from functools import partial
from math import inf
from pathlib import Path

from pulumi_pinata.adapters.clock import SystemClock
from pulumi_pinata.adapters.escrow_age import AgeEscrow
from pulumi_pinata.adapters.pinata_http import CreditsClient, PinataClient
from pulumi_pinata.adapters.pinata_transport import SharedPool
from pulumi_pinata.adapters.signals import shielded
from pulumi_pinata.adapters.vault_kv import VaultStore
from pulumi_pinata.core.account import Account, identify
from pulumi_pinata.core.errors import PinataError, Refused
from pulumi_pinata.core.model import Desired, Location, Minted, Mode
from pulumi_pinata.core.ports import Attempts, Ports
from pulumi_pinata.core.reference import Reference, VaultReference
from pulumi_pinata.core.secret import Secret
from pulumi_pinata.core.settings import Settings, VaultSettings
from pulumi_pinata.credentials import read, resolve, vault_login

_UNUSED = 24 * 3600.0


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

    References are followed anew for each session, so a rotated JWT needs no new Connections. A Vault login is made
    once; `lasting` ones are renewed, and made anew from what their references hold by then.
    `with Connections(…) as connections:` lets go of everything at the end.
    """

    def __init__(self, environ: Mapping[str, str] | None = None, *, size: int = 16, lasting: bool = False) -> None:
        self.environ = os.environ if environ is None else environ
        self._size = size
        self._lasting = lasting
        self._lock = threading.Lock()
        self._pools: dict[str, SharedPool] = {}
        self._stores: dict[object, VaultStore] = {}
        self._used: dict[object, float] = {}

    def __enter__(self) -> "Connections":
        return self

    def __exit__(self, *_: object) -> None:
        with self._lock:
            for pool in self._pools.values():
                pool.shut()
            for store in self._stores.values():
                store.close()
            self._pools, self._stores, self._used = {}, {}, {}

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
                self._stores[key] = _store(vault, timeout, self.environ, self._size, lasting=self._lasting)
            self._used[key] = time.monotonic()
            return self._stores[key].at(vault.location.mount)

    def keep_alive(self) -> float:
        """Renew the lasting logins that are due; returns the seconds until one is again (inf: none).

        Raises nothing: see `login_problems`. What nothing has used for a day is let go of, with its login.
        """
        with self._lock:
            for key in [key for key, used in self._used.items() if used < time.monotonic() - _UNUSED]:
                self._stores.pop(key).close()
                self._used.pop(key)
        stores = self._all()
        if len(stores) < 2:
            return min((store.lease.tend() for store in stores), default=inf)
        # Side by side: each that hangs takes up to three quarters of its timeout.
        with ThreadPoolExecutor(min(len(stores), 16), thread_name_prefix="login") as pool:
            return min(pool.map(lambda store: float(store.lease.tend()), stores))

    def login_expiry(self) -> float | None:
        """When the first of the Vault logins ends, in seconds since the epoch; None where none is known to end."""
        left = [store.lease.expires_in() for store in self._all()]
        return time.time() + min(left) if left and min(left) < inf else None

    def login_problems(self) -> list[PinataError]:
        """Why Vault logins could not be made or renewed when that was last tried."""
        return [found for store in self._all() if (found := store.lease.problem)]

    def _all(self) -> list[VaultStore]:
        with self._lock:
            return list(self._stores.values())


@contextmanager
def session(
    settings: Settings,
    *,
    notice: Callable[[str], None],
    environ: Mapping[str, str] | None = None,
    connections: Connections | None = None,
    through: Callable[[VaultStore], VaultStore] = lambda store: store,
) -> Iterator[Session]:
    """Follow the references and connect; everything is let go of at the end, but for what `connections` share.

    All calls to Vault go to what `through` makes of the store.
    Raises Refused for a reference that leads nowhere or a JWT that is malformed, expired or of another account.
    """
    env = connections.environ if connections else os.environ if environ is None else environ
    with ExitStack() as stack:
        if connections:
            store, pool = connections.store(settings.vault, settings.timeout), connections.pool(settings.api_url)
        else:
            store, pool = stack.enter_context(closing(_store(settings.vault, settings.timeout, env))), None
        store = through(store)
        jwt = resolve(settings.credentials, "credentials", env, store)
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
    jwt = resolve(credentials, "credentials", os.environ, None)
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


def local_identity(settings: Settings, environ: Mapping[str, str] | None = None) -> str | None:
    """The fingerprint of the account that the settings' credentials speak for, if no call is needed to read them."""
    if isinstance(settings.credentials, VaultReference):
        return None
    env = os.environ if environ is None else environ
    try:
        return identify(read(settings.credentials, "credentials", env), settings.account, now=time.time()).fingerprint
    except PinataError:
        return None


def fingerprint(settings: Settings, environ: Mapping[str, str] | None = None) -> str:
    """The fingerprint of the account that the settings' credentials speak for."""
    env = os.environ if environ is None else environ
    with closing(_store(settings.vault, settings.timeout, env)) as store:
        jwt = resolve(settings.credentials, "credentials", env, store)
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
        note(lambda: identify(read(settings.credentials, "credentials", env), settings.account, now=time.time()), "")
    note(lambda: vault_login(settings.vault.auth, env), "vault.auth")
    note(lambda: _ca_cert(settings.vault, env), "vault.ca_cert")
    note(lambda: _escrow(env), "")
    return problems


def _store(
    vault: VaultSettings, timeout: float, env: Mapping[str, str], pool: int = 10, *, lasting: bool = False
) -> VaultStore:
    login = partial(vault_login, vault.auth, env)
    return VaultStore(
        vault.address,
        vault.location.mount,
        login if lasting else login(),
        timeout=timeout,
        namespace=vault.namespace,
        ca_cert=_ca_cert(vault, env),
        pool=pool,
        lasting=lasting,
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
