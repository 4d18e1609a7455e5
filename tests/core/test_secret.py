"""Every road by which a secret could slip out unasked, closed."""

import copy
import json
import pickle

import pytest

from pulumi_pinata.core.secret import PrivateKey, Secret, digest

CANARY = "canary-4711"


@pytest.fixture(params=[Secret, PrivateKey])
def secret(request: pytest.FixtureRequest) -> Secret:
    made: Secret = request.param(CANARY)
    return made


def test_a_secret_gives_itself_up_when_asked(secret: Secret) -> None:
    assert CANARY == secret.reveal()


@pytest.mark.parametrize("spec", ["{}", "{!r}", "{!s}", "{!a}", "{:>20}", "{:s}", "{0:x}"])
def test_no_format_shows_it(secret: Secret, spec: str) -> None:
    assert CANARY not in spec.format(secret)


def test_no_text_shows_it(secret: Secret) -> None:
    for text in (
        str(secret),
        repr(secret),
        f"{secret}",
        repr([secret]),
        repr({"a": secret}),
    ):
        assert CANARY not in text


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_it_cannot_be_pickled(secret: Secret, protocol: int) -> None:
    with pytest.raises(TypeError, match="cannot be pickled"):
        pickle.dumps(secret, protocol)


@pytest.mark.parametrize("how", [copy.copy, copy.deepcopy])
def test_it_cannot_be_copied(secret: Secret, how: object) -> None:
    with pytest.raises(TypeError, match="copied"):
        how(secret)  # type: ignore[operator]


def test_it_is_no_json(secret: Secret) -> None:
    with pytest.raises(TypeError) as caught:
        json.dumps({"a": secret})
    assert CANARY not in str(caught.value)
    assert CANARY not in json.dumps({"a": secret}, default=str)


def test_it_has_no_attributes_to_list(secret: Secret) -> None:
    with pytest.raises(TypeError):
        vars(secret)
    with pytest.raises(AttributeError):
        secret.note = 1  # type: ignore[attr-defined]


def test_two_secrets_with_one_value_are_not_equal() -> None:
    assert Secret(CANARY) != Secret(CANARY)
    assert Secret(CANARY) != CANARY


def test_an_empty_secret_is_none_at_all() -> None:
    with pytest.raises(ValueError, match="empty"):
        Secret("")


def test_a_fingerprint_names_the_key_and_does_not_show_it() -> None:
    key = PrivateKey(CANARY)

    assert key.fingerprint == PrivateKey(CANARY).fingerprint
    assert key.fingerprint != PrivateKey(CANARY + " ").fingerprint
    assert 32 == len(key.fingerprint)
    assert CANARY not in key.fingerprint


def test_a_digest_is_of_its_domain_alone() -> None:
    assert digest("key", "x") != digest("account", "x")
    assert "4a09112e9f47c71d80ee08caa7908d85" == digest("key", "x"), "a stored format"
