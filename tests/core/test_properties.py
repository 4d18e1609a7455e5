"""Pulumi's property dicts: every wrong input is found with its full name, and unknowns pass through."""

from dataclasses import replace
from typing import Any

import pytest

from pulumi_pinata import properties
from pulumi_pinata.core.errors import Refused
from pulumi_pinata.core.model import Adopt, Condition, Location, Minted, OnDelete, OnLostKey, Status
from pulumi_pinata.core.reference import EnvReference, FileReference

VAULT = {"address": "https://vault.test", "path": "pinata/prod"}
FORMS = "env:NAME, file:PATH or vault:MOUNT/PATH#FIELD"


class Unknown:
    """What a preview holds in place of a value that is not known yet."""


def check(changes: dict[str, Any] | None = None, env: dict[str, str] | None = None, **vault: Any) -> Any:
    return properties.check({"vault": {**VAULT, **vault}, **(changes or {})}, env or {})


def test_defaults_are_filled_in() -> None:
    inputs, failures = check()

    assert [] == failures
    assert {
        "credentials": "env:PINATA_JWT",
        "on_delete": "soft_delete",
        "on_lost_key": "remint",
        "adopt": "refuse",
        "api_url": "https://agents.pinata.cloud",
        "timeout": 20.0,
        "owner": "",
        "vault": {
            "address": "https://vault.test",
            "mount": "secret",
            "path": "pinata/prod",
            "field": "PINATA_LLM_KEY",
        },
    } == inputs


def test_the_environment_stands_in_for_what_is_not_given() -> None:
    env = {"VAULT_ADDR": "https://env.test/", "VAULT_NAMESPACE": "team", "PINATA_API_URL": "http://127.0.0.1:1"}
    inputs, failures = properties.check({"vault": {}, "owner": "urn:x/prod"}, env)

    assert [] == failures
    assert "http://127.0.0.1:1" == inputs["api_url"]
    assert ("https://env.test", "team", "pinata/prod") == tuple(
        inputs["vault"][name] for name in ("address", "namespace", "path")
    )


_NOT_A_REFERENCE = f"not a reference to a credential. Write {FORMS}."
_PASTED = (
    "this is a JWT itself; it would be stored in Pulumi's state and shown in previews. "
    "Put it into an environment variable and write env:PINATA_JWT here."
)
_TEXT = "must be text, and not empty."
_FIELD = (
    "not a name for the key's field. Use letters, digits and _, as for an environment variable; "
    "PINATA_LLM_BASE_URL, PINATA_LLM_KEY_FINGERPRINT, PINATA_LLM_KEY_ATTEMPT are taken."
)
_TIMEOUT = "must be a number of seconds from 1 to 300."


def _bad_path(path: str) -> str:
    return (
        f"{path!r} is not a plain path. Write names joined by single slashes, such as pinata/prod; "
        "no spaces, `..`, `?`, `#` or `%`."
    )


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({"credentials": "canary"}, ("credentials", _NOT_A_REFERENCE)),
        ({"credentials": "eyJhb.eyJh.c2ln"}, ("credentials", _PASTED)),
        ({"credentials": 7}, ("credentials", _TEXT)),
        ({"credentials": ["env:X"]}, ("credentials", _TEXT)),
        ({"on_delete": "burn"}, ("on_delete", "must be one of soft_delete, destroy, retain.")),
        ({"on_delete": 1}, ("on_delete", "must be one of soft_delete, destroy, retain.")),
        ({"on_delete": ["destroy"]}, ("on_delete", "must be one of soft_delete, destroy, retain.")),
        ({"on_lost_key": ""}, ("on_lost_key", "must be one of remint, fail.")),
        ({"adopt": True}, ("adopt", "must be one of refuse, remint, observe.")),
        ({"account": ""}, ("account", _TEXT)),
        ({"account": {}}, ("account", _TEXT)),
        ({"api_url": "pinata"}, ("api_url", "not an http(s) URL. Write it as https://host[:port].")),
        (
            {"api_url": "http://pinata.test"},
            (
                "api_url",
                "plain http to pinata.test would send credentials unencrypted. "
                "Use https; plain http is accepted to this machine (127.0.0.1, localhost) only.",
            ),
        ),
        ({"timeout": 0}, ("timeout", _TIMEOUT)),
        ({"timeout": 301.0}, ("timeout", _TIMEOUT)),
        ({"timeout": True}, ("timeout", _TIMEOUT)),
        ({"timeout": "20"}, ("timeout", _TIMEOUT)),
        ({"timeout": float("nan")}, ("timeout", _TIMEOUT)),
        ({"owner": 3}, ("owner", _TEXT)),
        ({"tiemout": 20}, ("tiemout", "no such input. Did you mean `timeout`?")),
        ({"vault": "https://vault.test"}, ("vault", "must be a group of values, not str.")),
        ({"vault": ["x"]}, ("vault", "must be a group of values, not list.")),
    ],
)
def test_a_wrong_input_is_named_with_its_reason(changes: dict[str, Any], expected: tuple[str, str]) -> None:
    _, failures = check(changes, {"VAULT_ADDR": "https://vault.test"})

    assert expected in failures
    assert 1 == len([name for name, _ in failures if name == expected[0]])
    if "vault" not in changes:
        assert [expected] == failures


