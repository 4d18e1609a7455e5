"""Runs one long step and shows that it is alive; its output is shown only when it fails.

Everything goes to stderr: stdout belongs to whoever called the script. Does not belong here: any
knowledge of what the steps are.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO

EVERY = 10.0  # seconds between two lines of a step that goes on
TAIL = 4000  # characters of a failed step's output


class StepFailed(Exception):
    """A step ended badly; the message has the end of its output."""


def say(line: str) -> None:
    """One line for whoever watches."""
    print(line, file=sys.stderr, flush=True)


def run(
    what: str,
    command: Sequence[str],
    *,
    env: Mapping[str, str] | None = None,
    cwd: Path | None = None,
    limit: float | None = None,
) -> None:
    """Runs the command to its end, or kills it and all that it started at the limit (seconds)."""
    say(f"{what} …")
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen(
            command,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            env=env,
            cwd=cwd,
            start_new_session=True,  # its own group, so that it can be ended with its children
        )
        try:
            code = _wait(process, what, limit)
        finally:
            _end(process)
        if code:
            raise StepFailed(f"{what}: {_how(code)}\n{_tail(log)}".rstrip())


def _wait(process: subprocess.Popen[bytes], what: str, limit: float | None) -> int:
    started = time.monotonic()
    while True:
        try:
            return process.wait(EVERY)
        except subprocess.TimeoutExpired:
            seconds = time.monotonic() - started
            if limit is not None and seconds > limit:
                raise StepFailed(f"{what}: not done after {seconds:.0f} s") from None
            say(f"{what} … {seconds:.0f} s")


def _end(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _how(code: int) -> str:
    return f"exit code {code}" if code > 0 else f"ended by {signal.Signals(-code).name}"


def _tail(log: IO[bytes]) -> str:
    size = log.seek(0, os.SEEK_END)
    log.seek(max(0, size - TAIL))
    return log.read().decode(errors="replace")
