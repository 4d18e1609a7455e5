"""What a decision refuses, in words: what was found, which input it is about, what to do; nothing is decided here."""

from pulumi_pinata.core.actions import Refuse
from pulumi_pinata.core.model import Desired, Stored


def path_taken(desired: Desired, stored: Stored) -> Refuse:
    """The declared Vault path holds something that is not ours."""
    holder = "a secret without our mark"
    if stored.label:
        holder = f"held by {stored.label.owner}" if stored.label.minted else "somebody's since it was let go of"
    return Refuse(
        f"{desired.location} is {holder}.",
        about="vault.path",
        hint="Choose another `vault.path`; nothing was changed.",
    )


def account_taken(owner: str, how: str) -> Refuse:
    """Another owner manages the account, or left it unfinished."""
    return Refuse(
        f"inference on this account is {how} {owner}.",
        about="owner",
        hint="Manage an account in one place; to take it over, set `adopt` to remint (its key is replaced).",
    )


def handed_over(owner: str) -> Refuse:
    """The key is the one we know, but its owner is another: a rename that was cut off, or a handing over."""
    return Refuse(
        f"the key of this resource is managed by {owner} now.",
        about="owner",
        hint="If that is its new name, apply the new declaration first; if it was handed over, take it out of this one "
        "(`pulumi state delete`, or remove the manifest).",
    )


def not_from_here() -> Refuse:
    """Asked to switch off what somebody else switched on."""
    return Refuse(
        "inference is on, but was not switched on from here.",
        about="adopt",
        hint="Set `adopt` to remint to take it over (and then off), or to observe to leave it alone.",
    )


def key_lost(how: str) -> Refuse:
    """`on_lost_key: fail`."""
    return Refuse(
        f"inference is on, but {how}.",
        about="on_lost_key",
        hint="Restore the secret in Vault, or set `on_lost_key` to remint: a new key is minted and the live one dies.",
    )


def not_ours() -> Refuse:
    """`adopt: refuse`."""
    return Refuse(
        "inference is already on for this account, and its key is not ours.",
        about="adopt",
        hint="Set `adopt` to remint (mints a new key; whoever uses the old one is cut off) or to observe.",
    )
