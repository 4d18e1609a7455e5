"""Vault KV v2 as the core's key store; hvac's world ends here."""

from collections.abc import Callable, Mapping
from contextlib import suppress
from copy import copy
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import Any

import hvac
from hvac import exceptions
from requests.adapters import HTTPAdapter

from pulumi_pinata.adapters import vault_documents as documents
from pulumi_pinata.adapters.vault_errors import SERVICE, accepted, data_of, translated
from pulumi_pinata.adapters.vault_lease import Lease
from pulumi_pinata.adapters.vault_login import Credentials
from pulumi_pinata.adapters.vault_preflight import preflight
from pulumi_pinata.core.address import is_loopback
from pulumi_pinata.core.errors import Refused
from pulumi_pinata.core.model import Content, Location, Record, State, Stored
from pulumi_pinata.core.secret import Secret

INTENTS = "pinata-inference/intents"


class VaultStore:
    """`core.ports.KeyStore` on one Vault, namespace and mount, with one login.

    `mount` is where the accounts' records live; the login happens on the first call. A `lasting` one is kept good, with
    credentials that are asked for anew each time; `clock` counts in seconds.
    """

    def __init__(
        self,
        address: str,
        mount: str,
        credentials: Credentials | Callable[[], Credentials],
        *,
        timeout: float,
        namespace: str | None = None,
        ca_cert: str | None = None,
        pool: int = 10,
        lasting: bool = False,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._client = hvac.Client(
            url=address,
            token="",
            verify=ca_cert or True,
            timeout=(timeout / 4, timeout / 2),
            namespace=namespace,
            allow_redirects=False,  # requests would carry the token to wherever a redirect points
        )
        if is_loopback(address):
            self._client.session.trust_env = False  # a proxy would see the token that plain http carries
        for scheme in ("https://", "http://"):
            self._client.session.mount(scheme, HTTPAdapter(pool_maxsize=pool))
        self._time = _VaultTime()
        self._client.session.hooks["response"].append(self._time.note)
        self._mount = mount
        given = credentials
        read = (lambda: given) if isinstance(given, Credentials) else given
        self.lease = Lease(self._client, read, lasting=lasting, clock=clock)
        if lasting:
            self._client.session.hooks["response"].append(self.lease.heard)
        self._buried: dict[str, int] = {}

    def at(self, mount: str) -> "VaultStore":
        """The same connections and login, with the records at another mount; closing one closes all."""
        other = copy(self)
        other._mount, other._buried = mount, {}
        return other

    def close(self) -> None:
        """Let go of the connections."""
        self._client.adapter.close()

    def preflight(self, location: Location, account: str, seconds: float) -> None:
        """See `KeyStore.preflight`."""
        record = Location(self._mount, f"{INTENTS}/{account}")
        preflight(self._client, self.lease.left(seconds), location, record, seconds)

    def stat(self, location: Location) -> Stored:
        """See `KeyStore.stat`."""
        kv = self._kv()
        try:
            with translated(f"read the metadata of {location}"):
                answer = kv.read_secret_metadata(path=location.path, mount_point=location.mount)
                return _stored(data_of(answer), location, self._time.now())
        except exceptions.InvalidPath:
            return Stored()

    def read(self, location: Location, version: int | None = None) -> Content | None:
        """See `KeyStore.read`."""
        kv = self._kv()
        try:
            with translated(f"read {location}"):
                answer = kv.read_secret_version(
                    path=location.path, version=version, mount_point=location.mount, raise_on_deleted_version=True
                )
                return documents.content_from_data(data_of(answer).get("data"))
        except exceptions.InvalidPath:
            return None

    def write(self, location: Location, content: Content, *, base_url: str, cas: int) -> int:
        """See `KeyStore.write`."""
        return self._put(location, documents.content_to_data(content, base_url), cas)

    def label(self, location: Location, stored: Stored) -> None:
        """See `KeyStore.label`."""
        ours = documents.label_to_metadata(stored.label) if stored.label else {}
        kv = self._kv()
        with _present(location), translated(f"write the metadata of {location}", write=True):
            accepted(
                kv.update_metadata(
                    path=location.path, mount_point=location.mount, custom_metadata={**stored.labels, **ours}
                )
            )

    def undelete(self, location: Location, version: int) -> None:
        """See `KeyStore.undelete`."""
        kv = self._kv()
        with _present(location), translated(f"undelete {location}", write=True):
            accepted(kv.undelete_secret_versions(path=location.path, versions=[version], mount_point=location.mount))

    def soft_delete(self, location: Location, version: int) -> None:
        """See `KeyStore.soft_delete`."""
        kv = self._kv()
        with _present(location), translated(f"delete {location}", write=True):
            accepted(kv.delete_secret_versions(path=location.path, versions=[version], mount_point=location.mount))

    def destroy(self, location: Location, versions: tuple[int, ...]) -> None:
        """See `KeyStore.destroy`."""
        kv = self._kv()
        with _present(location), translated(f"destroy {location}", write=True):
            accepted(
                kv.destroy_secret_versions(path=location.path, versions=list(versions), mount_point=location.mount)
            )

    def record(self, account: str) -> Record | None:
        """See `KeyStore.record`."""
        kv = self._kv()
        path = f"{INTENTS}/{account}"
        try:
            with translated(f"read {self._mount}/{path}"):
                answer = kv.read_secret_version(path=path, mount_point=self._mount, raise_on_deleted_version=False)
                body = data_of(answer)
                version = int(body["metadata"]["version"])
        except exceptions.InvalidPath:
            self._buried[account] = 0
            return None
        if body.get("data") is None:
            # Somebody deleted the record: there is none, but its number is still what a write must name.
            self._buried[account] = version
            return None
        return documents.record_from_data(body["data"], version, f"{self._mount}/{path}")

    def put_record(self, account: str, record: Record, *, cas: int) -> int:
        """See `KeyStore.put_record`."""
        location = Location(self._mount, f"{INTENTS}/{account}")
        return self._put(location, documents.record_to_data(record), cas or self._buried.get(account, 0))

    def field(self, location: Location, name: str) -> Secret | None:
        """One field of a secret of somebody's, for a `vault:` reference; None where it does not exist."""
        kv = self._kv()
        try:
            with translated(f"read {location}"):
                answer = kv.read_secret_version(
                    path=location.path, mount_point=location.mount, raise_on_deleted_version=True
                )
                value = (data_of(answer).get("data") or {}).get(name)
        except exceptions.InvalidPath:
            return None
        return Secret(value) if isinstance(value, str) and value else None

    def document(self, path: str) -> tuple[Mapping[str, Any] | None, int]:
        """A document of ours at the records' mount, and the version that a write of it must name."""
        kv = self._kv()
        try:
            with translated(f"read {self._mount}/{path}"):
                answer = kv.read_secret_version(path=path, mount_point=self._mount, raise_on_deleted_version=False)
        except exceptions.InvalidPath:
            return None, 0
        body = data_of(answer)
        return body.get("data"), int(body["metadata"]["version"])

    def put_document(self, path: str, data: Mapping[str, Any], cas: int) -> int:
        """Write such a document; returns its new version. Raises like `write`."""
        return self._put(Location(self._mount, path), dict(data), cas)

    def _put(self, location: Location, data: dict[str, Any], cas: int) -> int:
        kv = self._kv()
        with _present(location), translated(f"write {location}", write=True):
            answer = kv.create_or_update_secret(path=location.path, secret=data, cas=cas, mount_point=location.mount)
            return int(data_of(answer)["version"])

    def _kv(self) -> Any:
        self.lease.needed()
        return self._client.secrets.kv.v2


class _VaultTime:
    """Vault's own idea of now, from its answers: this machine's may be a day off."""

    def __init__(self) -> None:
        self._ahead = timedelta()

    def note(self, response: Any, **_: object) -> None:
        """Take the time of an answer."""
        with suppress(TypeError, ValueError):
            self._ahead = parsedate_to_datetime(response.headers.get("Date")) - datetime.now(timezone.utc)

    def now(self) -> datetime:
        """The time there."""
        return datetime.now(timezone.utc) + self._ahead


class _present:
    """A write to a path whose mount is missing is a 404: say so."""

    def __init__(self, location: Location) -> None:
        self._location = location

    def __enter__(self) -> None:
        return

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if isinstance(error, exceptions.InvalidPath):
            raise Refused(
                f"there is no KV v2 secrets engine at {self._location.mount!r}.",
                about="vault.mount",
                hint="Name the mount that `vault secrets list` shows.",
                service=SERVICE,
            ) from None


def _stored(data: Mapping[str, Any], location: Location, now: datetime) -> Stored:
    current = int(data.get("current_version") or 0)
    versions = {int(number): _state(entry, now) for number, entry in (data.get("versions") or {}).items()}
    metadata: dict[str, str] = data.get("custom_metadata") or {}
    return Stored(
        version=current,
        state=versions.get(current, State.ABSENT),
        label=documents.label_from_metadata(metadata, location),
        labels={name: value for name, value in metadata.items() if not name.startswith(documents.MARK)},
        readable=tuple(sorted(number for number, state in versions.items() if state is State.READABLE)),
    )


def _state(entry: Mapping[str, Any], now: datetime) -> State:
    if entry.get("destroyed"):
        return State.DESTROYED
    deleted = entry.get("deletion_time")
    if not deleted:
        return State.READABLE
    # `delete_version_after` writes the moment ahead of time; until then the version can be read.
    moment = datetime.fromisoformat(deleted[:19]).replace(tzinfo=timezone.utc)
    return State.DELETED if moment <= now else State.READABLE
