"""Whose JWT it is, and what is wrong with one; what else it carries stays inside."""

import base64
import json
from typing import Any

import pytest

from pulumi_pinata.core.account import identify
from pulumi_pinata.core.errors import Refused
from pulumi_pinata.core.secret import Secret, digest

NOW = 1_800_000_000.0
USER = {"id": "user-1", "email": "a@b.test"}


def jwt(payload: Any, header: Any = None) -> Secret:
    parts = [json.dumps(part).encode() for part in (header or {"alg": "HS256"}, payload)]
    return Secret(".".join([*(base64.urlsafe_b64encode(part).rstrip(b"=").decode() for part in parts), "c2ln"]))


def refused(token: Secret, label: str | None = None) -> Refused:
    with pytest.raises(Refused) as caught:
        identify(token, label, now=NOW)
    assert "canary" not in f"{caught.value} {caught.value!r}"
    assert caught.value.__suppress_context__ or caught.value.__context__ is None
    return caught.value


def test_the_user_id_in_the_claims_is_the_identity() -> None:
    account = identify(jwt({"userInformation": USER, "exp": NOW + 60}), None, now=NOW)

    assert digest("account", "user-1") == account.fingerprint
    assert NOW + 60 == account.expires_at


@pytest.mark.parametrize("label", ["user-1", "a@b.test"])
def test_a_label_that_fits_does_not_change_the_identity(label: str) -> None:
    token = jwt({"userInformation": USER})

    assert identify(token, None, now=NOW) == identify(token, label, now=NOW)


def test_a_label_that_does_not_fit_is_refused() -> None:
    assert "account" == refused(jwt({"userInformation": USER}), "user-2").about


def test_a_token_that_names_nobody_needs_a_label() -> None:
    assert "account" == refused(jwt({"scopedKeySecret": "canary"})).about
    assert digest("account", "prod") == identify(jwt({}), "prod", now=NOW).fingerprint


@pytest.mark.parametrize("user", [None, "user-1", [], {}, {"id": None}, {"id": ""}, 7])
def test_odd_user_information_names_nobody(user: Any) -> None:
    assert "account" == refused(jwt({"userInformation": user})).about


@pytest.mark.parametrize("exp", [NOW, NOW - 1, 0])
def test_an_expired_token_is_refused(exp: float) -> None:
    assert "the JWT has expired." == refused(jwt({"userInformation": USER, "exp": exp})).message


@pytest.mark.parametrize("exp", [None, "tomorrow", [], {}])
def test_an_odd_expiry_is_no_expiry(exp: Any) -> None:
    assert identify(jwt({"userInformation": USER, "exp": exp}), None, now=NOW).expires_at is None


@pytest.mark.parametrize(
    "text",
    [
        "canary",
        "canary.canary",
        "canary.canary.canary",
        "a.b.c.canary",
        "...",
        "eyJ.eyJ.canary",
        "ünï.cödé.canary",
        "\x00.\x00.canary",
        "W10.W10.canary",
        "bnVsbA.bnVsbA.canary",
        "gICA.gICA.canary",
    ],
)
def test_what_is_no_jwt_is_refused_without_quoting_it(text: str) -> None:
    error = refused(Secret(text))

    assert "credentials" == error.about
    assert error.message.startswith("not a JWT")


@pytest.mark.parametrize("number", ["1e999", "-1e999", "NaN"])
def test_an_expiry_that_is_no_finite_number_is_one_of_our_errors_or_none(number: str) -> None:
    payload = base64.urlsafe_b64encode(f'{{"userInformation": {{"id": "u"}}, "exp": {number}}}'.encode()).decode()
    header = base64.urlsafe_b64encode(b"{}").decode()
    try:
        identify(Secret(f"{header}.{payload}.x"), None, now=NOW)
    except Refused as error:
        assert error.about  # noqa: PT017 - either is fine, another error is not


def test_a_payload_nested_too_deep_is_refused() -> None:
    deep = base64.urlsafe_b64encode(b"[" * 100_000).decode()

    assert "credentials" == refused(Secret(f"e30.{deep}.x")).about
