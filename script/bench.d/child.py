"""Whole commands as their users start them, each with all that it starts in a process group of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

LIMIT = 300.0
RECONCILER = (str(Path(sys.prefix, "bin", "pinata-reconciler")),)
_PEAK = """
import runpy, sys
try:
    runpy.run_module(sys.argv.pop(1), run_name="__main__")
finally:
    lines = open("/proc/self/status").read().splitlines()
    sys.stderr.write("\\n" + next(line.split()[1] for line in lines if line.startswith("VmHWM:")))
"""


class Failed(Exception):
    """A command ended otherwise than it had to."""


def run(command: Sequence[str], environ: Mapping[str, str], cwd: Path | None = None) -> str:
    """Run to a good end; its standard error. Failed with the end of its output when it is not one."""
    with subprocess.Popen(
        command,
        env=dict(environ),
        cwd=cwd,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            out, err = process.communicate(timeout=LIMIT)
        except BaseException:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
            raise
    if process.returncode != 0:
        raise Failed(f"{' '.join(command[:3])} ended with {process.returncode}:\n{(out + err)[-1500:]}")
    return err


def seconds(command: Sequence[str], environ: Mapping[str, str], cwd: Path | None = None) -> float:
    """How long it took."""
    began = time.perf_counter()
    run(command, environ, cwd)
    return time.perf_counter() - began


def peak(module: str, arguments: Sequence[str], environ: Mapping[str, str]) -> float:
    """The most memory that `python -m module arguments` ever had in use, in MiB.

    Asked of the process itself: what its parent is told of it (ru_maxrss) counts the parent's memory too.
    """
    err = run([sys.executable, "-c", _PEAK, module, *arguments], environ)
    return int(err.rsplit("\n", 1)[1]) / 1024
