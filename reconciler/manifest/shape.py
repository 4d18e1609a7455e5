"""A document against its model: every mismatch at its own place, in words; what the values mean is not judged here."""

import difflib
from collections.abc import Iterator, Mapping
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from reconciler.manifest.declared import Problem
from reconciler.manifest.models import API_VERSION, KINDS, Inference, InferenceDefaults
from reconciler.manifest.nodes import Group, Listing, Node, Scalar, inner, locate, plain

MOST_PROBLEMS = 50  # of one document; who made more mistakes has made one of another kind

Path = tuple[str | int, ...]
_WANTED = {
    "string_type": "text",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "list_type": "a list",
    "dict_type": "a group of values",
    "model_type": "a group of values",
    "model_attributes_type": "a group of values",
}


def kind_of(root: Node) -> tuple[str | None, list[Problem]]:
    """The document's kind, if it is one of ours in our version."""
    if not isinstance(root, Group):
        return None, [Problem(root.place, "a manifest is a group of apiVersion, kind, metadata and spec.")]
    problems = []
    for name, known in (("apiVersion", [API_VERSION]), ("kind", list(KINDS))):
        value = inner(root, name)
        text = value.value if isinstance(value, Scalar) else None
        if text in known:
            continue
        place, there = locate(root, (name,))
        wanted = f"must be {' or '.join(known)}{'' if there else ', and is missing'}."
        problems.append(Problem(place, f"{name}: {wanted}", _near(text, known)))
    kind = inner(root, "kind")
    return (None if problems or not isinstance(kind, Scalar) else kind.text), problems


def shaped(kind: str, root: Node) -> tuple[Inference | InferenceDefaults | None, list[tuple[Path, Problem]]]:
    """The document as its model, or what does not fit."""
    model = KINDS[kind]
    try:
        return model.model_validate(plain(root)), []
    except ValidationError as error:
        details = error.errors(include_url=False, include_input=False)[:MOST_PROBLEMS]
    return None, [(path, _problem(model, root, path, each)) for each in details for path in [_path(root, each["loc"])]]


def dotted(path: Path) -> str:
    """A path as people write it."""
    return ".".join(str(name) for name in path).replace("\n", " ")[:200]


def _path(root: Node, loc: Path) -> Path:
    """A pydantic location without what names no place in the file (branches of a union, `[key]`)."""
    path: list[str | int] = []
    node: Node | None = root
    for name in loc:
        path.append(name)
        if isinstance(node, Group):
            node = node.items.get(str(name))
        elif isinstance(node, Listing) and isinstance(name, int):
            node = node.items[name]
        else:
            path.pop()
    return tuple(path)


def _problem(model: type[BaseModel], root: Node, path: Path, error: ErrorDetails) -> Problem:
    kind = error["type"]
    unknown = kind == "extra_forbidden"
    place, _ = locate(root, path, key=unknown)
    if unknown:
        known = sorted(_fields(model, path[:-1]))
        hint = _near(path[-1], known) or f"Known: {', '.join(known)}."
        return Problem(place, f"{dotted(path)}: no such field.", hint)
    value = inner(root, *(str(name) for name in path)) if all(isinstance(n, str) for n in path) else None
    return Problem(place, f"{dotted(path)}: {_message(error, value)}")


def _message(error: ErrorDetails, value: Node | None) -> str:
    kind, context = error["type"], error.get("ctx") or {}
    match kind:
        case "missing":
            return "missing."
        case "literal_error":
            return f"must be {str(context['expected']).replace(chr(39), '')}."
        case "finite_number":
            return "must be a finite number."
        case "greater_than_equal":
            return f"must be {context['ge']:g} or more."
        case "less_than_equal":
            return f"must be {context['le']:g} or less."
        case "manifest":
            return str(context["message"])
    wanted = _WANTED.get(kind)
    if wanted is None:
        return f"{error['msg'][:1].lower()}{error['msg'][1:]}."
    found = _found(value)
    quote = " Quote it." if wanted == "text" and isinstance(value, Scalar) and value.value is not None else ""
    return f"must be {wanted}{f', not {found}' if found else ''}.{quote}"


def _found(value: Node | None) -> str:
    """What stands there in place of what is wanted, without quoting it: it may be a secret."""
    match value:
        case Group():
            return "a group of values"
        case Listing():
            return "a list"
        case Scalar(value=None):
            return "nothing"
        case Scalar(value=bool()):
            return "true or false"
        case Scalar(value=int() | float()):
            return "a number"
        case Scalar():
            return "text"
    return ""


def _near(word: object, known: list[str]) -> str:
    near = difflib.get_close_matches(str(word)[:60], known, n=1)
    return f"Did you mean `{near[0]}`?" if near else ""


def _fields(model: type[BaseModel], path: Path) -> Mapping[str, Any]:
    """The fields of the model at `path`, by their names in YAML."""
    fields = {field.alias or name: field for name, field in model.model_fields.items()}
    if not path:
        return fields
    return next((_fields(part, path[1:]) for part in models_in(fields[str(path[0])].annotation)), {})


def models_in(annotation: Any) -> Iterator[type[BaseModel]]:
    """The models that an annotation such as `Vault | None` names."""
    for part in get_args(annotation) or (annotation,):
        if isinstance(part, type) and issubclass(part, BaseModel):
            yield part
