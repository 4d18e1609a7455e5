"""script/bench in a small: what it writes down, and that it leaves nothing behind."""

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

BENCH = Path(__file__).parents[2] / "script" / "bench"
MARK = "PINATA_BENCH_TEST"
SMALL = ("--quick", "--accounts", "3,6", "--rounds", "1")


@pytest.fixture
def environment(tmp_path: Path) -> dict[str, str]:
    """A temporary folder of its own, and a mark by which every process of the bench can be known."""
    folder = tmp_path / "tmp"
    folder.mkdir()
    return os.environ | {"TMPDIR": str(folder), MARK: str(tmp_path)}


def left(environment: dict[str, str], within: float = 5.0) -> list[str]:
    """Processes and files that are still there; of what was killed, the kernel may take a moment to be rid."""
    needle, end = f"{MARK}={environment[MARK]}".encode(), time.monotonic() + within
    while (found := list(_processes(needle))) and time.monotonic() < end:
        time.sleep(0.02)
    return [*found, *map(str, Path(environment["TMPDIR"]).iterdir())]


def _processes(needle: bytes) -> Iterator[str]:
    for entry in Path("/proc").glob("[0-9]*"):
        try:
            if needle in (entry / "environ").read_bytes().split(b"\0"):
                yield entry.name
        except OSError:
            continue


def test_every_figure_is_there_with_its_samples_and_is_plausible(environment: dict[str, str], tmp_path: Path) -> None:
    page = tmp_path / "figures.json"
    done = subprocess.run(
        [BENCH, *SMALL, "--pulumi", "1", "--json", page], env=environment, capture_output=True, text=True, timeout=240
    )

    assert 0 == done.returncode, done.stdout + done.stderr
    found = json.loads(page.read_text())
    assert {"cpu", "cores", "kernel", "python", "libraries"} == set(found["machine"])
    figures = {figure["name"]: figure for figure in found["figures"]}
    assert [] == [name for name in figures if name not in done.stdout]
    # What the proxy delays: two calls an account, and of a pass the inventory before them.
    for latency, least in (("0 ms", 0.0), ("50 ms", 0.1)):
        for size in (3, 6):
            share = figures[f"pass, {size} accounts, {latency}: of the ceiling"]
            (ours,), (ceiling,) = share["samples"]["ours"], share["samples"]["ceiling"]
            assert share["value"] == ceiling["seconds"] / ours["seconds"]
            assert least * 1.5 <= ours["seconds"] < 60
            assert least <= ceiling["seconds"] < 60
        assert figures[f"pass, 1 accounts, {latency}: times `pulumi refresh`"]["value"] > 1
    slow = figures["pass, 6 accounts, 50 ms: times a sequential script"]["samples"]
    assert slow["ours"][0]["seconds"] < slow["sequential"][0]["seconds"]
    assert slow["sequential"][0]["seconds"] >= 0.6
    assert 1 == figures["first apply, 3 accounts: Pinata's calls ÷ the fewest"]["value"]
    assert 1 < figures["first apply, 3 accounts: Vault's calls ÷ the fewest"]["value"] < 1.5
    memory = figures["memory, 6 accounts"]
    assert (True, "MiB") == (memory["met"], memory["unit"])
    assert 20 < figures["memory, no account"]["value"] < memory["value"]
    assert figures["start-up, --help ÷ python -c pass"]["value"] > 1
    assert "pnk_" not in done.stdout + done.stderr + page.read_text()
    assert [] == left(environment)


def test_a_bench_that_is_stopped_leaves_nothing_behind(environment: dict[str, str]) -> None:
    with subprocess.Popen([BENCH, *SMALL], env=environment, stderr=subprocess.PIPE, text=True) as bench:
        assert bench.stderr
        for line in bench.stderr:
            if "passes over" in line:
                break
        bench.send_signal(signal.SIGTERM)
        bench.stderr.read()

        assert 143 == bench.wait(60)

    assert [] == left(environment)


@pytest.mark.parametrize(
    ("options", "reason"),
    [
        (("--rounds", "0"), "'0' must be a number from 1 to 2000"),
        (("--accounts", "10,many"), "'many' must be a number from 1 to 2000"),
        (("--json", "/nowhere/at/all.json"), "there is no folder /nowhere/at"),
    ],
)
def test_wrong_usage_is_refused_before_anything_is_started(options: tuple[str, ...], reason: str) -> None:
    done = subprocess.run([BENCH, *options], capture_output=True, text=True, timeout=60)

    assert (2, "") == (done.returncode, done.stdout)
    assert reason in done.stderr
