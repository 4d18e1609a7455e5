"""How one account is declared, before any reference is followed; data only."""

from collections.abc import Mapping
from dataclasses import dataclass

from pulumi_pinata.core.model import Adopt, Location, OnDelete, OnLostKey
from pulumi_pinata.core.reference import Reference


@dataclass(frozen=True)
class AuthSettings:
    """How to log in to Vault; see `adapters.vault_login.Credentials`. `name` may itself be a reference."""

    method: str
    secret: Reference | None
    name: str | Reference = ""
    mount: str = ""


@dataclass(frozen=True)
class VaultSettings:
    """Which Vault, and where in it. `ca_cert` is a path to a PEM bundle."""

    address: str
    location: Location
    field: str
    auth: AuthSettings
    namespace: str | None = None
    ca_cert: str | None = None

    @property
    def home(self) -> tuple[str, str | None, str]:
        """What makes two settings mean the same records: Vault, namespace and mount."""
        return self.address, self.namespace, self.location.mount


@dataclass(frozen=True)
class Settings:
    """One account. `timeout` bounds one call, in seconds; `trigger` is a digest of the rotation trigger."""

    owner: str
    credentials: Reference
    account: str | None
    api_url: str
    timeout: float
    vault: VaultSettings
    labels: Mapping[str, str]
    trigger: str | None
    on_delete: OnDelete
    on_lost_key: OnLostKey
    adopt: Adopt

    @property
    def base_url(self) -> str:
        """The base URL for OpenAI clients (docs.pinata.cloud/inference/chat-completions)."""
        return f"{self.api_url}/v0/llm"
