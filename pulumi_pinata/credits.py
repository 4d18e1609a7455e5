"""`CreditsTopUp`, as a Pulumi program writes it."""

from dataclasses import dataclass
from typing import Any, TypedDict

from pulumi import Input, Output, ResourceOptions
from pulumi.dynamic import Resource

from pulumi_pinata._credits_provider import CreditsTopUpProvider
from pulumi_pinata.resource import plain, refuse_literals


@dataclass(kw_only=True)
class CreditsTopUpArgs:
    """Auto top-up of one account's credits; inference fails with 402 when they run out."""

    threshold: Input[float]
    """Top up when fewer credits than this are available; at least 5."""
    amount: Input[int]
    """Credits to buy each time, a positive whole number. Each top-up charges the card on file."""
    credentials: Input[str] | None = None
    """Reference to the account's JWT: `env:NAME` or `file:PATH`; default `env:PINATA_JWT`."""
    account: Input[str] | None = None
    """The account's user id or e-mail, checked against the JWT; needed where the JWT names none."""
    api_url: Input[str] | None = None
    """The Pinata API; default PINATA_API_URL, else https://agents.pinata.cloud."""
    timeout: Input[float] | None = None
    """Bound on one call in seconds, 1 to 300; default 20."""


class CreditsTopUpArgsDict(TypedDict, total=False):
    """`CreditsTopUpArgs` as a dict."""

    threshold: Input[float]
    amount: Input[int]
    credentials: Input[str]
    account: Input[str]
    api_url: Input[str]
    timeout: Input[float]


class CreditsTopUp(Resource, module="pinata", name="CreditsTopUp"):
    """The auto top-up configuration of one account (docs.pinata.cloud/inference/credits).

    An account has one; creating this writes over it, deleting it switches auto top-up off.
    """

    threshold: Output[float]
    amount: Output[int]
    account_fingerprint: Output[str]
    """A one-way digest of the account's identity; also the resource's id."""

    def __init__(
        self,
        resource_name: str,
        args: CreditsTopUpArgs | CreditsTopUpArgsDict,
        opts: ResourceOptions | None = None,
    ) -> None:
        """Declare it. Raises Refused for a literal JWT."""
        props: dict[str, Any] = plain(args)
        refuse_literals(resource_name, props)
        props["account_fingerprint"] = None
        opts = ResourceOptions.merge(opts, ResourceOptions(delete_before_replace=True))
        super().__init__(CreditsTopUpProvider(), resource_name, props, opts)
