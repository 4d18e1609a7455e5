"""Runs commands with all that they start, and ends all of it; a session of its own tells what belongs together."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO

PATIENCE = 60.0
LIMIT = 120.0


@dataclass(frozen=True)
class Ran:
    """How a command ended; `text` is all that it printed."""

    code: int
    text: str
    seconds: float


def run(command: Sequence[str], env: Mapping[str, str], cwd: Path, on_line: Callable[[str], None]) -> Ran:
    """Run to the end, or kill it after LIMIT seconds; `on_line` gets each line as it comes."""
    began = time.monotonic()
    lines = []
    with _started(command, env, cwd, subprocess.PIPE) as process, _limited(process.pid):
        for line in process.stdout or ():
            lines.append(line)
            on_line(line.rstrip("\n"))
        code = process.wait()
    return Ran(code, "".join(lines), time.monotonic() - began)


def kill_when(
    command: Sequence[str], env: Mapping[str, str], cwd: Path, is_time: Callable[[], bool], output: Path
) -> int:
    """Start, and SIGKILL it with all that it started as soon as `is_time`; returns how many processes that were.

    What it prints goes to the file `output`. TimeoutError if the time does not come, or the command ends before it.
    """
    with output.open("w") as file, _started(command, env, cwd, file) as process:
        wait_for(lambda: is_time() or process.poll() is not None)
        if process.poll() is not None:
            raise TimeoutError(f"{command[0]} ended before it could be killed")
        return _kill(process.pid)


def wait_for(condition: Callable[[], bool], within: float = PATIENCE) -> None:
    """Return once the condition holds; TimeoutError when it does not come true."""
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(f"waited {within:g} s in vain")
        time.sleep(0.01)


@contextmanager
def _started(
    command: Sequence[str], env: Mapping[str, str], cwd: Path, stdout: int | IO[str]
) -> Iterator[subprocess.Popen[str]]:
    process = None
    try:
        with _uninterrupted():
            process = subprocess.Popen(
                command,
                env=dict(env),
                cwd=cwd,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=subprocess.STDOUT,
                text=True,
                start_new_session=True,
            )
        yield process
    finally:
        if process:
            _kill(process.pid)
            process.wait()
            if process.stdout:
                process.stdout.close()


@contextmanager
def _uninterrupted() -> Iterator[None]:
    """Hold signals back: between a fork and the line that remembers the child, an exception would leave it behind."""
    came: list[int] = []
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    caught = {number: handler for number, handler in before.items() if callable(handler)}
    for number in caught:
        signal.signal(number, lambda number, _frame: came.append(number))
    try:
        yield
    finally:
        for number, handler in caught.items():
            signal.signal(number, handler)
    for each in came:
        signal.raise_signal(each)


@contextmanager
def _limited(session: int) -> Iterator[None]:
    timer = threading.Timer(LIMIT, _kill, [session])
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


def _kill(session: int) -> int:
    killed: set[int] = set()
    # Again until none is left: one may start another while we look.
    while members := [pid for pid in _all() if _session(pid) == session and pid not in killed]:
        for pid in members:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
            killed.add(pid)
    return len(killed)


def _session(pid: int) -> int:
    with contextlib.suppress(ProcessLookupError, PermissionError):
        return os.getsid(pid)
    return 0


def _all() -> list[int]:
    if Path("/proc/self").exists():
        return [int(entry.name) for entry in Path("/proc").iterdir() if entry.name.isdigit()]
    listing = subprocess.run(
        [shutil.which("ps") or "ps", "-A", "-o", "pid="], capture_output=True, text=True, check=True
    )
    return [int(pid) for pid in listing.stdout.split()]
