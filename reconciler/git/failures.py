"""What git's failures mean. Its words are matched and never shown: they quote URLs and the server's own text."""

import re
from dataclasses import dataclass

from pulumi_pinata.core.errors import PinataError, Refused, Transient


@dataclass(frozen=True)
class _Case:
    pattern: str
    kind: type[PinataError]
    message: str
    hint: str
    about: str = "--git"


_LOGIN = "--git-token"
_LATER = "It is asked again at the next poll."
_WRITTEN = "Check the address, and that the login may read the repository: many servers hide what it may not."

# In the C locale; the first that matches counts. curl's words come with git's over http, ssh's with git's over ssh.
_CASES = (
    _Case(
        r"no space left on device|disk quota exceeded",
        Transient,
        "no space is left for the commit on this machine's disk.",
        "Free some where temporary files are kept (TMPDIR).",
    ),
    _Case(
        r"could not resolve (host|proxy)|name or service not known|temporary failure in name resolution|"
        r"nodename nor servname|no address associated",
        Transient,
        "the server's name is not known to DNS.",
        "Check the address, and DNS on this machine.",
    ),
    _Case(
        r"certificate|no alternative certificate|self.signed",
        Refused,
        "the server's TLS certificate cannot be trusted.",
        "Check the host name; let git know the CA by http.sslCAInfo or GIT_SSL_CAINFO.",
    ),
    _Case(
        r"host key verification failed|remote host identification has changed",
        Refused,
        "ssh does not know the server's host key, or knows another one.",
        "Add the right one to known_hosts.",
    ),
    _Case(
        r"returned error: 40[17]|authentication failed|could not read (username|password)|permission denied|"
        r"terminal prompts disabled|invalid credentials|access denied",
        Refused,
        "the server refused the login.",
        "",
        _LOGIN,
    ),
    _Case(
        r"returned error: 403",
        Refused,
        "the server forbids reading the repository to this login (403).",
        "Give the token the right to read the repository's contents.",
        _LOGIN,
    ),
    _Case(
        r"returned error: 3\d\d|redirect",
        Refused,
        "the server redirects to another address; that is not followed.",
        "Write the final address; often only .git at the end is missing.",
    ),
    _Case(
        r"returned error: (?P<code>5\d\d|429|408)",
        Transient,
        "the server is not able to answer now ({code}).",
        _LATER,
    ),
    _Case(
        r"dubious ownership",
        Refused,
        "the repository on this machine belongs to another user, whose configuration git will not follow.",
        "If that user is trusted: git config --global --add safe.directory PATH.",
    ),
    _Case(
        r"not valid: is this a git repository|did you run git update-server-info|invalid server response|"
        r"protocol error|bad line length|does not support shallow",
        Refused,
        "what answers there is not a Git repository.",
        "Write the address that `git clone` takes.",
    ),
    _Case(
        r"repository .*not found|returned error: 4(04|10)|does not appear to be a git repository|does not exist|"
        r"repository not exported|project you were looking for could not be found",
        Refused,
        "there is no such repository.",
        _WRITTEN,
    ),
    _Case(
        r"transport .*not allowed",
        Refused,
        "git's configuration turns the address into one of a kind that is not followed.",
        "Look for url.….insteadOf in `git config --list`.",
    ),
    _Case(
        r"not our ref|unadvertised object|couldn't find remote ref|no such remote ref|want .* not valid",
        Transient,
        "the server does not give the commit out.",
        "A commit that no branch or tag leads to any more may be gone; check --ref.",
        "--ref",
    ),
    _Case(
        r"unknown option|unknown switch|usage: git",
        Refused,
        "this machine's git is too old.",
        "Install git 2.34 or newer.",
    ),
    _Case(
        r"failed to connect|could not connect|couldn't connect|unable to connect|connection refused|no route to host|"
        r"network is unreachable|timed out|could not read from remote|"
        r"empty reply|hung up|early eof|unexpected disconnect|rpc failed|connection (was )?(reset|closed)|"
        r"operation too slow|gnutls|ssl|tls|transfer closed|recv failure|send failure|broken pipe",
        Transient,
        "the server does not answer, or broke off.",
        _LATER,
    ),
)
_COMPILED = [(re.compile(case.pattern), case) for case in _CASES]


def failure(code: int, words: str, url: str, *, login: bool | None) -> PinataError:
    """The error for a git that ended with `code` and said `words`.

    `login` tells whether it had a token of ours; None where a token would be of no use (ssh, files).
    """
    # What the server says itself must not choose the case, nor what the address happens to contain.
    lines = [line for line in words.lower().splitlines() if not line.lstrip().startswith("remote:")]
    said = "\n".join(lines).replace(url.lower().rstrip("/"), "")
    for pattern, case in _COMPILED:
        if found := pattern.search(said):
            about = "--git" if case.about == _LOGIN and login is None else case.about
            return case.kind(case.message.format(**found.groupdict()), about=about, hint=case.hint or _login(login))
    message = f"git failed (exit {code}) for a reason that is not known here."
    return Transient(
        message, about="--git", hint="Run `git ls-remote` with the same URL, as the same user, to see why."
    )


def _login(login: bool | None) -> str:
    if login is None:
        return "Check the ssh keys of this user, or what it may read on this machine."
    if login:
        return "Check that the token is valid and may read the repository; user:password is accepted too."
    return "Give a token by --git-token, or set up a credential helper of git for this user."
