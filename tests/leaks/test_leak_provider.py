"""The provider over gRPC between servers that echo what they are sent and what the real ones answered."""

import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from hostile import ECHOES, Asked, Middleman
from leaks import Scanner
from provider_process import ProviderProcess, message

from pulumi_pinata._provider import InferenceProvider
from pulumi_pinata.sandbox.openbao import OpenBao
from pulumi_pinata.sandbox.openbao_setup import Provisioned
from pulumi_pinata.sandbox.pinata_server import PinataServer

KINDS = (
    "JSON 404",
    "JSON 500",
    "data of text",
)
VERBS = ("check", "diff", "create", "read", "get", "update", "delete")


@dataclass
class Seen:
    """What came out of one round of all verbs, by (kind, liar, verb)."""

    details: dict[tuple[str, str, str], str] = field(default_factory=dict)
    secrets: list[str] = field(default_factory=list)
    printed: str = ""

    def scanner(self) -> Scanner:
        parts = [part for secret in self.secrets for part in secret.split(".")[1:] if secret.startswith("eyJ")]
        return Scanner([*self.secrets, *parts])


def _after_the_fact(kind: str) -> Callable[[Asked], bytes]:
    """Do what was asked, then answer with the request and the true answer in the wrong places."""

    def twist(asked: Asked) -> bytes:
        _, body = asked.passed_on()
        return ECHOES[kind](f"{asked.all} {body.decode(errors='replace')}".replace("\r", " ").replace("\n", " "))

    return twist


@pytest.fixture(scope="module")
def seen(bao: OpenBao, logins: Provisioned, tmp_path_factory: pytest.TempPathFactory) -> Seen:
    folder = tmp_path_factory.mktemp("jwts")
    seen = Seen()
    token = bao.make_token(["pinata-provider"])
    seen.secrets.append(token)
    with ExitStack() as stack:
        pinata = stack.enter_context(PinataServer())
        process = ProviderProcess({"VAULT_TOKEN": token}, InferenceProvider())
        with process:

            def one(kind: str, liar: str, verb: str) -> None:
                name = f"leak-{KINDS.index(kind)}-{liar}-{verb}"
                jwt = pinata.add_account(name).jwt
                (folder / name).write_text(jwt)
                seen.secrets.append(jwt)
                detail = _failed(process, kind, liar, verb, _inputs(name, pinata.url, bao.addr, folder / name))
                seen.details[kind, liar, verb] = detail
                seen.secrets.extend(pinata.minted_keys(name))

            def _failed(process: ProviderProcess, kind: str, liar: str, verb: str, good: dict[str, Any]) -> str:
                with Middleman(pinata.url if liar == "pinata" else bao.addr, _after_the_fact(kind)) as middleman:
                    bad = (
                        {**good, "api_url": middleman.url}
                        if liar == "pinata"
                        else {**good, "vault": {**good["vault"], "address": middleman.url}}
                    )
                    try:
                        return str(_call(process, verb, good, bad))
                    except grpc.RpcError as error:
                        return f"{error.details()}\n{''.join(traceback.format_exception(error))}"  # type: ignore[attr-defined]

            with ThreadPoolExecutor(16) as pool:
                for done in [
                    pool.submit(one, k, liar, v) for k in KINDS for liar in ("pinata", "vault") for v in VERBS
                ]:
                    done.result()
        seen.printed = process.printed
    return seen


def _inputs(name: str, api_url: str, address: str, jwt: Path) -> dict[str, Any]:
    return {
        "owner": f"pulumi:organization/proj/dev/{name}",
        "api_url": api_url,
        "credentials": f"file:{jwt}",
        "vault": {"address": address, "path": f"pinata/{name}"},
        "timeout": 1.0,
    }


def _call(process: ProviderProcess, verb: str, good: dict[str, Any], bad: dict[str, Any]) -> object:
    good, bad = process.check(good)[0], process.check(bad)[0]
    if verb == "check":
        return process.check(bad)
    if verb == "create":
        return process.create(bad)
    id_, outs = process.create(good)
    match verb:
        case "diff":
            return process.diff(outs, {**bad, "credentials": "vault:secret/pinata/nowhere#jwt"})
        case "read":
            return process.read(id_, {**outs, **bad})
        case "get":
            return process.get(id_, bad)
        case "update":
            return process.update(id_, outs, {**bad, "rotation_trigger": "2"})
    return process.delete(id_, {**outs, **bad})


