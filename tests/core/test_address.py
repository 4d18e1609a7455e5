"""URLs and Vault paths as users write them."""

import pytest

from pulumi_pinata.core.address import checked_path, checked_url
from pulumi_pinata.core.errors import Refused


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("https://agents.pinata.cloud", "https://agents.pinata.cloud"),
        ("https://vault.test:8200/", "https://vault.test:8200"),
        ("https://vault.test/behind/a/path//", "https://vault.test/behind/a/path"),
        ("http://127.0.0.1:8200", "http://127.0.0.1:8200"),
        ("http://127.9.9.9", "http://127.9.9.9"),
        ("http://localhost:1", "http://localhost:1"),
        ("http://[::1]:8200", "http://[::1]:8200"),
        ("HTTPS://Vault.test", "HTTPS://Vault.test"),
    ],
)
def test_a_safe_url_is_taken_without_its_trailing_slash(url: str, expected: str) -> None:
    assert expected == checked_url(url, "api_url")


@pytest.mark.parametrize(
    "url",
    [
        "",
        "agents.pinata.cloud",
        "//host",
        "ftp://host",
        "https://",
        "https://host:port",
        "https://host:99999",
        "https://user@host",
        "https://user:canary@host",
        "https://host?token=canary",
        "https://host#canary",
        "http://vault.test",
        "http://10.0.0.1",
        "http://localhost.evil.test",
        "http://127.0.0.1.evil.test",
        "http://0.0.0.0",
        "http://[::",
        "file:///etc/passwd",
    ],
)
def test_any_other_url_is_refused_without_quoting_a_credential(url: str) -> None:
    with pytest.raises(Refused) as caught:
        checked_url(url, "api_url")

    assert "api_url" == caught.value.about
    assert caught.value.hint
    assert "canary" not in str(caught.value)


@pytest.mark.parametrize(
    "url", ["https://ho st", "https://host\n", " https://host", "https://host\t.test", "https://host/ a"]
)
def test_a_url_with_space_in_it_is_refused(url: str) -> None:
    with pytest.raises(Refused):
        checked_url(url, "api_url")


@pytest.mark.parametrize("path", ["a", "pinata/prod", "team/a-b_c.d/x", "ünï/cödé", "...", "a/.b"])
def test_a_plain_path_is_taken_as_it_is(path: str) -> None:
    assert path == checked_path(path, "vault.path")


@pytest.mark.parametrize(
    "path",
    [
        "",
        "/a",
        "a/",
        "a//b",
        ".",
        "..",
        "a/../b",
        "a/./b",
        "a b",
        "a\tb",
        "a\n",
        "a?b",
        "a#b",
        "a%2fb",
        "a\\b",
        "a\x00b",
    ],
)
def test_any_other_path_is_refused(path: str) -> None:
    with pytest.raises(Refused) as caught:
        checked_path(path, "vault.path")

    assert "vault.path" == caught.value.about
