"""Of what git says, only the meaning is told."""

import pytest

from pulumi_pinata.core.errors import PinataError, Refused, Transient
from reconciler.git.failures import failure


@pytest.mark.parametrize(
    ("words", "kind", "start"),
    [
        ("fatal: write error: No space left on device", Transient, "--git: no space is left for the commit"),
        (
            "fatal: unable to access 'https://h.test/x/': SSL certificate problem: self-signed certificate",
            Refused,
            "--git: the server's TLS certificate cannot be trusted.",
        ),
        (
            "fatal: unable to access 'https://h.test/x/': server certificate verification failed. CAfile: none",
            Refused,
            "--git: the server's TLS certificate cannot be trusted.",
        ),
        (
            "fatal: unable to access 'https://h.test/x/': The requested URL returned error: 403",
            Refused,
            "--git-token: the server forbids reading the repository to this login (403).",
        ),
        (
            "remote: Repository not found.\nfatal: repository 'https://h.test/x/' not found",
            Refused,
            "--git: there is no such repository.",
        ),
        (
            "fatal: detected dubious ownership in repository at '/srv/x'",
            Refused,
            "--git: the repository on this machine belongs to another user",
        ),
        ("error: unknown option `no-write-fetch-head'", Refused, "--git: this machine's git is too old."),
        (
            "fatal: unable to access 'https://h.test/x/': The requested URL returned error: 429",
            Transient,
            "--git: the server is not able to answer now (429).",
        ),
        (
            "fatal: unable to access 'https://h.test/x/': The requested URL returned error: 503",
            Transient,
            "--git: the server is not able to answer now (503).",
        ),
        ("fatal: early EOF", Transient, "--git: the server does not answer, or broke off."),
        ("remote: no space left on device\nfatal: x", Transient, "--git: git failed (exit 128) for a reason"),
    ],
)
def test_what_git_says_is_told_in_our_words(words: str, kind: type[PinataError], start: str) -> None:
    error = failure(128, words, "https://h.test/x", login=True)

    assert (kind, True) == (type(error), str(error).startswith(start))
    assert "h.test" not in str(error)


def test_words_of_the_address_do_not_choose_the_error() -> None:
    url = "https://h.test/certificate/redirect"
    error = failure(128, f"fatal: unable to access '{url}/': Failed to connect to h.test port 443", url, login=False)

    assert "--git: the server does not answer, or broke off." in str(error)
