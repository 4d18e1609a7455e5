"""`Inference`, as a Pulumi program writes it."""

from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from enum import Enum
from typing import Any, Literal, TypedDict, cast, overload

import pulumi
from pulumi import Input, Output, ResourceOptions
from pulumi.dynamic import Resource

from pulumi_pinata import claims
from pulumi_pinata._provider import InferenceProvider
from pulumi_pinata.core import reference
from pulumi_pinata.core.errors import Refused
from pulumi_pinata.properties import INPUTS, OUTPUTS

OnDelete = Literal["soft_delete", "destroy", "retain"]
OnLostKey = Literal["remint", "fail"]
Adopt = Literal["refuse", "remint", "observe"]
AuthMethod = Literal["token", "approle", "kubernetes", "jwt", "userpass"]


@dataclass(kw_only=True)
class VaultAuthArgs:
    """How to log in to Vault. Every secret is a reference: `env:NAME` or `file:PATH`."""

    method: Input[AuthMethod]
    """token, approle, kubernetes, jwt or userpass."""
    mount: Input[str] | None = None
    """Path of the auth method; default: the method's name."""
    token: Input[str] | None = None
    """token: reference to the token; default `env:VAULT_TOKEN`."""
    role: Input[str] | None = None
    """kubernetes, jwt: the role's name."""
    jwt: Input[str] | None = None
    """kubernetes, jwt: reference to the JWT; for kubernetes the pod's service account token by default."""
    role_id: Input[str] | None = None
    """approle: the role id, or a reference to it."""
    secret_id: Input[str] | None = None
    """approle: reference to the secret id."""
    username: Input[str] | None = None
    """userpass: the user's name."""
    password: Input[str] | None = None
    """userpass: reference to the password."""


class VaultAuthArgsDict(TypedDict, total=False):
    """`VaultAuthArgs` as a dict."""

    method: Input[AuthMethod]
    mount: Input[str]
    token: Input[str]
    role: Input[str]
    jwt: Input[str]
    role_id: Input[str]
    secret_id: Input[str]
    username: Input[str]
    password: Input[str]


@dataclass(kw_only=True)
class VaultArgs:
    """Which Vault takes the key, and where in it."""

    address: Input[str] | None = None
    """Vault's address, https unless it is this machine; default VAULT_ADDR."""
    mount: Input[str] | None = None
    """The KV v2 mount; default `secret`. The account's record lives on it too, below `pinata-inference/`."""
    path: Input[str] | None = None
    """The secret's path in the mount; default `pinata/<resource name>`. Changing it moves the secret."""
    namespace: Input[str] | None = None
    """Vault namespace; default VAULT_NAMESPACE."""
    field: Input[str] | None = None
    """The field that holds the key; default `PINATA_LLM_KEY`. `PINATA_LLM_BASE_URL` stands beside it."""
    custom_metadata: Input[Mapping[str, Input[str]]] | None = None
    """Custom metadata for the secret, beside our own (`pinata-…`)."""
    auth: Input["VaultAuthArgs | VaultAuthArgsDict"] | None = None
    """The login; default VAULT_TOKEN, else `~/.vault-token`, looked up at each run."""
    ca_cert: Input[str] | None = None
    """Path of a PEM bundle to trust; default VAULT_CACERT, looked up at each run."""


class VaultArgsDict(TypedDict, total=False):
    """`VaultArgs` as a dict."""

    address: Input[str]
    mount: Input[str]
    path: Input[str]
    namespace: Input[str]
    field: Input[str]
    custom_metadata: Input[Mapping[str, Input[str]]]
    auth: Input[VaultAuthArgs | VaultAuthArgsDict]
    ca_cert: Input[str]


@dataclass(kw_only=True)
class InferenceArgs:
    """Pinata Inference, switched on for one account, its key in Vault. Everything has a default."""

    credentials: Input[str] | None = None
    """Reference to the account's JWT: `env:NAME`, `file:PATH` or `vault:MOUNT/PATH#FIELD`; default `env:PINATA_JWT`."""
    vault: Input[VaultArgs | VaultArgsDict] | None = None
    """Where the key goes."""
    rotation_trigger: Input[str | int | float] | None = None
    """Changing it (or setting it for the first time) mints a new key in place of the old one: an outage for its users
    until they read the new one. Removing it does nothing."""
    on_delete: Input[OnDelete] | None = None
    """What happens to the Vault copy on delete: soft_delete (default), destroy or retain.
    The key in it is dead either way."""
    on_lost_key: Input[OnLostKey] | None = None
    """When inference is on but Vault has no working key: remint (default) or fail."""
    adopt: Input[Adopt] | None = None
    """When inference was switched on by somebody else: refuse (default), remint (its users are cut off) or observe."""
    account: Input[str] | None = None
    """The account's user id or e-mail, checked against the JWT; needed where the JWT names none."""
    api_url: Input[str] | None = None
    """The Pinata API; default PINATA_API_URL, else https://agents.pinata.cloud."""
    timeout: Input[float] | None = None
    """Bound on one call in seconds, 1 to 300; default 20. A run that was killed is taken over after
    1.5 times as long."""


class InferenceArgsDict(TypedDict, total=False):
    """`InferenceArgs` as a dict."""

    credentials: Input[str]
    vault: Input[VaultArgs | VaultArgsDict]
    rotation_trigger: Input[str | int | float]
    on_delete: Input[OnDelete]
    on_lost_key: Input[OnLostKey]
    adopt: Input[Adopt]
    account: Input[str]
    api_url: Input[str]
    timeout: Input[float]


