"""The types that carry secrets, and those that carry the carriers: every generic way to look into an object."""

import copy
import dataclasses
import gc
import inspect
import json
import pickle
import pprint
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dill
import pytest
from doubles import ACCOUNT, HERE, FakeClock
from hypothesis.vendor import pretty
from leaks import Scanner

from pulumi_pinata import credentials
from pulumi_pinata.adapters.pinata_http import PinataClient
from pulumi_pinata.adapters.vault_kv import VaultStore
from pulumi_pinata.adapters.vault_login import Credentials
from pulumi_pinata.core.model import Actual, Content, Desired, Mode, Sealed, Status, Stored
from pulumi_pinata.core.ports import Attempts, Ports
from pulumi_pinata.core.reference import EnvReference
from pulumi_pinata.core.secret import PrivateKey, Secret
from pulumi_pinata.core.settings import AuthSettings

CANARY = "pnk-canary-4711-0815-abcdefgh"
SCANNER = Scanner([CANARY])


def carriers() -> dict[str, object]:
    key, jwt = PrivateKey(CANARY), Secret(CANARY)
    content = Content(key, "run.1", "FIELD")
    store = VaultStore("http://127.0.0.1:9", "secret", Credentials("token", jwt), timeout=1)
    pinata = PinataClient("http://127.0.0.1:9", jwt, 1)
    return {
        "Secret": jwt,
        "PrivateKey": key,
        "Credentials": Credentials("approle", jwt, "role", "approle"),
        "Content": content,
        "Sealed": Sealed(key, ACCOUNT, "run.1", HERE, "FIELD"),
        "Actual": Actual(Status(True), Stored(), content=content),
        "Desired": Desired(Mode.ENABLED, "owner", ACCOUNT, HERE, "https://x"),
        "VaultStore": store,
        "PinataClient": pinata,
        "Ports": Ports(pinata, store, FakeClock(), Attempts("run"), 1, print),
        "PinataError": ValueError(key),
        "a closure": lambda: key,
        "a list": [key, {"key": key}, (jwt,)],
    }


def _safe(look: Callable[[Any], object]) -> Callable[[Any], object]:
    def call(value: Any) -> object:
        try:
            return look(value)
        except (TypeError, AttributeError, ValueError, pickle.PicklingError, RecursionError) as error:
            return repr(error)

    return call


LOOKS: dict[str, Callable[[Any], object]] = {
    "repr": repr,
    "str": str,
    "ascii": ascii,
    "f-string": lambda v: f"{v} {v!r} {v!s:>3} {v!a}",
    "%": lambda v: "%s %r %a" % (v, v, v),  # noqa: UP031
    "format": lambda v: format(v, ""),
    "format spec": lambda v: format(v, ">40s"),
    "template": lambda v: f"{v} {v!r} {v.__class__} {v:x}",
    "pprint": pprint.pformat,
    "hypothesis": pretty.pretty,
    "json": json.dumps,
    "json by str": lambda v: json.dumps(v, default=str),
    "json by vars": lambda v: json.dumps(v, default=vars),
    "vars": vars,
    "dir": dir,
    "asdict": lambda v: dataclasses.asdict(v),
    "astuple": lambda v: dataclasses.astuple(v),
    "replace": lambda v: dataclasses.replace(v),
    "copy": copy.copy,
    "deepcopy": copy.deepcopy,
    **{f"pickle {n}": (lambda v, n=n: pickle.dumps(v, n)) for n in range(pickle.HIGHEST_PROTOCOL + 1)},
    "dill": dill.dumps,
    "dill with closures": lambda v: dill.dumps(v, recurse=True),
    "hash": hash,
    "length": len,
    "iteration": list,
    "bytes": bytes,
    "indexing": lambda v: v[0],
    "addition": lambda v: v + "",
    "members": lambda v: [
        (name, value) for name, value in inspect.getmembers(v) if name not in ("__globals__", "__builtins__")
    ],
    "getstate": lambda v: v.__getstate__(),
    "reduce": lambda v: v.__reduce__(),
}


@pytest.mark.parametrize("look", LOOKS)
def test_no_way_of_looking_shows_the_value(look: str) -> None:
    shown = {name: _safe(LOOKS[look])(value) for name, value in carriers().items()}
    texts = {name: made if isinstance(made, bytes) else repr(made).encode() for name, made in shown.items()}

    assert [] == [name for name, text in texts.items() if SCANNER.is_in(text)]


def test_comparison_is_by_identity_so_that_nothing_is_timed_or_guessed() -> None:
    assert PrivateKey(CANARY) != PrivateKey(CANARY)
    assert Content(PrivateKey(CANARY), "a", "f") != Content(PrivateKey(CANARY), "a", "f")
    assert hash(Secret(CANARY)) != hash(Secret(CANARY))


def test_a_name_that_is_given_by_reference_is_opaque_as_well(tmp_path: Path) -> None:
    auth = AuthSettings("approle", EnvReference("SECRET_ID"), EnvReference("ROLE_ID"), "approle")

    found = credentials.vault_login(auth, {"SECRET_ID": "secret-id-4711", "ROLE_ID": "role-id-0815"})

    assert "0815" not in repr(found)


def test_no_annotation_of_the_core_types_a_secret_as_text() -> None:
    types = (Content, Sealed, Credentials)
    plain = {
        f"{kind.__name__}.{field.name}"
        for kind in types
        for field in dataclasses.fields(kind)
        if field.name in ("key", "secret", "token", "jwt", "password") and "str" in str(field.type)
    }

    assert set() == plain


def test_what_python_cannot_hide_is_known() -> None:
    """Accepted: whoever runs code in the process has `reveal()` anyway; debuggers and `gc` find any string."""
    secret = Secret(CANARY)

    assert CANARY == secret.reveal()
    assert any(CANARY in str(found) for found in _reachable(secret))


def _reachable(value: object, depth: int = 4) -> list[object]:
    found = gc.get_referents(value)
    return [
        *found,
        *(
            inner
            for one in found
            if depth and not inspect.ismodule(one) and not isinstance(one, (type, dict))
            for inner in _reachable(one, depth - 1)
        ),
    ]
