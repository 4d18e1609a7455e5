"""A plan as a file: what it relied on, under a checksum, so that it is applied as it was read or not at all."""

import json
import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pulumi_pinata.core.errors import Refused
from reconciler.fleetplan import SCHEMA, FleetPlan, digest

KIND = "PinataFleetPlan"
_LONGEST = 64 * 1024 * 1024


@dataclass(frozen=True)
class Saved:
    """A plan as it was saved; `paths` are the manifests it was made of."""

    paths: tuple[Path, ...]
    checksum: str
    relied_on: Mapping[str, Any]


def save(plan: FleetPlan, paths: Sequence[Path], file: Path) -> None:
    """Write the plan. Raises Refused when the file cannot be written."""
    content = {
        "kind": KIND,
        "checksum": plan.checksum,
        "paths": [str(path) for path in paths],
        "plan": plan.relied_on(),
    }
    text = json.dumps({**content, "seal": digest(content)}, indent=1)
    unfinished = file.with_name(f".{file.name}.{os.getpid()}")
    try:
        unfinished.write_text(text + "\n")
        unfinished.replace(file)
    except OSError as error:
        raise Refused(f"{str(file)!r} cannot be written ({type(error).__name__}).", about="--out") from None


def is_plan(path: Path) -> bool:
    """Whether the file is a plan, by its beginning; manifests are YAML."""
    try:
        with path.open("rb") as file:
            return KIND.encode() in file.read(200)
    except OSError:
        return False


def load(path: Path) -> Saved:
    """Read a plan. Raises Refused for one that was edited by hand, is not whole, or comes from another version."""
    try:
        with path.open("rb") as file:
            content = json.loads(file.read(_LONGEST))
        seal = content.pop("seal")
        plan = content["plan"]
        whole = seal == digest(content) and content["checksum"] == digest(plan)
        paths = tuple(Path(each) for each in content["paths"])
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
        raise Refused(f"{str(path)!r} is no plan.", about="PLAN", hint="Make one: plan --out FILE.") from None
    if not whole:
        raise Refused(
            f"{str(path)!r} was changed after it was made.", about="PLAN", hint="Make a new one: plan --out FILE."
        )
    if plan.get("schema") != SCHEMA:
        raise Refused(f"{str(path)!r} was made by another version.", about="PLAN", hint="Make a new one.")
    return Saved(paths, str(content["checksum"]), plan)


def moved(saved: Saved, plan: FleetPlan) -> list[str]:
    """What the saved plan relied on that is not so any more, a line each; empty when it can be applied."""
    then, now = saved.relied_on, plan.relied_on()
    lines = []
    if then["fleet"] != now["fleet"]:
        lines.append(f"the fleet was {then['fleet']}, and is {now['fleet']} now")
    if then["manifest"] != now["manifest"]:
        lines.append("the manifests have changed")
    if then["inventories"] != now["inventories"]:
        lines.append("another apply has written the fleet's inventory since")
    before = {row["name"]: row for row in then["rows"]}
    after = {row["name"]: row for row in now["rows"]}
    for name in sorted({*before, *after}):
        old, new = before.get(name), after.get(name)
        if old is None or new is None:
            lines.append(f"{name}: {'was not there' if old is None else 'is not there any more'}")
        elif old != new:
            facts = [key for key in old if old[key] != new.get(key)]
            lines.append(f"{name}: {', '.join(f'{key} {_shown(old[key])} → {_shown(new.get(key))}' for key in facts)}")
    return lines


def _shown(fact: object) -> str:
    if isinstance(fact, list):
        return "/".join(f"{part:g}" for part in fact)
    return "none" if fact is None or fact == "" else str(fact)
