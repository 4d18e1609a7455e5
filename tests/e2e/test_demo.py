"""script/demo as a newcomer runs it."""

import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

DEMO = Path(__file__).parents[2] / "script" / "demo"
MARK = "PINATA_DEMO_TEST"


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A temporary folder of its own, and a mark by which every process of the demo can be known."""
    return os.environ | {"TMPDIR": str(tmp_path), "NO_COLOR": "1", MARK: str(tmp_path)}


def left(mark: str, within: float = 5.0) -> list[int]:
    """Processes that are still there; of what was killed, the kernel may take a moment to be rid."""
    end = time.monotonic() + within
    while (found := list(processes(mark))) and time.monotonic() < end:
        time.sleep(0.02)
    return found


def processes(mark: str) -> Iterator[int]:
    needle = f"{MARK}={mark}".encode()
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if needle in (entry / "environ").read_bytes().split(b"\0"):
                yield int(entry.name)
        except OSError:
            continue


def test_the_demo_passes_every_step_and_leaves_nothing_behind(environment: dict[str, str], tmp_path: Path) -> None:
    done = subprocess.run([DEMO], env=environment, capture_output=True, text=True, timeout=300)

    assert 0 == done.returncode, done.stdout + done.stderr
    steps = re.findall(r"^ +(\d+) .* ✓ ", done.stdout, re.MULTILINE)
    assert [str(number) for number in range(1, 13)] == steps
    assert re.search(r"^12 of 12 steps ✓, keys lost 0, 8 mints, \d+ s$", done.stdout, re.MULTILINE)
    assert "\033" not in done.stdout
    assert "pnk_" not in done.stdout + done.stderr
    assert [] == left(str(tmp_path))
    assert [] == list(tmp_path.iterdir())


def test_a_demo_that_is_stopped_leaves_nothing_behind(environment: dict[str, str], tmp_path: Path) -> None:
    with subprocess.Popen([DEMO], env=environment, stdout=subprocess.PIPE, text=True) as demo:
        assert demo.stdout
        for line in demo.stdout:
            if "$ pulumi up" in line:
                break
        demo.send_signal(signal.SIGTERM)
        demo.stdout.read()

        assert 143 == demo.wait(60)

    assert [] == left(str(tmp_path))
    assert [] == list(tmp_path.iterdir())


STOPPED_AT_A_START = """
import os, signal, subprocess, sys
from pathlib import Path
import processes

start = subprocess.Popen

def interrupted(*arguments, **options):
    started = start(*arguments, **options)
    signal.raise_signal(signal.SIGTERM)
    return started

subprocess.Popen = interrupted
signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
processes.run(["sleep", "600"], os.environ, Path.cwd(), print)
"""


def test_a_demo_that_is_stopped_while_it_starts_a_process_leaves_it_not_behind(
    environment: dict[str, str], tmp_path: Path
) -> None:
    environment["PYTHONPATH"] = str(DEMO.with_name("demo.d"))
    done = subprocess.run([sys.executable, "-c", STOPPED_AT_A_START], env=environment, timeout=60)

    assert (143, []) == (done.returncode, left(str(tmp_path)))


def test_a_demo_takes_no_arguments() -> None:
    done = subprocess.run([DEMO, "--fast"], capture_output=True, text=True, timeout=60)

    assert 2 == done.returncode
    assert done.stderr.startswith("usage: script/demo")
