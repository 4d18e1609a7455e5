"""Pinata Inference as declared state: a Pulumi resource whose one-time key goes to HashiCorp Vault.

The public names load on first use, so that importing a part of the core never loads Pulumi.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pulumi_pinata.credits import CreditsTopUp, CreditsTopUpArgs, CreditsTopUpArgsDict
    from pulumi_pinata.resource import (
        Inference,
        InferenceArgs,
        InferenceArgsDict,
        VaultArgs,
        VaultArgsDict,
        VaultAuthArgs,
        VaultAuthArgsDict,
    )

__version__ = "0.1.0"

_HOMES = {
    "CreditsTopUp": "credits",
    "CreditsTopUpArgs": "credits",
    "CreditsTopUpArgsDict": "credits",
    "Inference": "resource",
    "InferenceArgs": "resource",
    "InferenceArgsDict": "resource",
    "VaultArgs": "resource",
    "VaultArgsDict": "resource",
    "VaultAuthArgs": "resource",
    "VaultAuthArgsDict": "resource",
}

__all__ = [
    "CreditsTopUp",
    "CreditsTopUpArgs",
    "CreditsTopUpArgsDict",
    "Inference",
    "InferenceArgs",
    "InferenceArgsDict",
    "VaultArgs",
    "VaultArgsDict",
    "VaultAuthArgs",
    "VaultAuthArgsDict",
    "__version__",
]


def __getattr__(name: str) -> Any:
    """Load a public name from its module (PEP 562)."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted(__all__)
