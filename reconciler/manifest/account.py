"""One document to what it declares: shape, then meaning, by the same checks as Pulumi's inputs; pure.

A document is compared with no other one here.
"""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

from pulumi_pinata import properties
from pulumi_pinata.core.errors import Refused
from pulumi_pinata.core.model import Mode
from pulumi_pinata.property_reader import Failures
from reconciler.manifest.declared import Credits, Declared, Drift, Place, Problem, Rotation, Window
from reconciler.manifest.models import (
    DAYS,
    DEFAULT_FLEET,
    Inference,
    InferenceDefaults,
    InferenceSpec,
    is_label,
    seconds,
)
from reconciler.manifest.nodes import Group, Listing, Node, Scalar, inner, locate, merged, plain
from reconciler.manifest.shape import MOST_PROBLEMS, Path, dotted, shaped

# Where an input of Pulumi's stands in a manifest, unless it has the same name.
_PLACES = {
    "api_url": "apiUrl",
    "on_delete": "onDelete",
    "on_lost_key": "lostKey",
    "custom_metadata": "customMetadata",
    "ca_cert": "caCert",
    "role_id": "roleId",
    "secret_id": "secretId",
}
_NAMES = {there: here for here, there in _PLACES.items()}
_SAME = ("credentials", "account", "apiUrl", "timeout", "lostKey", "adopt")
_ABOUT = ("credentials", "account", "vault.auth", "vault.ca_cert")
_FLEETS_OWN = ("fleet", "formerVaults")
_LONGEST = 400  # of a reason: some quote the value, which may be a whole file
_SNAKE = re.compile(r"'([a-z_]+)'")


@dataclass(frozen=True)
class Document:
    """One account's document with the defaults laid under it, or those defaults themselves."""

    kind: str
    root: Node

    @property
    def name(self) -> str:
        """The account's name as far as it can be read, else nothing."""
        named = inner(self.root, "metadata", "name")
        return named.text if isinstance(named, Scalar) else ""

    @property
    def place(self) -> Place:
        """Where the name stands, since that is what people look for."""
        return (inner(self.root, "metadata", "name") or self.root).place

    def at(self, about: str) -> Place | None:
        """Where the value of an input is, by its name in Pulumi, if it is in a file."""
        place, there = locate(self.root, _path(about))
        return place if there else None

    def over(self, defaults: "Document | None") -> "Document":
        """The same with the defaults' spec laid under its own."""
        shared = inner(defaults.root, "spec") if defaults else None
        if not isinstance(shared, Group) or not isinstance(self.root, Group):
            return self
        below = Group(shared.file, shared.line, shared.column)
        below.items = {name: value for name, value in shared.items.items() if name not in _FLEETS_OWN}
        below.keys = {name: key for name, key in shared.keys.items() if name not in _FLEETS_OWN}
        spec = self.root.items.get("spec")
        if isinstance(spec, Scalar) and spec.value is None:
            spec = None  # `spec:` with nothing in it takes nothing away
        root = Group(self.root.file, self.root.line, self.root.column)
        root.items = self.root.items | {"spec": merged(below, spec) or below}
        root.keys = {"spec": Scalar(below.file, below.line, below.column, "spec", "spec")} | self.root.keys
        return Document(self.kind, root)

    def formerly(self) -> Iterator["Document"]:
        """Of defaults: what they would be with each of their former Vaults."""
        spec, listing = inner(self.root, "spec"), inner(self.root, "spec", "formerVaults")
        for vault in listing.items if isinstance(listing, Listing) else ():
            above = Group(vault.file, vault.line, vault.column)
            above.items = {"vault": vault}
            above.keys = {"vault": Scalar(vault.file, vault.line, vault.column, "vault", "vault")}
            root = Group(self.root.file, self.root.line, self.root.column)
            root.items = {"spec": merged(spec, above) or above}
            yield Document(self.kind, root)


@dataclass(frozen=True)
class Found:
    """What a document comes to; `places` says where the values of some inputs are, for problems found later."""

    declared: Declared | None
    problems: list[Problem]
    places: Mapping[str, Place]


def account(document: Document, fleet: str, environ: Mapping[str, str]) -> Found:
    """The account, or all that is wrong with it."""
    model, misfits = shaped(document.kind, document.root)
    inputs, failures = properties.check(_inputs(document, fleet), environ)
    problems = _together(document, misfits, failures, absent=True)
    if problems or not isinstance(model, Inference):
        return Found(None, problems, {})
    try:
        declared = _declared(document, model, inputs)
    except Refused as refused:
        # What only `settings` finds: a reference in place of a login's name that is none.
        reason = f"{refused.message} {refused.hint or ''}".strip()
        problems = _together(document, [], [(refused.about or "", reason)], absent=True)
        return Found(None, problems, {})
    return Found(declared, [], {name: at for name in _ABOUT if (at := document.at(name))})


