"""What a manifest may hold, as pydantic models: the one source of checks of shape, JSON Schema and reference page.

Limits on values that Pulumi's inputs have too (addresses, paths, references, seconds) are not checked here but by
`properties.check`, so that both faces say the same; here they are only described, for editors. Every field may be
null, which is as if it were not there; what then holds stands in its description as `default`.
"""

import difflib
import re
from functools import lru_cache
from typing import Annotated, Any, Literal
from zoneinfo import ZoneInfo, available_timezones

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, PlainValidator, WithJsonSchema, model_validator
from pydantic.alias_generators import to_camel
from pydantic_core import PydanticCustomError

from pulumi_pinata import properties

API_VERSION = "pinata-reconciler.dev/v1alpha1"
DEFAULT_FLEET = "default"
DAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
MAX_AGE = re.compile(r"([1-9][0-9]{0,4})([mhdw])")
_SECONDS = {"m": 60, "h": 3600, "d": 86400, "w": 604800}
_SHORTEST_AGE = 3600  # every rotation cuts consumers off: more often is a mistake
_LABEL = re.compile(r"[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")
_REFERENCE = r"^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+|vault:.+/.+#.+)$"
_LOCAL_REFERENCE = r"^(env:[A-Za-z_][A-Za-z0-9_]*|file:.+)$"  # a Vault login cannot itself come from Vault


def _custom(message: str) -> PydanticCustomError:
    # As an argument of the template, so that braces in it stay what they are.
    return PydanticCustomError("manifest", "{message}", {"message": message})


def is_label(text: str) -> bool:
    """Whether `text` may be a name."""
    return _LABEL.fullmatch(text) is not None


def _label(text: str) -> str:
    if not is_label(text):
        raise _custom(
            "must be 1 to 63 lower-case letters, digits and hyphens, with no hyphen at either end (an RFC 1123 label)."
        )
    return text


def seconds(age: str) -> int:
    """The length of a `maxAge` that has been checked."""
    number, unit = age[:-1], age[-1]
    return int(number) * _SECONDS[unit]


def _age(text: str) -> str:
    if not MAX_AGE.fullmatch(text) or seconds(text) < _SHORTEST_AGE:
        raise _custom("must be a number and a unit (m, h, d or w), such as 90d; at least 1h.")
    return text


def _clock(text: str) -> str:
    if not _CLOCK.fullmatch(text):
        raise _custom('must be a time of day from "00:00" to "23:59".')
    return text


@lru_cache(maxsize=256)
def _is_zone(name: str) -> bool:
    try:
        ZoneInfo(name)
    except (OSError, ValueError, KeyError):  # a folder of the database, a path out of it, no such zone
        return False
    return True


def _zone(name: str) -> str:
    if not _is_zone(name):
        near = difflib.get_close_matches(name[:60], available_timezones(), n=1)
        raise _custom(f"no such time zone. {f'Did you mean {near[0]}?' if near else 'Write one as Europe/Vienna.'}")
    return name


def _trigger(value: object) -> object:
    if value is None or (isinstance(value, (str, int, float)) and not isinstance(value, bool)):
        return value
    raise _custom("must be text or a number.")


def _days(days: list[str]) -> list[str]:
    if not days or len(set(days)) < len(days):
        raise _custom("must name one day or more, each once.")
    return days


def about(text: str, default: object = None, /, **schema: Any) -> Any:
    """A field that may be left out: what it means, what then holds, and what editors should know."""
    extra = schema if default is None else {"default": default, **schema}
    return Field(default=None, description=text, json_schema_extra=extra)


Name = Annotated[
    str, AfterValidator(_label), WithJsonSchema({"type": "string", "pattern": f"^{_LABEL.pattern}$", "maxLength": 63})
]
Age = Annotated[str, AfterValidator(_age), WithJsonSchema({"type": "string", "pattern": f"^{MAX_AGE.pattern}$"})]
Clock = Annotated[str, AfterValidator(_clock), WithJsonSchema({"type": "string", "pattern": f"^({_CLOCK.pattern})$"})]
Zone = Annotated[str, AfterValidator(_zone)]
Trigger = Annotated[str | float, PlainValidator(_trigger), WithJsonSchema({"type": ["string", "number"]})]
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
Balance = Annotated[float, Field(ge=0)]
Days = Annotated[list[Day], AfterValidator(_days)]