@pytest.mark.parametrize(
    ("vault", "expected"),
    [
        ({"address": ""}, ("vault.address", _TEXT)),
        ({"address": "vault"}, ("vault.address", "not an http(s) URL. Write it as https://host[:port].")),
        (
            {"address": "https://u:canary@vault.test"},
            ("vault.address", "the URL must hold no user, query or fragment. Leave them out."),
        ),
        ({"address": None}, ("vault.address", "no Vault address. Set `vault.address` or VAULT_ADDR.")),
        ({"path": None}, ("vault.path", "no path for the secret. Set `vault.path`.")),
        ({"path": "/a"}, ("vault.path", _bad_path("/a"))),
        ({"path": 7}, ("vault.path", _TEXT)),
        ({"mount": "a b"}, ("vault.mount", _bad_path("a b"))),
        ({"namespace": ""}, ("vault.namespace", _TEXT)),
        ({"field": "a-b"}, ("vault.field", _FIELD)),
        ({"field": "PINATA_LLM_BASE_URL"}, ("vault.field", _FIELD)),
        ({"ca_cert": 1}, ("vault.ca_cert", _TEXT)),
        ({"adress": "x"}, ("vault.adress", "no such input. Did you mean `address`?")),
        ({"custom_metadata": "x"}, ("vault.custom_metadata", "must be a group of values, not str.")),
        (
            {"custom_metadata": {"a": ""}},
            ("vault.custom_metadata.a", "must be text of 1 to 512 bytes (Vault's limit)."),
        ),
        ({"custom_metadata": {"a": 1}}, ("vault.custom_metadata.a", "must be text of 1 to 512 bytes (Vault's limit).")),
        (
            {"custom_metadata": {"a": "ü" * 257}},
            ("vault.custom_metadata.a", "must be text of 1 to 512 bytes (Vault's limit)."),
        ),
        (
            {"custom_metadata": {"pinata-x": "y"}},
            (
                "vault.custom_metadata.pinata-x",
                "the name must have 1 to 128 bytes and not start with `pinata-`.",
            ),
        ),
        (
            {"custom_metadata": {str(n): "x" for n in range(49)}},
            ("vault.custom_metadata", "has 49 entries; Vault takes 64, of which 16 are kept for our own."),
        ),
        ({"auth": "token"}, ("vault.auth", "must be a group of values, not str.")),
        (
            {"auth": {"method": "ldap"}},
            ("vault.auth.method", "not a supported method. Choose one of token, approle, kubernetes, jwt, userpass."),
        ),
        ({"auth": {"method": "token", "token": "hvs.canary"}}, ("vault.auth.token", _NOT_A_REFERENCE)),
        (
            {"auth": {"method": "approle", "role_id": "r"}},
            ("vault.auth.secret_id", "missing: the approle method needs it."),
        ),
        (
            {"auth": {"method": "approle", "secret_id": "env:S"}},
            ("vault.auth.role_id", "missing: the approle method needs it."),
        ),
        ({"auth": {"method": "jwt", "role": "r"}}, ("vault.auth.jwt", "missing: the jwt method needs it.")),
        (
            {"auth": {"method": "userpass", "username": "u", "password": "canary"}},
            ("vault.auth.password", _NOT_A_REFERENCE),
        ),
        (
            {"auth": {"method": "userpass", "username": "u", "password": "env:P", "role": "r"}},
            ("vault.auth.role", "no such input. Known: ('method', 'mount', 'username', 'password')."),
        ),
        ({"auth": {"method": "jwt", "role": "", "jwt": "env:J"}}, ("vault.auth.role", _TEXT)),
    ],
)
def test_a_wrong_vault_input_is_named_with_its_reason(vault: dict[str, Any], expected: tuple[str, str]) -> None:
    _, failures = check(**vault)

    assert [expected] == failures


def test_all_that_is_wrong_is_found_at_once_and_no_secret_is_quoted() -> None:
    _, failures = check({"credentials": "canary", "timeout": -1, "adopt": "x"}, path="", field="1", auth={"method": 1})

    assert {"credentials", "timeout", "adopt", "vault.path", "vault.field", "vault.auth.method"} == {
        name for name, _ in failures
    }
    assert "canary" not in str(failures)


def test_a_missing_vault_is_asked_for() -> None:
    _, failures = properties.check({}, {})

    assert {"vault.address", "vault.path"} == {name for name, _ in failures}


@pytest.mark.parametrize(
    "name",
    ["credentials", "vault", "rotation_trigger", "on_delete", "on_lost_key", "adopt", "account", "api_url", "timeout"],
)
def test_an_unknown_passes_through(name: str) -> None:
    unknown = Unknown()
    inputs, failures = check({name: unknown})

    assert [] == failures
    assert unknown is inputs[name]


