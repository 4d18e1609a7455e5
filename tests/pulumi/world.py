"""One sandbox account and one Vault path for a test, and what is true of them, seen past the code under test."""

import itertools
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from counting_proxy import CountingProxy

from pulumi_pinata.sandbox.openbao import OpenBao
from pulumi_pinata.sandbox.openbao_api import BaoError
from pulumi_pinata.sandbox.openbao_setup import Provisioned
from pulumi_pinata.sandbox.pinata_server import PinataServer, SandboxAccount

_numbers = itertools.count(1)


@dataclass
class World:
    pinata: PinataServer
    vault: OpenBao
    proxy: CountingProxy
    logins: Provisioned
    folder: Path
    name: str = field(default_factory=lambda: f"acct{next(_numbers)}")
    jwts: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.account = self.add_account(self.name)
        self.jwt_file = self.folder / "jwt"
        self.jwt_file.write_text(self.account.jwt + "\n")
        self.token = self.vault.make_token(["pinata-provider"])
        self.env = {
            "PINATA_API_URL": self.pinata.url,
            "PINATA_JWT": self.account.jwt,
            "VAULT_ADDR": self.proxy.url,
            "VAULT_TOKEN": self.token,
        }

    def add_account(self, name: str, **options: Any) -> SandboxAccount:
        account = self.pinata.add_account(name, **options)
        self.jwts.append(account.jwt)
        return account

    @property
    def path(self) -> str:
        return f"pinata/{self.name}"

    def vault_data(self, path: str | None = None, mount: str = "secret") -> dict[str, str] | None:
        try:
            return self.vault.api.data("GET", f"{mount}/data/{path or self.path}")["data"]  # type: ignore[return-value]
        except BaoError:
            return None

    def vault_metadata(self, path: str | None = None, mount: str = "secret") -> dict[str, Any] | None:
        try:
            return self.vault.api.data("GET", f"{mount}/metadata/{path or self.path}")
        except BaoError:
            return None

    def vault_key(self, path: str | None = None, key_field: str = "PINATA_LLM_KEY", mount: str = "secret") -> str:
        data = self.vault_data(path, mount)
        assert data is not None, "Vault has no readable secret there"
        return data[key_field]

    def key_is_live(self, path: str | None = None, key_field: str = "PINATA_LLM_KEY", mount: str = "secret") -> bool:
        return self.pinata.is_live(self.name, self.vault_key(path, key_field, mount))

    def record(self, mount: str = "secret") -> dict[str, Any]:
        """The account's newest record: the only one that names this world's path or was written last."""
        names = self.vault.api.data("LIST", f"{mount}/metadata/pinata-inference/intents")["keys"]
        records = [self.vault.api.data("GET", f"{mount}/data/pinata-inference/intents/{n}")["data"] for n in names]
        mine = [r for r in records if str(r.get("owner")).endswith(f"/{self.name}")]  # hostile ones may have none
        return mine[-1]

    @property
    def mints(self) -> int:
        return self.pinata.state(self.name).mints

    def pinata_calls(self) -> list[str]:
        return [f"{c.method} {c.path}" for c in self.pinata.calls(self.name)]

    def secrets(self) -> list[str]:
        """What must be seen nowhere: JWTs, Vault tokens, and whatever begins like a key."""
        return [*self.jwts, self.token, "pnk_"]
