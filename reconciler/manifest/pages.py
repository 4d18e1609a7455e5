"""The manifest's JSON Schema and reference page, from the models; `python -m reconciler.manifest.pages` writes both.

What a field means stands in the models; here is only how it is laid out.
"""

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from reconciler.manifest import files as manifest_files
from reconciler.manifest import parser as manifest_yaml
from reconciler.manifest.models import API_VERSION, KINDS, DefaultsSpec, Inference, InferenceDefaults, InferenceSpec
from reconciler.manifest.shape import models_in

ROOT = Path(__file__).parents[2]
SCHEMA = ROOT / "reconciler" / "manifest" / "schema.json"
PAGE = ROOT / "docs" / "manifest.md"
_FIRST = ("inference", "credentials", "account", "vault")  # what a reader looks for, whichever class has it
SCHEMA_ID = "urn:pinata-reconciler:v1alpha1"

MINIMAL = f"""\
apiVersion: {API_VERSION}
kind: Inference
metadata:
  name: prod
"""

FULL = f"""\
# yaml-language-server: $schema=schema.json
apiVersion: {API_VERSION}
kind: InferenceDefaults
spec:
  fleet: shop
  vault:
    address: https://vault.example
    mount: secret
    auth:
      method: approle
      roleId: env:VAULT_ROLE_ID
      secretId: file:/run/secrets/vault-secret-id
    customMetadata:
      team: shop
  rotation:
    window:
      days: [sat, sun]
      start: "02:00"
      end: "05:00"
      timeZone: Europe/Vienna
  drift: heal
  prune: false
---
apiVersion: {API_VERSION}
kind: Inference
metadata:
  name: shop-prod
  labels:
    stage: prod
spec:
  inference: enabled
  credentials: env:SHOP_PROD_JWT
  account: shop-prod@example.com
  timeout: 30
  vault:
    path: shop/llm
    field: PINATA_LLM_KEY
  rotation:
    trigger: 2026-11
    maxAge: 90d
  lostKey: remint
  adopt: refuse
  onDelete: softDelete
  protect: true
  credits:
    topUp:
      threshold: 10
      amount: 50
    alertBelow: 20
---
apiVersion: {API_VERSION}
kind: Inference
metadata:
  name: shop-partner
spec:
  inference: observed
  credentials: file:/run/secrets/partner-jwt
  drift: report
  suspend: false
  rotation:
    window: null        # takes away what the defaults say
"""


def schema() -> dict[str, Any]:
    """The JSON Schema (draft 2020-12) of one document."""
    named, whole = models_json_schema([(model, "validation") for model in KINDS.values()])
    references = [reference for (_, mode), reference in named.items() if mode == "validation"]
    return {
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "$id": SCHEMA_ID,
        "title": "Pinata Inference accounts in Git",
        "type": "object",
        "required": ["apiVersion", "kind"],
        "oneOf": references,
        "$defs": _tidied(whole["$defs"]),
    }


def schema_text() -> str:
    """The schema as it is published."""
    return json.dumps(schema(), indent=2, ensure_ascii=False) + "\n"


def _tidied(value: Any, *, names: bool = True) -> Any:
    """Without titles made of names, and without `default: null`; with `names`, the keys here are no keywords."""
    if isinstance(value, list):
        return [_tidied(each, names=False) for each in value]
    if not isinstance(value, dict):
        return value
    noise = {} if names else {"title": value.get("title"), "default": None}
    return {
        name: _tidied(each, names=not names and name == "properties")
        for name, each in value.items()
        if not (name in noise and noise[name] == each)
    }


def page() -> str:
    """The reference page."""
    return "\n".join([*_opening(), *_tables(), *_closing()])


def _opening() -> list[str]:
    return [
        "# The manifest",
        "",
        "<!-- Made from the models by `python -m reconciler.manifest.pages`; tests check that it is current. -->",
        "",
        f"A manifest is Kubernetes-shaped YAML: `apiVersion: {API_VERSION}`, `kind: Inference` for one account,",
        "`kind: InferenceDefaults` for what all accounts share. One or many documents a file; files and folders",
        "(`*.yaml`, `*.yml`, all levels, hidden ones left out). Everything but the name has a default, so this is one:",
        "",
        "```yaml",
        MINIMAL + "```",
        "",
        "and this says nearly all that can be said:",
        "",
        "```yaml",
        FULL + "```",
        "",
        "Editors check and complete with the JSON Schema: `pinata-reconciler schema > schema.json`, and the first line",
        "above (VS Code with the YAML extension, IntelliJ, Neovim and others that use yaml-language-server).",
        "",
    ]