@pytest.mark.parametrize(
    "name", ["address", "mount", "path", "namespace", "field", "custom_metadata", "auth", "ca_cert"]
)
def test_an_unknown_in_vault_passes_through(name: str) -> None:
    unknown = Unknown()
    inputs, failures = check(**{name: unknown})

    assert [] == failures
    assert unknown is inputs["vault"][name]


def test_unknowns_deeper_down_pass_through() -> None:
    method, secret, label = Unknown(), Unknown(), Unknown()
    first, failures = check(auth={"method": method, "secret_id": secret}, custom_metadata={"team": label})
    assert [] == failures
    assert method is first["vault"]["auth"]["method"]
    assert label is first["vault"]["custom_metadata"]["team"]

    second, failures = check(auth={"method": "approle", "role_id": "r", "secret_id": secret})
    assert [] == failures
    assert secret is second["vault"]["auth"]["secret_id"]


def test_an_enum_is_taken_for_its_value() -> None:
    inputs, failures = check({"adopt": Adopt.REMINT, "on_delete": OnDelete.RETAIN, "on_lost_key": OnLostKey.FAIL})

    assert [] == failures
    assert ("remint", "retain", "fail") == tuple(
        getattr(inputs[name], "value", inputs[name]) for name in ("adopt", "on_delete", "on_lost_key")
    )


@pytest.mark.parametrize("timeout", [5, 5.0])
def test_a_number_is_a_float_whether_it_came_as_one_or_not(timeout: float) -> None:
    inputs, failures = check({"timeout": timeout})

    assert [] == failures
    assert isinstance(inputs["timeout"], float)
    assert 5.0 == inputs["timeout"]


def test_checking_twice_gives_the_same() -> None:
    first, _ = check({"rotation_trigger": 3, "account": "a"}, auth={"method": "kubernetes", "role": "r"})
    second, failures = properties.check(first, {})

    assert [] == failures
    assert first == second


def test_the_trigger_three_is_the_trigger_three_point_zero() -> None:
    assert properties.trigger_digest(3) == properties.trigger_digest(3.0)
    assert properties.trigger_digest(3) != properties.trigger_digest("3")
    assert properties.trigger_digest(3) != properties.trigger_digest(3.5)
    assert properties.trigger_digest(None) is None


def test_a_number_inside_a_trigger_is_the_same_whole_or_float() -> None:
    assert properties.trigger_digest({"a": [1, 2], "b": 3}) == properties.trigger_digest({"b": 3.0, "a": [1.0, 2.0]})


def test_a_whole_number_that_came_back_as_a_float_is_no_change() -> None:
    olds, _ = check({"timeout": 5, "rotation_trigger": 3})
    news, _ = check({"timeout": 5.0, "rotation_trigger": 3.0})

    assert [] == properties.changed(olds, news)
    assert ["rotation_trigger"] == properties.changed(olds, {**news, "rotation_trigger": 4})


def test_inputs_that_were_checked_become_settings() -> None:
    inputs, _ = check(
        {"credentials": "file:/jwt", "owner": "o"}, auth={"method": "approle", "role_id": "env:R", "secret_id": "env:S"}
    )
    settings = properties.settings(inputs)

    assert FileReference("/jwt") == settings.credentials
    assert Location("secret", "pinata/prod") == settings.vault.location
    assert (EnvReference("R"), EnvReference("S"), "approle") == (
        settings.vault.auth.name,
        settings.vault.auth.secret,
        settings.vault.auth.mount,
    )
    assert "https://agents.pinata.cloud/v0/llm" == settings.base_url


@pytest.mark.parametrize("gone", ["credentials", "api_url", "timeout", "vault", "on_delete", "adopt"])
def test_a_state_that_was_cut_by_hand_is_refused(gone: str) -> None:
    inputs, _ = check()
    del inputs[gone]

    with pytest.raises(Refused, match="not complete"):
        properties.settings(inputs)


@pytest.mark.parametrize(
    "spoilt", [{"credentials": 7}, {"vault": {"address": 1}}, {"timeout": "x"}, {"api_url": None}, {"vault": "x"}]
)
def test_a_state_that_was_spoilt_by_hand_is_refused(spoilt: dict[str, Any]) -> None:
    inputs, _ = check()

    with pytest.raises(Refused):
        properties.settings({**inputs, **spoilt})


MINTED = Minted(
    Location("secret", "pinata/prod"), 3, "f" * 32, "", "PINATA_LLM_KEY", "2026", None, properties.trigger_digest(3)
)


def test_what_is_kept_in_state_tells_which_key_is_held() -> None:
    inputs, _ = check({"rotation_trigger": 3})
    minted = replace(MINTED, attempt="a.1", marker="m")
    outs = properties.outputs(inputs, "acc", Status(True, "2026"), minted, Condition.READY)

    assert MINTED == properties.held(outs)
    assert set(properties.OUTPUTS) <= set(outs)
    assert inputs == {name: outs[name] for name in inputs}


def test_what_is_only_observed_or_not_there_yet_is_not_held() -> None:
    inputs, _ = check()
    outs = properties.outputs(inputs, "acc", Status(True, "2026"), None, Condition.OBSERVED)

    assert properties.held(outs) is None
    assert properties.held(inputs) is None
