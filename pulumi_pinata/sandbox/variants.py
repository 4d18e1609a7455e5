"""Every answer that Pinata's documentation leaves open, as a switch of an account; no behaviour here."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from enum import Enum


class Reenable(Enum):
    """What enable does when inference is already on (undocumented)."""

    ROTATE = "rotate"
    SAME = "same"
    NO_KEY = "no_key"
    CONFLICT = "conflict"


class CreatedAt(Enum):
    """Whether `createdAt` changes when enable rotates the key of an enabled account (undocumented)."""

    CHANGES = "changes"
    STAYS = "stays"


class DisableWhenOff(Enum):
    """What disable answers when inference is off (undocumented): 200, 404 or 409."""

    OK = "ok"
    NOT_FOUND = "not_found"
    CONFLICT = "conflict"


class StatusWhenOff(Enum):
    """How status says "off" (undocumented): no `createdAt`, a null one, or a 404."""

    ABSENT = "absent"
    NULL = "null"
    NOT_FOUND = "not_found"


class ErrorShape(Enum):
    """The five error bodies seen on Pinata's hosts (docs agents/errors.mdx, and third-party captures)."""

    STRING = "string"
    MESSAGE = "message"
    REASON = "reason"
    CODE = "code"
    ZOD = "zod"


class ProbeOrder(Enum):
    """What a chat call with a bad key and an invalid body meets first (undocumented): 401 or 400."""

    AUTH_FIRST = "auth_first"
    VALIDATE_FIRST = "validate_first"


class SecretsListing(Enum):
    """Whether `GET /v0/secrets` answers, and whether it shows PINATA_LLM_KEY (undocumented)."""

    ON = "on"
    OFF = "off"
    HIDES_LLM_KEY = "hides_llm_key"


class Microcredits(Enum):
    """Where a chat 402 puts `availableMicrocredits` (documented to be there, its place undocumented)."""

    TOP = "top"
    NESTED = "nested"
    ABSENT = "absent"


@dataclass(frozen=True)
class Variants:
    """One account's choice for every open question.

    `enable_status` is 200 or 201. `status_lag` is in seconds: for so long after a change, status still shows
    the state before it.
    """

    reenable: Reenable = Reenable.ROTATE
    created_at_on_reenable: CreatedAt = CreatedAt.CHANGES
    disable_when_off: DisableWhenOff = DisableWhenOff.OK
    status_when_off: StatusWhenOff = StatusWhenOff.ABSENT
    enable_status: int = 200
    status_lag: float = 0.0
    error_shape: ErrorShape = ErrorShape.STRING
    probe_order: ProbeOrder = ProbeOrder.AUTH_FIRST
    secrets_listing: SecretsListing = SecretsListing.ON
    microcredits: Microcredits = Microcredits.TOP

    def changed(self, changes: Mapping[str, object]) -> "Variants":
        """Return a copy with `changes` (plain values or members); ValueError names a bad key or value."""
        values: dict[str, object] = {}
        for name, value in changes.items():
            if name not in _READERS:
                raise ValueError(f"variant {name!r} is unknown; known: {', '.join(_READERS)}")
            values[name] = _READERS[name](name, value)
        return replace(self, **values)  # type: ignore[arg-type]  # the readers above give each field its type


def _member_of(kind: type[Enum]) -> Callable[[str, object], object]:
    def read(name: str, value: object) -> object:
        plain = value.value if isinstance(value, Enum) else value
        try:
            return kind(plain)
        except ValueError:
            known = ", ".join(str(member.value) for member in kind)
            raise ValueError(f"variant {name}={plain!r} is unknown; one of: {known}") from None

    return read


def _enable_status(name: str, value: object) -> object:
    if str(value) not in {"200", "201"}:
        raise ValueError(f"variant {name}={value!r} must be 200 or 201")
    return int(str(value))


def _seconds(name: str, value: object) -> object:
    try:
        seconds = float(str(value))
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds <= 3600:
        raise ValueError(f"variant {name}={value!r} must be seconds between 0 and 3600")
    return seconds


_READERS: Mapping[str, Callable[[str, object], object]] = {
    "reenable": _member_of(Reenable),
    "created_at_on_reenable": _member_of(CreatedAt),
    "disable_when_off": _member_of(DisableWhenOff),
    "status_when_off": _member_of(StatusWhenOff),
    "enable_status": _enable_status,
    "status_lag": _seconds,
    "error_shape": _member_of(ErrorShape),
    "probe_order": _member_of(ProbeOrder),
    "secrets_listing": _member_of(SecretsListing),
    "microcredits": _member_of(Microcredits),
}
