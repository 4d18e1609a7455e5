"""Timing by turns: each round runs every contender once, so that what slows the machine slows all of them."""

from __future__ import annotations

import gc
import os
import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

Contender = Callable[[], None]
_TICK = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class Sample:
    """One run: wall-clock seconds, and the CPU seconds meanwhile of this process, its commands, and each server.

    `others` is what else was going on on the machine; its figures are worth the less the more that is.
    """

    seconds: float
    cpu: float
    commands: float
    servers: Mapping[str, float]
    others: float


def by_turns(contenders: Mapping[str, Contender], rounds: int, pids: Mapping[str, int]) -> dict[str, list[Sample]]:
    """Samples of each contender; who begins changes from round to round."""
    samples: dict[str, list[Sample]] = {name: [] for name in contenders}
    names = list(contenders)
    for turn in range(rounds):
        for name in names[turn % len(names) :] + names[: turn % len(names)]:
            samples[name].append(sample(contenders[name], pids))
    return samples


def sample(contender: Contender, pids: Mapping[str, int]) -> Sample:
    """Run once."""
    gc.collect()  # nobody pays for another's garbage
    before = {name: cpu_seconds(pid) for name, pid in pids.items()}
    busy, commands, cpu, began = _busy(), _ended_children(), time.process_time(), time.perf_counter()
    contender()
    seconds, cpu = time.perf_counter() - began, time.process_time() - cpu
    commands, busy = _ended_children() - commands, _busy() - busy
    servers = {name: cpu_seconds(pid) - before[name] for name, pid in pids.items()}
    others = max(0.0, busy - cpu - commands - sum(servers.values()))
    return Sample(seconds, cpu, commands, servers, others)


def _busy() -> float:
    """The CPU seconds of the whole machine so far, but for idle ones; 0 where there is no /proc."""
    try:
        counts = [int(count) for count in Path("/proc/stat").read_text().split("\n", 1)[0].split()[1:9]]
    except OSError:
        return 0.0
    return (sum(counts) - counts[3] - counts[4]) / _TICK


def _ended_children() -> float:
    times = os.times()
    return times.children_user + times.children_system


def cpu_seconds(pid: int) -> float:
    """What a process has used so far, in user and system mode; 0 where there is no /proc."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / _TICK


def seconds(samples: Sequence[Sample]) -> list[float]:
    """The wall-clock times."""
    return [each.seconds for each in samples]


def ratios(dividends: Sequence[Sample], divisors: Sequence[Sample]) -> list[float]:
    """Round by round, the one's time over the other's."""
    return [one.seconds / other.seconds for one, other in zip(dividends, divisors, strict=True)]


def quartiles(values: Sequence[float]) -> tuple[float, float]:
    """The first and the third; the extremes of less than four values."""
    if len(values) < 4:
        return min(values), max(values)
    first, _, third = statistics.quantiles(values, n=4, method="inclusive")
    return first, third


def bound(samples: Sequence[Sample], latency: float) -> str:
    """What kept the median run from being quicker, by who used the CPU: shares of one core."""
    typical = sorted(samples, key=lambda each: each.seconds)[len(samples) // 2]
    used = {"ours": typical.cpu, "its commands": typical.commands, **typical.servers, "other work": typical.others}
    shares = {name: each / typical.seconds for name, each in used.items()}
    shown = ", ".join(f"{name} {share:.2f}" for name, share in shares.items() if share >= 0.05)
    others, cores = typical.others / typical.seconds, os.cpu_count() or 1
    total = sum(shares.values()) - others
    if others >= 0.25 * cores:
        what = "other work on this machine"
    elif shares["ours"] >= 0.85:
        what = "our process, on one core"
    elif total >= 0.85 * cores:
        what = "all cores"
    elif latency:
        what = "latency"
    else:
        what = "waits for one another"
    return f"{what} ({shown})"
