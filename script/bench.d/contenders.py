"""What is compared: a pass of ours, the same calls without our logic, and a script as one would first write it."""

from __future__ import annotations

import http.client
import json
import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import datetime, timezone
from typing import Any
from urllib.parse import urlsplit

import httpx
import requests
from requests.adapters import HTTPAdapter
from rig import Account, Fleet

from pulumi_pinata.wiring import Connections
from reconciler.apply import apply
from reconciler.fleet import make_plan
from reconciler.fleetplan import FleetPlan, Kind
from reconciler.pool import WORKERS
from reconciler.upstreams import Upstreams

_STATUS = "/v0/llm/status"


class Wrong(Exception):
    """A contender saw something else than a fleet in order, so its time means nothing."""


def our_pass(fleet: Fleet) -> None:
    """`make_plan` with new connections, as the first pass of the reconciler, or the command `plan`."""
    with kept(fleet) as connections:
        next_pass(fleet, connections)


def kept(fleet: Fleet) -> Connections:
    """Connections, as the loop keeps them from pass to pass."""
    return Connections(fleet.environ, size=WORKERS)


def next_pass(fleet: Fleet, connections: Connections) -> None:
    """A pass over a fleet that must be in order."""
    plan = _plan(fleet, connections)
    odd = [f"{row.name}: {row.reason}" for row in plan.rows if row.kind is not Kind.NONE]
    if odd or len(plan.rows) != len(fleet.accounts):
        raise Wrong(f"{len(odd)} of {len(plan.rows)} accounts are not in order{'; '.join(['', *odd[:1]])}")


class Planned:
    """A fleet of accounts that are off, and the plan to switch them on."""

    def __init__(self, fleet: Fleet) -> None:
        self._connections = kept(fleet)
        self._size = len(fleet.accounts)
        self._plan = _plan(fleet, self._connections)

    def carry_out(self) -> None:
        """Apply it."""
        access = Upstreams(self._connections, rate=0)
        results = apply(self._plan, access, workers=WORKERS, now=datetime.now(timezone.utc))
        failed = [result for result in results if result.error]
        if failed or len(results) != self._size:
            why = failed[0].error if failed else "the others were not planned"
            raise Wrong(f"{len(results) - len(failed)} of {self._size} accounts were switched on; {why}")

    def close(self) -> None:
        """Let go of the connections."""
        self._connections.__exit__()


def first_apply(fleet: Fleet, planned: Callable[[], None] = lambda: None) -> None:
    """Plan and apply a fleet of accounts that are off; `planned` is called between the two."""
    found = Planned(fleet)
    try:
        planned()
        found.carry_out()
    finally:
        found.close()


def _plan(fleet: Fleet, connections: Connections) -> FleetPlan:
    access = Upstreams(connections, rate=0)
    return make_plan(fleet.manifest, access, workers=WORKERS, now=datetime.now(timezone.utc))


def ceiling(fleet: Fleet) -> None:
    """The calls of a pass: by the libraries of our adapters, one pooled client each, and JSON; nothing else."""
    with _clients() as (pinata, vault):
        inventory = f"{fleet.vault_addr}/v1/secret/data/pinata-inference/fleets/{fleet.name}"
        vault.get(inventory, headers={"X-Vault-Token": fleet.vault_token}).json()

        def look(account: Account) -> tuple[int, bool]:
            headers = {"Authorization": f"Bearer {account.jwt}"}
            status = pinata.get(f"{fleet.api_url}{_STATUS}", headers=headers).json()
            address = f"{fleet.vault_addr}/v1/secret/metadata/{account.path}"
            metadata = vault.get(address, headers={"X-Vault-Token": fleet.vault_token}).json()
            return metadata["data"]["current_version"], status["enabled"]

        _side_by_side(look, fleet.accounts)


