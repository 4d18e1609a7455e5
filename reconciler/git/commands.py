"""Runs the program git: bounded in time and output, with no way to ask a person, and nothing of a repository run.

The user's own configuration counts (credential helpers, proxies, ssh, CAs); variables that point git to another
repository or log what it sends do not. The token goes by the environment to a credential helper of ours, which git asks
only for the server's own host and scheme; helpers of the user are then left out, as git would hand it to them to keep.
"""

import os
import signal
import subprocess
import tempfile
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path
from typing import IO

from pulumi_pinata.core.errors import PinataError, Refused, Transient
from pulumi_pinata.core.secret import Secret
from reconciler.git.address import Address
from reconciler.git.failures import failure

MOST_OUTPUT = 1024 * 1024
LARGEST_STORE = 512 * 1024 * 1024
_MOST_WORDS = 64 * 1024
_GLANCE = 0.2

_KEPT = ("GIT_CONFIG_GLOBAL", "GIT_CONFIG_SYSTEM", "GIT_CONFIG_NOSYSTEM", "GIT_CONFIG_COUNT", "GIT_EXEC_PATH")
_KEPT_TOO = (
    "GIT_CONFIG_KEY_",
    "GIT_CONFIG_VALUE_",
    "GIT_HTTP_PROXY_AUTHMETHOD",
    "GIT_PROXY_SSL_",
    "GIT_SSH",
    "GIT_SSL_CA",
    "GIT_SSL_CERT",
    "GIT_SSL_KEY",
)

_QUIET = {
    "LC_ALL": "C",  # failures are told apart by their words
    "GIT_TERMINAL_PROMPT": "0",
    "GCM_INTERACTIVE": "never",
    "SSH_ASKPASS_REQUIRE": "never",
    "GIT_NO_REPLACE_OBJECTS": "1",
    "GIT_OPTIONAL_LOCKS": "0",
}
_SETTINGS = (
    "core.hooksPath=/dev/null",
    "core.fsmonitor=false",
    "core.askPass=",
    "core.pager=cat",
    "core.bigFileThreshold=8m",  # larger blobs are streamed, not held in memory
    "fetch.recurseSubmodules=false",
    "fetch.unpackLimit=1",
    "fetch.writeCommitGraph=false",
    "gc.auto=0",  # would go on in a process group of its own
    "maintenance.auto=false",
    "http.followRedirects=false",
)
_HELPER = (
    """!f() { test "$1" = get && printf 'username=%s\\npassword=%s\\n' "$PINATA_GIT_USER" "$PINATA_GIT_TOKEN"; }; f"""
)


class Git:
    """git for one `fetch`: all of its commands together have until `deadline` (`time.monotonic`)."""

    def __init__(
        self, address: Address, home: Path, deadline: float, token: Secret | None, environ: Mapping[str, str]
    ) -> None:
        self._address = address
        self._home = home
        self._deadline = deadline
        self._token = token
        self._environ = environ

    def run(
        self,
        *arguments: str,
        settings: Sequence[str] = (),
        given: IO[bytes] | None = None,
        into: IO[bytes] | None = None,
        most: int = MOST_OUTPUT,
        store: Path | None = None,
    ) -> bytes:
        """Run git with `arguments`; its output, at most `most` bytes, goes into the file `into`, or is returned.

        `store` is the repository worked on, itself at most LARGEST_STORE bytes.
        Raises Transient if time is over, the server is down or the disk full; Refused for what a person must fix.
        """
        place = [f"--git-dir={store}"] if store else []
        configured = [part for setting in (*self._settings(), *settings) for part in ("-c", setting)]
        with tempfile.TemporaryFile(dir=self._home) as words, tempfile.TemporaryFile(dir=self._home) as own:
            out = into or own
            try:
                process = subprocess.Popen(  # noqa: S603 - no shell; what may come from outside is checked
                    ["git", *configured, *place, *arguments],  # noqa: S607 - the user's git
                    env=self._environment(),
                    cwd=self._home,
                    stdin=given or subprocess.DEVNULL,
                    stdout=out,
                    stderr=words,
                    start_new_session=True,  # no terminal to ask at, and one group to be killed
                )
            except FileNotFoundError:
                hint = "Install git 2.34 or newer."
                raise Refused("the program git is not on PATH.", about="--git", hint=hint) from None
            code = self._ended(process, out, words, most, store)
            if code:
                words.seek(0)
                text = words.read(_MOST_WORDS).decode(errors="replace")
                login = self._token is not None if self._address.base else None
                raise failure(code, text, self._address.url, login=login)
            own.seek(0)
            return own.read()

    def _ended(
        self, process: "subprocess.Popen[bytes]", out: IO[bytes], words: IO[bytes], most: int, store: Path | None
    ) -> int:
        try:
            while True:
                left = self._deadline - time.monotonic()
                with suppress(subprocess.TimeoutExpired):
                    code = process.wait(max(0.0, min(left, _GLANCE)))
                    self._check(out, words, most, store)
                    return code
                if left <= 0:
                    hint = "It is tried again at the next poll."
                    raise Transient("the repository was not read in time.", about="--git", hint=hint)
                self._check(out, words, most, store)
        finally:
            if process.returncode is None:  # before it is waited for: until then its group is nobody else's
                with suppress(ProcessLookupError):
                    os.killpg(process.pid, signal.SIGKILL)
                process.wait()

    @staticmethod
    def _check(out: IO[bytes], words: IO[bytes], most: int, store: Path | None) -> None:
        if os.fstat(out.fileno()).st_size > most or os.fstat(words.fileno()).st_size > MOST_OUTPUT:
            raise too_large("git says more than it could have to say about a repository of manifests.")
        if store and _size(store) > LARGEST_STORE:
            raise too_large(f"one commit of the repository is larger than {LARGEST_STORE >> 20} MiB.")

    def _settings(self) -> tuple[str, ...]:
        base = self._address.base
        if not base:
            return _SETTINGS
        # A connection on which nothing moves ends by itself, should we be killed before we could end git.
        found = [*_SETTINGS, "http.lowSpeedLimit=1", "http.lowSpeedTime=120"]
        if base.startswith("http:"):
            found.append(f"http.{base}/.proxy=")  # a proxy would see the login
        if self._token:
            found += [f"credential.{base}.helper=", f"credential.{base}.helper={_HELPER}"]
        return tuple(found)

    def _environment(self) -> dict[str, str]:
        kept = {
            name: value
            for name, value in self._environ.items()
            if not name.startswith("GIT_") or name in _KEPT or name.startswith(_KEPT_TOO)
        }
        for name in ("SSH_ASKPASS", "LANGUAGE"):
            kept.pop(name, None)
        ceiling = {"GIT_ALLOW_PROTOCOL": self._address.protocols, "GIT_CEILING_DIRECTORIES": str(self._home.parent)}
        return {**kept, **_QUIET, **ceiling, **self._login()}

    def _login(self) -> dict[str, str]:
        if not self._token:
            return {}
        user, colon, password = self._token.reveal().partition(":")
        if not colon:
            user, password = "x-access-token", user
        return {"PINATA_GIT_USER": user, "PINATA_GIT_TOKEN": password}


def too_large(message: str) -> PinataError:
    """The error for a repository beyond all that manifests need."""
    return Refused(message, about="--git", hint="Keep manifests in a repository of their own.")


def _size(folder: Path) -> int:
    total = 0
    for place, _folders, names in os.walk(folder):
        for name in names:
            with suppress(OSError):  # a temporary file of git's that has just been renamed
                total += Path(place, name).lstat().st_size
    return total
