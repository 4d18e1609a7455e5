"""Every error that the adapters make, as a condition: in their own words, so that a changed word is noticed."""

import httpx
import pytest
import requests
from hvac import exceptions

from pulumi_pinata.adapters import vault_errors
from pulumi_pinata.adapters.pinata_transport import failure
from pulumi_pinata.core.account import identify
from pulumi_pinata.core.errors import Conflict, PinataError, Refused, Transient, Unfunded
from pulumi_pinata.core.secret import Secret
from reconciler.conditions import of_error
from reconciler.fleetplan import Condition


@pytest.mark.parametrize(
    ("status", "condition"),
    [
        (401, Condition.CREDENTIALS_INVALID),
        (403, Condition.CREDENTIALS_INVALID),
        (402, Condition.CREDITS_EXHAUSTED),
        (404, Condition.UPSTREAM_UNAVAILABLE),
        (408, Condition.UPSTREAM_UNAVAILABLE),
        (418, Condition.UPSTREAM_UNAVAILABLE),
        (429, Condition.UPSTREAM_UNAVAILABLE),
        (301, Condition.UPSTREAM_UNAVAILABLE),
        (500, Condition.UPSTREAM_UNAVAILABLE),
        (503, Condition.UPSTREAM_UNAVAILABLE),
    ],
)
def test_what_pinata_answers(status: int, condition: Condition) -> None:
    assert condition is of_error(failure(httpx.Response(status), "the status call"))


@pytest.mark.parametrize("write", [False, True])
@pytest.mark.parametrize(
    "raised",
    [
        exceptions.Forbidden(),
        exceptions.Unauthorized(),
        exceptions.RateLimitExceeded(),
        exceptions.VaultNotInitialized(),
        exceptions.VaultDown(),
        exceptions.InternalServerError(),
        exceptions.BadGateway(),
        exceptions.InvalidRequest("no"),
        requests.exceptions.ConnectTimeout(),
        requests.exceptions.ReadTimeout(),
        requests.exceptions.SSLError(),
        requests.exceptions.ConnectionError(),
    ],
    ids=lambda error: type(error).__name__,
)
def test_whatever_vault_does_the_store_is_what_is_unavailable(raised: Exception, write: bool) -> None:
    with pytest.raises(PinataError) as caught, vault_errors.translated("read secret/a", write=write):
        raise raised

    assert (Condition.STORE_UNAVAILABLE, "vault") == (of_error(caught.value), caught.value.service)


@pytest.mark.parametrize(
    ("error", "condition"),
    [
        (Unfunded("no credits"), Condition.CREDITS_EXHAUSTED),
        (Refused("it is off (402)", about="credentials"), Condition.CREDENTIALS_INVALID),
        (Transient("no answer", service="vault"), Condition.STORE_UNAVAILABLE),
        (Transient("Vault is a word in this one", service="pinata"), Condition.UPSTREAM_UNAVAILABLE),
        (Refused("no such mount", about="vault.mount"), Condition.STORE_UNAVAILABLE),
        (Conflict("changed meanwhile", service="vault"), Condition.CONFLICT),
    ],
)
def test_it_is_the_service_and_the_kind_that_count_not_the_words(error: PinataError, condition: Condition) -> None:
    assert condition is of_error(error)


@pytest.mark.parametrize("status", [301, 401, 402, 403, 404, 408, 418, 429, 500])
def test_pinatas_answers_are_known_as_pinatas(status: int) -> None:
    assert "pinata" == failure(httpx.Response(status), "the status call").service


def test_a_lost_check_and_set_and_a_taken_path_are_conflicts() -> None:
    assert {Condition.CONFLICT} == {
        of_error(Conflict("somebody else changed it first: write secret/a.")),
        of_error(Refused("secret/a was just taken by somebody else.", about="vault.path")),
        of_error(Refused("inference is already on for this account.", about="adopt")),
    }


def test_a_jwt_that_is_none_is_invalid_credentials() -> None:
    with pytest.raises(Refused) as caught:
        identify(Secret("not-a-jwt"), None, now=0)

    assert Condition.CREDENTIALS_INVALID is of_error(caught.value)