def bare_mints(fleet: Fleet) -> None:
    """The fourteen calls of a create in their order (ARCHITECTURE.md), by the same libraries, and nothing checked."""
    with _clients() as (pinata, vault):

        def mint(account: Account) -> tuple[int, bool]:
            bearer, login = {"Authorization": f"Bearer {account.jwt}"}, {"X-Vault-Token": fleet.vault_token}

            def ask(method: str, path: str, body: Any = None) -> Any:
                return vault.request(method, f"{fleet.vault_addr}/v1/{path}", headers=login, json=body).json()

            def tell(method: str, path: str) -> Any:
                return pinata.request(method, f"{fleet.api_url}{path}", headers=bearer).json()

            record, secret = f"secret/data/bench/intents/{account.name}", f"secret/data/{account.path}"
            ask("GET", record)
            tell("GET", _STATUS)
            ask("GET", f"secret/metadata/{account.path}")
            ask("GET", "auth/token/lookup-self")
            ask("POST", "sys/capabilities-self", {"paths": [record, secret]})
            ask("GET", "sys/internal/ui/mounts/secret")
            ask("POST", record, {"data": {"state": "open"}, "options": {"cas": 0}})
            key = tell("POST", "/v0/llm/enable")["privateKey"]
            version = ask("POST", secret, {"data": {"key": key}, "options": {"cas": 0}})["data"]["version"]
            ask("GET", f"{secret}?version={version}")
            enabled = tell("GET", _STATUS)["enabled"]
            tell("GET", "/v0/secrets")
            ask("POST", record, {"data": {"state": "closed"}, "options": {"cas": 1}})
            metadata = f"{fleet.vault_addr}/v1/secret/metadata/{account.path}"
            vault.post(metadata, headers=login, json={"custom_metadata": {"account": account.name}})
            return version, enabled

        _side_by_side(mint, fleet.accounts)


@contextmanager
def _clients() -> Iterator[tuple[httpx.Client, requests.Session]]:
    """One pooled client for each service."""
    limits = httpx.Limits(max_keepalive_connections=WORKERS)
    with httpx.Client(limits=limits, trust_env=False) as pinata, requests.Session() as vault:
        vault.trust_env = False
        vault.mount("http://", HTTPAdapter(pool_maxsize=WORKERS))
        yield pinata, vault


def bare_sockets(fleet: Fleet) -> None:
    """The same calls by `http.client` and a connection a thread: what the libraries cost."""
    ours = threading.local()
    opened: list[http.client.HTTPConnection] = []

    def connected(address: str) -> http.client.HTTPConnection:
        parts = urlsplit(address)
        opened.append(http.client.HTTPConnection(str(parts.hostname), parts.port))
        return opened[-1]

    def get(connection: http.client.HTTPConnection, path: str, headers: dict[str, str]) -> dict[str, object]:
        connection.request("GET", path, headers=headers)
        found: dict[str, object] = json.loads(connection.getresponse().read())
        return found

    def look(account: Account) -> tuple[int, bool]:
        if not hasattr(ours, "pinata"):
            ours.pinata, ours.vault = connected(fleet.api_url), connected(fleet.vault_addr)
        status = get(ours.pinata, _STATUS, {"Authorization": f"Bearer {account.jwt}"})
        path = f"/v1/secret/metadata/{account.path}"
        data = get(ours.vault, path, {"X-Vault-Token": fleet.vault_token})["data"]
        assert isinstance(data, dict)
        return data["current_version"], bool(status["enabled"])

    _side_by_side(look, fleet.accounts)
    for connection in opened:
        connection.close()


def sequential(fleet: Fleet, accounts: Sequence[Account]) -> None:
    """One account after another, a new connection for each call."""
    for account in accounts:
        status = _fetched(f"{fleet.api_url}{_STATUS}", {"Authorization": f"Bearer {account.jwt}"})
        address = f"{fleet.vault_addr}/v1/secret/metadata/{account.path}"
        _in_order(_fetched(address, {"X-Vault-Token": fleet.vault_token})["data"]["current_version"], status["enabled"])


def _fetched(url: str, headers: dict[str, str]) -> dict[str, dict[str, int]]:
    with requests.Session() as session:
        session.trust_env = False
        found: dict[str, dict[str, int]] = session.get(url, headers=headers, timeout=60).json()
        return found


def _side_by_side(look: Callable[[Account], tuple[int, bool]], accounts: Sequence[Account]) -> None:
    with ThreadPoolExecutor(WORKERS) as pool:
        for version, enabled in pool.map(look, accounts):
            _in_order(version, enabled)


def _in_order(version: object, enabled: object) -> None:
    if not (version and enabled is True):
        raise Wrong("an account is off, or Vault has no key of it")
