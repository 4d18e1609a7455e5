"""What a plan has to say beyond Pulumi's own diff: outages, with the path they concern, and drift; pure.

The engine asks for the diff in previews, ups and refreshes alike, so the lines speak of the next `up`.
"""

from collections.abc import Mapping
from typing import Any

from pulumi_pinata.core.model import Condition

OFF = "inference is off; the next up switches it on with a new key"

_OUTAGE = "{cause}: the present key dies, and whatever uses {path} fails until it reads the new one"
_LOST = {
    Condition.KEY_LOST: "inference is on, but {path} does not hold its key",
    Condition.KEY_STALE: "inference was switched on elsewhere, and {path} holds a dead key",
}
_CURE = {
    "remint": "; the next up mints a new one (on_lost_key: remint)",
    "fail": "; the next up fails (on_lost_key: fail)",
}
_DRIFT = {
    Condition.DRIFTED: "{path} or its marks were changed; the next up restores them, with the same key",
    Condition.INTERRUPTED: "a run was interrupted; the next up finishes it",
    Condition.CONFLICT: "{path} or the account is managed by somebody else; the next up fails",
}


def of(olds: Mapping[str, Any], news: Mapping[str, Any], changed: list[str], *, replaces: bool) -> list[str]:
    """The lines for one resource, from its old outputs, new inputs and the names of the changed ones."""
    path = f"{olds.get('vault_mount')}/{olds.get('vault_path')}"
    if replaces:
        return [_OUTAGE.format(cause="replacement", path=path)]
    lines = []
    if "rotation_trigger" in changed and news.get("rotation_trigger") is not None:
        lines.append(_OUTAGE.format(cause="rotation", path=path))
    known = {member.value: member for member in Condition}
    condition = known.get(str(olds.get("condition")))
    if condition in _LOST:
        lines.append(_LOST[condition].format(path=path) + _CURE.get(str(news.get("on_lost_key")), ""))
    elif condition in _DRIFT:
        lines.append(_DRIFT[condition].format(path=path))
    return lines
