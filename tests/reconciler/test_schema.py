"""What is published about manifests is made from the models, and says of manifests what the loader says."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler.manifest import manifests as manifest
from reconciler.manifest.pages import FULL, MINIMAL, PAGE, SCHEMA, page, schema, schema_text

WRITE = "Run `python -m reconciler.manifest.pages`."
HEAD = yaml.safe_load(MINIMAL)
GOOD = [*yaml.safe_load_all(FULL), HEAD]
BAD = [
    {},
    {**HEAD, "kind": "Inferense"},
    {**HEAD, "apiVersion": "v1"},
    {**HEAD, "metadata": {"name": "My_Shop"}},
    {**HEAD, "status": {}},
    *(
        {**HEAD, "spec": spec}
        for spec in (
            {"vualt": {}},
            {"account": 3},
            {"credentials": "PINATA_JWT"},
            {"drift": "ignore"},
            {"timeout": 900},
            {"prune": "yes"},
            {"rotation": {"maxAge": "90"}},
            {"rotation": {"window": {"start": "2:00", "end": "05:00"}}},
            {"credits": {"topUp": {"threshold": 1, "amount": 5}}},
            {"vault": {"auth": {"method": "ldap"}}},
        )
    ),
]


def test_the_published_schema_is_current() -> None:
    assert schema_text() == SCHEMA.read_text(), WRITE


def test_the_reference_page_is_current() -> None:
    assert page() == PAGE.read_text(), WRITE


def test_the_schema_is_of_a_draft_that_editors_know_and_takes_one_document_of_either_kind() -> None:
    made = schema()

    assert "https://json-schema.org/draft/2020-12/schema" == made["$schema"]
    assert ["#/$defs/Inference", "#/$defs/InferenceDefaults"] == [each["$ref"] for each in made["oneOf"]]


def test_every_field_is_described_and_nothing_unknown_is_allowed() -> None:
    silent = [f"{group}.{name}" for group, name, field in _fields() if not field.get("description")]
    open_groups = [name for name, group in schema()["$defs"].items() if group["additionalProperties"] is not False]

    assert ([], []) == (silent, open_groups)


def test_the_schema_keeps_a_field_that_is_called_like_a_keyword() -> None:
    # `default` and `title` are left out as keywords; fields of these names must not be, should there ever be any.
    assert {"name", "namespace", "labels", "annotations"} == set(schema()["$defs"]["Metadata"]["properties"])


@pytest.mark.parametrize("document", BAD, ids=json.dumps)
def test_the_loader_refuses_the_bad_examples(tmp_path: Path, document: dict[str, Any]) -> None:
    (tmp_path / "a.yaml").write_text(json.dumps(document))

    assert manifest.load([tmp_path], {"VAULT_ADDR": "https://vault.test"}).problems


@pytest.mark.parametrize("document", GOOD, ids=json.dumps)
def test_the_schema_takes_what_the_loader_takes(document: dict[str, Any]) -> None:
    jsonschema = pytest.importorskip("jsonschema")
    jsonschema.Draft202012Validator.check_schema(schema())

    assert [] == list(jsonschema.Draft202012Validator(schema()).iter_errors(document))


@pytest.mark.parametrize("document", BAD, ids=json.dumps)
def test_the_schema_refuses_what_the_loader_refuses(document: dict[str, Any]) -> None:
    jsonschema = pytest.importorskip("jsonschema")

    assert not jsonschema.Draft202012Validator(schema()).is_valid(document)


def _fields() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for group, body in schema()["$defs"].items():
        for name, field in body["properties"].items():
            yield group, name, field
