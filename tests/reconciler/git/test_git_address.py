"""Addresses, refs and paths that git could misunderstand never reach it."""

from pathlib import Path

import pytest

from pulumi_pinata.core.errors import Refused
from pulumi_pinata.core.secret import Secret
from reconciler.git.source import GitSource


@pytest.mark.parametrize(
    "url",
    [
        "https://me:pa55w0rd@h.test/x",
        "https://pa55w0rd@h.test/x",
        "ssh://git:pa55w0rd@h.test/x",
        "https://h.test/x?token=pa55w0rd",
        "https://h.test/x#pa55w0rd",
        "git://pa55w0rd@127.0.0.1/x",
    ],
)
def test_a_secret_in_the_url_is_refused_and_not_quoted(url: str) -> None:
    with pytest.raises(Refused) as raised:
        GitSource(url, "main")

    assert str(raised.value).startswith("--git: the URL ")
    assert "--git-token" in str(raised.value)
    assert "pa55w0rd" not in str(raised.value)


@pytest.mark.parametrize(
    "url",
    ["", "-x", "--upload-pack=touch /tmp/x", "ext::sh -c id", "fd::17", "http://h.test/x", "git://h.test/x",
    "ftp://h.test/x", "https:///x", "https://-oProxyCommand=x/x", "ssh://-oProxyCommand=x/x", "-oX=y:x", "h.test:-x",
    "ssh://-u@h.test/x", "-u@h.test:x", "https://h.test/a\nb", "https://h.test:x/y", "file://h.test/x", "a\0b",
    "transport::https://h.test/x", "ssh::h", "http://127.0.0.1.h.test/x", "http://localhost@h.test/x"],
)  # fmt: skip
def test_an_address_that_git_could_not_be_trusted_with_is_refused(url: str) -> None:
    with pytest.raises(Refused, match=r"^--git: "):
        GitSource(url, "main")


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("https://h.test:8443/a/b.git", "https://h.test:8443/a/b.git#main"),
        ("ssh://git@h.test:22/a", "ssh://h.test:22/a#main"),
        ("git@h.test:a/b.git", "h.test:a/b.git#main"),
        ("http://[::1]:80/a", "http://[::1]:80/a#main"),
        ("git://localhost/a", "git://localhost/a#main"),
        ("/srv/my fleet", "/srv/my fleet#main"),
        ("file:///srv/x:y", "file:///srv/x:y#main"),
        ("./x:y", f"{Path.cwd()}/x:y#main"),
    ],
)
def test_the_name_is_the_address_without_the_user_and_the_ref(url: str, name: str, folder: Path) -> None:
    with GitSource(url, "main", folder=folder) as source:
        assert name == source.name


@pytest.mark.parametrize(
    "ref", ["", "-x", "--all", "a b", "a..b", "a:b", "a*", "a~1", "a^", "@", "a@{1}", "/a", "a/", "a.lock", "a\n"]
)
def test_a_ref_that_git_would_take_for_something_else_is_refused(ref: str) -> None:
    with pytest.raises(Refused, match=r"^--ref: "):
        GitSource("https://h.test/x", ref)


@pytest.mark.parametrize("path", ["/etc", "..", "a/../../b", "a\nb"])
def test_a_path_out_of_the_repository_is_refused(path: str) -> None:
    with pytest.raises(Refused, match=r"^PATH: "):
        GitSource("https://h.test/x", "main", [path])


def test_a_token_for_an_address_that_takes_none_is_refused() -> None:
    with pytest.raises(Refused, match=r"^--git-token: a token is for https addresses only\."):
        GitSource("git@h.test:x", "main", token=lambda: Secret("x"))