class Model(BaseModel):
    """What all parts have in common: camelCase in YAML, nothing unknown, nothing converted."""

    model_config = ConfigDict(
        strict=True, extra="forbid", frozen=True, alias_generator=to_camel, allow_inf_nan=False, title=None
    )


class Metadata(Model):
    """Who is declared."""

    name: Name = Field(
        description="Name of the account in its fleet: lower-case letters, digits and hyphens, unique. The owner mark "
        "in Vault is made of it: a renamed account is another one.",
        json_schema_extra={"examples": ["shop-prod"]},
    )
    namespace: str | None = about("For Kubernetes; means nothing here.")
    labels: dict[str, str] | None = about("For your own tools; means nothing here.")
    annotations: dict[str, str] | None = about("For your own tools; means nothing here.")


class Auth(Model):
    """How to log in to Vault. Secrets by reference: `env:NAME` or `file:PATH`."""

    method: Literal["token", "approle", "kubernetes", "jwt", "userpass"] | None = about("Vault's login.", "token")
    mount: str | None = about("Where the login is mounted; the default is the method's name.", examples=["approle-ci"])
    role: str | None = about("For kubernetes and jwt: the role, or a reference to it.")
    role_id: str | None = about("For approle: the role id, or a reference to it.", examples=["env:VAULT_ROLE_ID"])
    secret_id: str | None = about(
        "For approle: a reference to the secret id.", pattern=_LOCAL_REFERENCE, examples=["file:/run/secrets/secret-id"]
    )
    token: str | None = about(
        "For token: a reference to it; the default is `env:VAULT_TOKEN`.", pattern=_LOCAL_REFERENCE
    )
    jwt: str | None = about(
        "For jwt and kubernetes: a reference to the token; for kubernetes the default is the pod's own.",
        pattern=_LOCAL_REFERENCE,
    )
    username: str | None = about("For userpass: the user's name, or a reference to it.")
    password: str | None = about("For userpass: a reference to the password.", pattern=_LOCAL_REFERENCE)


class VaultPlace(Model):
    """Which Vault, and which mount of it."""

    address: str | None = about(
        "https, or http to this machine; the default is VAULT_ADDR.", examples=["https://vault.example"]
    )
    mount: str | None = about("The KV version 2 mount.", properties.DEFAULT_MOUNT)
    namespace: str | None = about("The default is VAULT_NAMESPACE.")
    ca_cert: str | None = about("A file of CA certificates (PEM); the default is VAULT_CACERT.")
    auth: Auth | None = about("How to log in; without it VAULT_TOKEN, then ~/.vault-token.")


class SharedVault(VaultPlace):
    """Which Vault, and how the key is kept in it."""

    field: str | None = about("The key's field; `PINATA_LLM_BASE_URL` stands beside it.", properties.DEFAULT_FIELD)
    custom_metadata: dict[str, str] | None = about("Your own custom metadata on the secret.")


class Vault(SharedVault):
    """Where the key is kept."""

    path: str | None = about(
        "The secret's path below the mount; the default is `pinata/NAME`. A change moves the secret.",
        examples=["shop/llm"],
    )


class Window(Model):
    """When a rotation by age may happen. `end` before `start` reaches past midnight."""

    days: Days | None = about("Weekdays on which the window opens; the default is all.", examples=[["sat", "sun"]])
    start: Clock = Field(description="Time of day, quoted.", json_schema_extra={"examples": ["02:00"]})
    end: Clock = Field(description="Time of day, quoted.", json_schema_extra={"examples": ["05:00"]})
    time_zone: Zone | None = about("IANA time zone.", "UTC", examples=["Europe/Vienna"])

    @model_validator(mode="after")
    def _takes_time(self) -> "Window":
        if self.start == self.end:
            raise _custom("start and end are the same. Leave out `window` for any time.")
        return self


class Rotation(Model):
    """When the key is replaced: an outage for its consumers until they read the new one."""

    trigger: Trigger | None = about("A change (or the first value) asks for a new key at once.", examples=["2026-11"])
    max_age: Age | None = about(
        "Replace a key that is older: a number and m, h, d or w; at least 1h.", examples=["90d"]
    )
    window: Window | None = about("When a rotation by `maxAge` may happen; the default is any time.")