class Inference(Resource, module="pinata", name="Inference"):
    """Pinata Inference on one account (docs.pinata.cloud/inference/overview).

    Creating it enables inference and stores the one-time key in Vault; deleting it revokes the key. The key is never
    an input or an output: services read it from Vault at `vault_mount`/`vault_path`.
    """

    enabled: Output[bool]
    """Whether inference is on."""
    created_at: Output[str | None]
    """Since when, as Pinata says."""
    account_fingerprint: Output[str]
    """A one-way digest of the account's identity; also the resource's id."""
    vault_mount: Output[str]
    """The KV v2 mount that holds the key."""
    vault_path: Output[str]
    """The secret's path in the mount."""
    vault_version: Output[int | None]
    """The secret's version that holds the live key."""
    fingerprint: Output[str | None]
    """A one-way digest of the live key; changes exactly when the key does, so it can trigger restarts."""
    base_url: Output[str]
    """The base URL for OpenAI clients."""
    condition: Output[str]
    """Ready, or what the last refresh found: Drifted, KeyLost, KeyStale, Interrupted, Conflict; Observed if only
    looked at."""
    schema_version: Output[int]
    """The version of this resource's stored format."""

    @overload
    def __init__(
        self, resource_name: str, args: InferenceArgs | InferenceArgsDict, opts: ResourceOptions | None = None
    ) -> None: ...

    @overload
    def __init__(
        self,
        resource_name: str,
        opts: ResourceOptions | None = None,
        *,
        credentials: Input[str] | None = None,
        vault: Input[VaultArgs | VaultArgsDict] | None = None,
        rotation_trigger: Input[str | int | float] | None = None,
        on_delete: Input[OnDelete] | None = None,
        on_lost_key: Input[OnLostKey] | None = None,
        adopt: Input[Adopt] | None = None,
        account: Input[str] | None = None,
        api_url: Input[str] | None = None,
        timeout: Input[float] | None = None,
    ) -> None: ...

    def __init__(self, resource_name: str, *positional: Any, **keywords: Any) -> None:
        """Declare it, by an args object, a dict or keywords.

        Raises Refused for a literal JWT, and when another Inference of this program has the same account or path.
        """
        args, opts = _arguments(positional, keywords)
        props: dict[str, Any] = {name: args.get(name) for name in INPUTS if args.get(name) is not None}
        unknown = set(args) - set(INPUTS)
        props.update({name: args[name] for name in unknown})  # `check` refuses them, with a suggestion
        refuse_literals(resource_name, props)
        try:
            claims.claim(resource_name, props, exists=bool(opts and opts.id))
        except Refused as refused:
            raise _RefusedInProgram(str(refused)) from None
        props["owner"] = "pulumi:" + "/".join(
            (pulumi.get_organization(), pulumi.get_project(), pulumi.get_stack(), resource_name)
        )
        props.update(dict.fromkeys(OUTPUTS))
        # Forced replacements (`up --replace`, `state taint`, `replacement_trigger`) never ask the provider's diff: by
        # default they would create first, and the old copy's delete would then switch the account off.
        opts = ResourceOptions.merge(opts, ResourceOptions(delete_before_replace=True))
        super().__init__(InferenceProvider(), resource_name, props, opts)

    @staticmethod
    def get(
        resource_name: str,
        id: Input[str],
        opts: ResourceOptions | None = None,
        **inputs: Any,
    ) -> "Inference":
        """Look up an inference key that another stack manages.

        `id` is the account's fingerprint; `inputs` are those of `InferenceArgs` (credentials and vault). The preview
        fails when there is no such key.
        """
        return Inference(resource_name, ResourceOptions.merge(opts, ResourceOptions(id=id)), **inputs)


def _arguments(positional: tuple[Any, ...], keywords: dict[str, Any]) -> tuple[dict[str, Any], ResourceOptions | None]:
    """Both calling forms of generated Pulumi SDKs: (name, args, opts) and (name, opts, **inputs)."""
    given = dict(keywords)
    opts = given.pop("opts", None)
    args = given.pop("args", None)
    for value in positional:
        if isinstance(value, ResourceOptions) or (value is None and args is not None):
            opts = value
        elif value is not None:
            args = value
    if args is not None and given:
        raise TypeError("Inference takes either an args object or keywords, not both")
    return plain(args) if args is not None else plain(given), cast("ResourceOptions | None", opts)


class _RefusedInProgram(Refused, pulumi.RunError):
    """Pulumi shows it without a traceback, whose source lines would show the very literal that is refused."""


def refuse_literals(resource_name: str, props: Mapping[str, Any]) -> None:
    """Refuse what is not a reference where one belongs, before the engine (and its logs) sees it."""
    vault = props.get("vault")
    auth = vault.get("auth") if isinstance(vault, Mapping) else None
    named = {"credentials": props.get("credentials")}
    if isinstance(auth, Mapping):
        named |= {f"vault.auth.{name}": auth.get(name) for name in ("token", "secret_id", "jwt", "password")}
    for about, value in named.items():
        if isinstance(value, str):
            try:
                reference.parse(value, f"{resource_name}: {about}")
            except Refused as refused:
                bare = _RefusedInProgram(str(refused))
            else:
                continue
            raise bare


def plain(value: Any) -> Any:
    """Args objects as dicts, without what was not given; outputs stay as they are."""
    if is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in fields(value)}
    if isinstance(value, Mapping):
        return {name: plain(inner) for name, inner in value.items() if inner is not None}
    return value.value if isinstance(value, Enum) else value