def defaults(document: Document, environ: Mapping[str, str]) -> tuple[str, list[Problem]]:
    """The fleet's name, and all that is wrong with what is shared; what an account may still add is not missed."""
    model, misfits = shaped(document.kind, document.root)
    _, failures = properties.check(_inputs(document, DEFAULT_FLEET), environ)
    problems = _together(document, misfits, failures, absent=False)
    spec = model.spec if isinstance(model, InferenceDefaults) else None
    return (spec.fleet if spec and spec.fleet else DEFAULT_FLEET), problems


def _inputs(document: Document, fleet: str) -> dict[str, Any]:
    """The spec as Pulumi's inputs, whatever is in it; what does not fit there is left to the model."""
    spec = inner(document.root, "spec")
    values = plain(spec) if isinstance(spec, Group) else {}
    spec_values: dict[str, Any] = values if isinstance(values, dict) else {}
    inputs = {_NAMES.get(name, name): spec_values.get(name) for name in _SAME}
    if isinstance(on_delete := spec_values.get("onDelete"), str):
        inputs["on_delete"] = "soft_delete" if on_delete == "softDelete" else on_delete
    rotation = spec_values.get("rotation")
    inputs["rotation_trigger"] = rotation.get("trigger") if isinstance(rotation, dict) else None
    # A wrong name has its own problem: what is made of it, the secret's path, is not to be complained of as well.
    inputs["owner"] = f"reconciler:{fleet}/{document.name if is_label(document.name) else 'unnamed'}"
    vault = spec_values.get("vault")
    # A group is needed even if nothing is in it: the address may come from the environment.
    inputs["vault"] = _renamed(vault) if isinstance(vault, dict) else {} if vault is None else vault
    return inputs


def _renamed(vault: dict[str, Any]) -> dict[str, Any]:
    renamed = {_NAMES.get(name, name): value for name, value in vault.items()}
    if isinstance(auth := renamed.get("auth"), dict):
        renamed["auth"] = {_NAMES.get(name, name): value for name, value in auth.items() if value is not None}
    return renamed


def _path(about: str) -> Path:
    """The place in a manifest of an input of Pulumi's."""
    if about == "rotation_trigger":
        return "spec", "rotation", "trigger"
    group, dot, label = about.partition("custom_metadata.")
    if dot:  # a label may have dots of its own
        return "spec", *group.rstrip(".").split("."), "customMetadata", label
    return ("spec", *(_PLACES.get(name, name) for name in about.split("."))) if about else ("spec",)


def _together(
    document: Document, misfits: list[tuple[Path, Problem]], failures: Failures, *, absent: bool
) -> list[Problem]:
    """All problems once: what does not fit its model is not judged a second time."""
    problems = [problem for _, problem in misfits]
    judged = [path for path, _ in misfits]
    for about, reason in failures:
        path = _path(about)
        place, there = locate(document.root, path)
        if any(path[: len(known)] == known for known in judged) or not (there or absent):
            continue
        problems.append(Problem(place, f"{dotted(path)}: {_reworded(reason)[:_LONGEST]}"))
    traps = _traps(document.root) if problems else set()
    return [problem for problem in dict.fromkeys(problems) if problem.place not in traps][:MOST_PROBLEMS]


def _traps(root: Node) -> set[Place]:
    """Where the parser has already complained that readers differ."""
    if isinstance(root, Scalar):
        return {root.place} if root.trap else set()
    nodes = list(root.items.values()) if isinstance(root, Group) else list(getattr(root, "items", ()))
    return {place for node in nodes for place in _traps(node)}


def _reworded(reason: str) -> str:
    """Pulumi's words for a file: names as they are here, and no state or preview."""
    if reason.startswith("no such input."):
        reason = reason.replace("no such input.", "not for this method.")
        return _SNAKE.sub(lambda name: _PLACES.get(name[1], name[1]), reason).replace("(", "").replace(")", "")
    return reason.replace("stored in Pulumi's state and shown in previews", "readable by all who read this file")


def _declared(document: Document, model: Inference, inputs: Mapping[str, Any]) -> Declared:
    spec = model.spec or InferenceSpec()
    return Declared(
        name=model.metadata.name,
        place=document.place,
        mode=Mode(spec.inference or "enabled"),
        settings=properties.settings(inputs),
        drift=Drift(spec.drift or "heal"),
        prune=bool(spec.prune),
        protect=bool(spec.protect),
        suspend=bool(spec.suspend),
        rotation=_rotation(spec),
        credits=_credits(spec),
    )


def _rotation(spec: InferenceSpec) -> Rotation:
    given = spec.rotation
    if given is None:
        return Rotation()
    window = None
    if given.window:
        days = frozenset(DAYS.index(day) for day in given.window.days or DAYS)
        start, end = (int(clock[:2]) * 60 + int(clock[3:]) for clock in (given.window.start, given.window.end))
        window = Window(days, start, end, given.window.time_zone or "UTC")
    return Rotation(timedelta(seconds=seconds(given.max_age)) if given.max_age else None, window)


def _credits(spec: InferenceSpec) -> Credits:
    given = spec.credits
    if given is None:
        return Credits()
    top_up = (given.top_up.threshold, given.top_up.amount) if given.top_up else None
    return Credits(top_up, given.alert_below)