def test_no_answer_of_the_provider_holds_anything_of_what_was_echoed(seen: Seen) -> None:
    scanner = seen.scanner()

    assert len(KINDS) * 2 * len(VERBS) == len(seen.details)
    assert [] == [where for where, text in seen.details.items() if scanner.is_in(text.encode())]


def test_the_provider_process_prints_nothing_of_it(seen: Seen) -> None:
    assert not seen.scanner().is_in(seen.printed.encode())
    assert "Traceback" not in seen.printed


def test_every_failure_of_the_provider_is_one_of_our_errors(seen: Seen) -> None:
    ends = {where: text.partition("\n<_")[0] for where, text in seen.details.items() if "Traceback" in text}
    strange = {where for where, text in ends.items() if "pulumi_pinata.core.errors." not in text}

    assert set() == strange


def test_the_bench_itself_works_and_keys_were_made(seen: Seen) -> None:
    assert 15 < sum(secret.startswith("pnk_") for secret in seen.secrets)


# --- credentials that are none -----------------------------------------------------------------------


@pytest.mark.parametrize(
    "text",
    ["hvs.can\u2019ary-0815-x", "hvs.canary\ncanary-0815-x", "hvs.\u043a-canary-0815-x"],
    ids=["quote", "newline", "cyrillic"],
)
def test_a_vault_token_that_no_header_can_carry_is_refused_without_quoting_it(
    world: Any, provider: ProviderProcess, text: str
) -> None:
    (world.folder / "token").write_text(text)
    inputs, failures = provider.check(
        {
            **_inputs(world.name, world.pinata.url, world.proxy.url, world.jwt_file),
            "vault": {"address": world.proxy.url, "auth": {"token": f"file:{world.folder / 'token'}"}},
        }
    )
    said = str(failures)
    if not failures:
        with pytest.raises(grpc.RpcError) as caught:
            provider.create(inputs)
        said = caught.value.details()  # type: ignore[attr-defined]

    assert "0815" not in said
    assert "pulumi_pinata.core.errors." in said or failures
    assert "vault" in message(caught.value).lower() if not failures else True


LITERAL = "eyJhbGciOiJIUzI1NiJ9.eyJjYW5hcnkiOiIwODE1In0.c2lnbmF0dXJlMDgxNQ"


@pytest.mark.parametrize(
    ("place", "text"),
    [
        *(
            (place, form)
            for place in ("credentials", "token", "secret_id", "jwt", "password")
            for form in ("{}", "file:{}")
        ),
        ("credentials", "env:{}"),
        ("credentials", "Bearer {}"),
        ("credentials", "vault:secret/{}#jwt"),
        ("credentials", " {}"),
        ("role_id", "{}"),
        ("account", "{}"),
    ],
)
def test_a_credential_pasted_into_an_input_is_refused_and_never_quoted(
    world: Any, provider: ProviderProcess, place: str, text: str
) -> None:
    value = text.format(LITERAL)
    inputs: dict[str, Any] = _inputs(world.name, world.pinata.url, world.proxy.url, world.jwt_file)
    match place:
        case "credentials" | "account":
            inputs[place] = value
        case "token":
            inputs["vault"]["auth"] = {"token": value}
        case "secret_id" | "role_id":
            inputs["vault"]["auth"] = {"method": "approle", "role_id": "x", "secret_id": "env:X", place: value}
        case "jwt":
            inputs["vault"]["auth"] = {"method": "jwt", "role": "x", "jwt": value}
        case "password":
            inputs["vault"]["auth"] = {"method": "userpass", "username": "x", "password": value}

    _, failures = provider.check(inputs)

    assert failures
    assert not Scanner([LITERAL, *LITERAL.split(".")[1:]]).is_in(str(failures).encode())