def _tables() -> Iterator[str]:
    yield from _table(Inference, "`kind: Inference`", "", set())
    own = [name for name in DefaultsSpec.model_fields if name not in InferenceSpec.model_fields]
    yield from (
        "## `kind: InferenceDefaults`",
        "",
        f"{InferenceDefaults.__doc__} `metadata` may be left out.",
        "`spec` is as above, without what is one account's own (`credentials`, `account`, `vault.path`), and with:",
        "",
    )
    yield from _rows(DefaultsSpec, "spec.", own)


def _table(model: type[BaseModel], title: str, path: str, seen: set[type[BaseModel]]) -> Iterator[str]:
    """One group's fields, then the groups in it that have not had their turn."""
    seen.add(model)
    yield from (f"## {title}", "", (model.__doc__ or "").strip(), "")
    fields = model.model_fields
    yield from _rows(model, path, sorted(fields, key=lambda name: name not in _FIRST))
    for name, field in fields.items():
        for part in models_in(field.annotation):
            if part not in seen:
                key = f"{path}{field.alias or name}"
                yield from _table(part, f"`{key}`", f"{key}.", seen)


def _rows(model: type[BaseModel], path: str, names: Sequence[str]) -> Iterator[str]:
    yield from ("| field | type | default | meaning |", "|---|---|---|---|")
    properties = model.model_json_schema()["properties"]
    for name in names:
        field = model.model_fields[name]
        key = field.alias or name
        default = "required" if field.is_required() else _literal(properties[key].get("default"))
        yield f"| `{path}{key}` | {_type(properties[key])} | {default} | {field.description} |"
    yield ""


def _literal(value: object) -> str:
    if value is None:
        return ""
    return f"`{value}`" if isinstance(value, str) else f"`{json.dumps(value)}`"


def _type(described: dict[str, Any]) -> str:
    """A field's type in words; null, which all may be, left out."""
    kinds = {"string": "text", "number": "number", "integer": "whole number", "boolean": "true, false"}
    if "const" in described:
        return f"`{described['const']}`"
    if "enum" in described:
        return " \\| ".join(f"`{value}`" for value in described["enum"])
    if "anyOf" in described:
        return " or ".join(_type(each) for each in described["anyOf"] if each.get("type") != "null")
    found = described.get("type")
    if isinstance(found, list):
        return " or ".join(kinds[each] for each in found)
    if found == "array":
        return f"list of {_type(described['items'])}"
    if found == "object":
        return f"names and {_type(described['additionalProperties'])}"
    return kinds.get(str(found), "group")


def _closing() -> list[str]:
    size, total = manifest_files.LARGEST_FILE >> 20, manifest_files.LARGEST_LOAD >> 20
    return [
        "## How it is read",
        "",
        "- **Defaults.** There is at most one InferenceDefaults in a load; its spec is laid under that of every",
        "  account, group by group. What an account says wins; `null` takes away what the defaults say. A `vault.auth`",
        "  with a `method` of its own stands alone: logins are not mixed.",
        "- **YAML.** UTF-8, spaces, no tags, no merge keys (`<<`), no key twice. Anchors and aliases work. Scalars are",
        "  read as YAML 1.2 reads them: `22:00` and `2026-11-01` are text. What YAML 1.1 and 1.2 read differently",
        "  (`yes`, `no`, `on`, `off`, `010`) is refused: write true or false, or quote it.",
        f"- **Bounds.** {size} MiB a file, {total} MiB and {manifest_files.MOST_FILES:,} files a load;",
        f"  {manifest_yaml.MOST_DOCUMENTS:,} documents a file; {manifest_yaml.MOST_NODES:,} values a document and",
        f"  {manifest_yaml.DEEPEST} levels, with aliases written out.",
        "- **Problems** are all told in one go, each with file:line:column. A file with a problem freezes its own",
        "  accounts: they are left as they are, neither changed nor pruned; other files count. A problem in the file",
        "  of the InferenceDefaults, or in one so broken that it may be there, freezes all, since all depend on it.",
        "- **Claims.** Two accounts with one name, one secret in Vault, one `credentials` reference or one `account`",
        "  are both refused and frozen.",
        "- **Values** have the limits of Pulumi's inputs ([README](../README.md#inputs)).",
        "",
    ]


def main() -> None:
    """Write both."""
    SCHEMA.write_text(schema_text(), encoding="utf-8")
    PAGE.write_text(page(), encoding="utf-8")


if __name__ == "__main__":
    main()