class TopUp(Model):
    """Pinata's auto top-up; each one charges the card on file."""

    threshold: float = Field(description="Top up when fewer credits are left; at least 5.", ge=5)
    amount: int = Field(description="Credits to buy each time.", ge=1, le=10**9)


class Credits(Model):
    """The account's credits; inference without any answers 402."""

    top_up: TopUp | None = about("Keep auto top-up configured so; without it, it is left as it is.")
    alert_below: Balance | None = about("Warn when fewer credits are left.", examples=[20])


class SharedSpec(Model):
    """What may be declared for one account, or shared by all."""

    inference: Literal["enabled", "disabled", "observed"] | None = about(
        "What is wanted; `observed` only watches and never changes anything.", "enabled"
    )
    api_url: str | None = about(
        f"The Pinata API; the default is PINATA_API_URL, then {properties.DEFAULT_API_URL}.",
        examples=[properties.DEFAULT_API_URL],
    )
    timeout: float | None = about("Bound on one call, in seconds.", properties.DEFAULT_TIMEOUT, minimum=1, maximum=300)
    rotation: Rotation | None = about("When the key is replaced; the default is never.")
    drift: Literal["heal", "report"] | None = about("What to do about changes that no commit has made.", "heal")
    lost_key: Literal["remint", "fail"] | None = about(
        "What to do when inference is on but Vault has no working key.", "remint"
    )
    adopt: Literal["refuse", "remint", "observe"] | None = about(
        "What to do when somebody else switched inference on; `remint` cuts them off.", "refuse"
    )
    on_delete: Literal["softDelete", "destroy", "retain"] | None = about(
        "What becomes of the copy in Vault when inference is switched off; its key is dead either way.", "softDelete"
    )
    prune: bool | None = about("Whether the account is switched off when its manifest is gone.", False)
    protect: bool | None = about("Refuse whatever would switch off or replace the key.", False)
    suspend: bool | None = about("Leave the account alone until this is taken back.", False)
    credits: Credits | None = about("Auto top-up, and when to warn.")


class InferenceSpec(SharedSpec):
    """One account."""

    credentials: str | None = about(
        "Reference to the account's JWT, looked up at each run: `env:NAME`, `file:PATH` or `vault:MOUNT/PATH#FIELD`.",
        "env:PINATA_JWT",
        pattern=_REFERENCE,
        examples=["env:SHOP_PINATA_JWT"],
    )
    account: str | None = about(
        "The account's user id or e-mail: checked against the JWT, needed where the JWT names none."
    )
    vault: Vault | None = about("Where the key is kept.")


class DefaultsSpec(SharedSpec):
    """What all accounts of the fleet share, unless they say otherwise."""

    fleet: Name | None = about("Name of the fleet: the owner mark in Vault is `reconciler:FLEET/NAME`.", DEFAULT_FLEET)
    vault: SharedVault | None = about("Which Vault, and how the keys are kept in it.")
    former_vaults: list[VaultPlace] | None = about(
        "Where keys of the fleet were kept before, the newest first: they are fetched from there, without a mint. What "
        "one leaves out is as in `vault`. Take it out once the move is done.",
        examples=[[{"address": "https://old-vault.example"}]],
    )


class Inference(Model):
    """One Pinata account, and where the key of its inference endpoint is kept."""

    api_version: Literal["pinata-reconciler.dev/v1alpha1"] = Field(description="The format's version.")
    kind: Literal["Inference"] = Field(description="One account.")
    metadata: Metadata = Field(description="Who is declared, by a name.")
    spec: InferenceSpec | None = about("What is declared; everything has a default.")


class InferenceDefaults(Model):
    """What all accounts share that are loaded together; there is at most one."""

    api_version: Literal["pinata-reconciler.dev/v1alpha1"] = Field(description="The format's version.")
    kind: Literal["InferenceDefaults"] = Field(description="What many share.")
    metadata: Metadata | None = about("A name, for Kubernetes; means nothing here.")
    spec: DefaultsSpec | None = about("Laid under the spec of every Inference, group by group.")


KINDS: dict[str, type[Inference] | type[InferenceDefaults]] = {
    "Inference": Inference,
    "InferenceDefaults": InferenceDefaults,
}
