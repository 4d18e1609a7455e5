"""References to credentials; what is none may be a secret pasted by mistake and is never quoted."""

import pytest

from pulumi_pinata.core.errors import Refused
from pulumi_pinata.core.model import Location
from pulumi_pinata.core.reference import EnvReference, FileReference, Reference, VaultReference, parse


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("env:PINATA_JWT", EnvReference("PINATA_JWT")),
        ("env:_x1", EnvReference("_x1")),
        ("file:/run/secrets/jwt", FileReference("/run/secrets/jwt")),
        ("file:~/jwt", FileReference("~/jwt")),
        ("file:C:/x", FileReference("C:/x")),
        ("vault:secret/pinata/jwt#token", VaultReference(Location("secret", "pinata/jwt"), "token")),
        ("vault:team/kv//pinata/jwt#token", VaultReference(Location("team/kv", "pinata/jwt"), "token")),
        ("vault:secret/a#b#c", VaultReference(Location("secret", "a"), "b#c")),
    ],
)
def test_a_reference_is_read(text: str, expected: Reference) -> None:
    assert expected == parse(text, "credentials")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "canary",
        "env:",
        "env:1canary",
        "env:A-canary",
        "env:A canary",
        "file:",
        "vault:",
        "vault:canary",
        "vault:canary/path",
        "vault:canary/path#",
        "vault:/canary#x",
        "vault:secret/#canary",
        "ENV:canary",
        "pinata:canary",
        "eyJcanary.eyJ.x",
        "hvs.canary",
    ],
)
def test_what_is_no_reference_is_refused_without_quoting_it(text: str) -> None:
    with pytest.raises(Refused) as caught:
        parse(text, "credentials")

    assert "credentials" == caught.value.about
    assert "canary" not in str(caught.value)


def test_a_jwt_pasted_by_mistake_is_named_as_such() -> None:
    with pytest.raises(Refused, match="a JWT itself"):
        parse("eyJhbGciOi.eyJ1c2Vy.c2ln", "credentials")


@pytest.mark.parametrize(
    "text", ["vault:secret/a/../canary#x", "vault:secret/a b/canary#x", "vault:secret/canary%2f#x"]
)
def test_a_vault_reference_with_a_path_that_is_not_plain_is_refused(text: str) -> None:
    with pytest.raises(Refused):
        parse(text, "credentials")
