"""The command: many runs on all cores, a table at the end, and one line that repeats whatever failed."""

import argparse
import os
import signal
import sys
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import FIRST_COMPLETED, Future, ProcessPoolExecutor, wait
from dataclasses import dataclass, field
from multiprocessing import get_context
from typing import NoReturn, TextIO

from prove.runner import run
from prove.sweep import CASES, sweep
from prove.world import Tally

CHUNK = 20
SHOWN = 10  # failures
EVERY = 5.0  # seconds between two lines where there is no terminal


class _Parser(argparse.ArgumentParser):
    def error(self, message: str) -> NoReturn:
        self.exit(2, f"script/prove: {message}\n")


@dataclass(frozen=True)
class Part:
    """What one task of a worker came to."""

    tally: Tally
    failures: tuple[tuple[int, str], ...] = ()
    swept: int = 0
    broken: tuple[str, ...] = ()


@dataclass
class Total:
    """All that has come in so far."""

    tally: Tally = field(default_factory=Tally)
    failures: list[tuple[int, str]] = field(default_factory=list)
    swept: int = 0
    broken: list[str] = field(default_factory=list)

    def add(self, part: Part) -> None:
        self.tally.add(part.tally)
        self.failures.extend(part.failures)
        self.swept += part.swept
        self.broken.extend(part.broken)

    @property
    def ok(self) -> bool:
        return not self.failures and not self.broken


def main(arguments: Sequence[str], out: TextIO = sys.stdout) -> int:
    """0: all held; 1: something did not, or it was stopped before its end; 2: wrong usage."""
    options = parse(arguments)
    if options.only is not None:
        return show(options.seed, options.only, out)
    started = time.monotonic()
    total, finished = Total(), True
    progress = Progress(options.runs, out, started)
    try:
        for part in _work(options):
            total.add(part)
            progress.show(total)
    except KeyboardInterrupt:
        finished = False
    progress.end()
    for line in report(total, options, time.monotonic() - started, finished):
        print(line, file=out)
    return 0 if total.ok and finished else 1


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """Exits with 2 and one line for anything that makes no sense."""
    parser = _Parser(prog="script/prove", description="Prove by random crashes that no key is ever lost.")
    parser.add_argument("--runs", type=int, default=2000, metavar="N", help="random runs (default 2000)")
    parser.add_argument("--seed", type=int, default=1, metavar="S", help="what the runs are made from (default 1)")
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, metavar="J", help="processes (default: cores)")
    parser.add_argument("--only", type=int, metavar="K", help="run number K of the seed alone, and tell it")
    options = parser.parse_args(arguments)
    for name in ("runs", "jobs"):
        if getattr(options, name) < 1:
            parser.error(f"--{name} must be 1 or more")
    if options.only is not None and options.only < 0:
        parser.error("--only must be 0 or more")
    return options


def show(seed: int, number: int, out: TextIO) -> int:
    """One run, told line by line."""
    result = run(name_of(seed, number))
    for line in result.events:
        print(line, file=out)
    print(f"\nrun {number} of seed {seed}: {'; '.join(result.problems) or 'all held'}", file=out)
    return 0 if result.ok else 1


def name_of(seed: int, number: int) -> str:
    return f"{seed}/{number}"


# --- the work --------------------------------------------------------------------------------------


def prove(seed: int, first: int, count: int) -> Part:
    """Some runs, in a worker."""
    tally, failures = Tally(), []
    for number in range(first, first + count):
        result = run(name_of(seed, number))
        tally.add(result.tally)
        failures.extend((number, problem) for problem in result.problems)
    return Part(tally, tuple(failures))


def sweep_part(scenario: int, variant: int) -> Part:
    """One case of the exhaustive sweep, in a worker."""
    size, problems = sweep(scenario, variant)
    return Part(Tally(), swept=size, broken=tuple(problems))


def _work(options: argparse.Namespace) -> Iterator[Part]:
    # Spawned, for the workers make threads; a Ctrl-C is the parent's to handle.
    pool = ProcessPoolExecutor(options.jobs, mp_context=get_context("spawn"), initializer=_deaf)
    try:
        todo: set[Future[Part]] = {pool.submit(sweep_part, *case) for case in CASES}
        for first in range(0, options.runs, CHUNK):
            todo.add(pool.submit(prove, options.seed, first, min(CHUNK, options.runs - first)))
        while todo:
            done, todo = wait(todo, timeout=1.0, return_when=FIRST_COMPLETED)
            for future in done:
                yield future.result()
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _deaf() -> None:
    signal.signal(signal.SIGINT, signal.SIG_IGN)


# --- telling ---------------------------------------------------------------------------------------


class Progress:
    """A bar on a terminal, elsewhere a line every few seconds."""

    def __init__(self, runs: int, out: TextIO, started: float) -> None:
        self._runs, self._out, self._started = runs, out, started
        self._terminal = out.isatty()
        self._next = started

    def show(self, total: Total) -> None:
        now = time.monotonic()
        if now < self._next:
            return
        self._next = now + (0.2 if self._terminal else EVERY)
        seconds, done = now - self._started, total.tally.runs
        rate = done / seconds if seconds else 0.0
        left = f"{(self._runs - done) / rate:.0f} s left" if rate else "starting"
        wrong = len(total.failures) + len(total.broken)
        line = f"{done} of {self._runs} runs, {rate:.0f}/s, {left}; sweep {total.swept}; problems {wrong}"
        if self._terminal:
            bar = "#" * (24 * done // self._runs)
            print(f"\r[{bar:<24}] {line}\x1b[K", end="", file=self._out, flush=True)
        else:
            print(line, file=self._out, flush=True)

    def end(self) -> None:
        if self._terminal:
            print("\r\x1b[K", end="", file=self._out, flush=True)


def report(total: Total, options: argparse.Namespace, seconds: float, finished: bool) -> list[str]:
    """The table, and how to repeat what failed."""
    tally = total.tally
    each = f"{tally.mints / tally.convergences:.2f}" if tally.convergences else "-"
    bound = f"{tally.lost}" if tally.lost or not tally.runs else f"0   (95 % upper bound {3 / tally.runs:.1e} a run)"
    rows = [
        ("runs", f"{tally.runs}" + ("" if finished else f"   (stopped; {options.runs} were asked for)")),
        ("runs with a crash", tally.crash_runs),
        ("processes, port calls", f"{tally.processes}, {tally.calls}"),
        ("crashes", tally.crashes),
        ("lost replies, late effects", f"{tally.lost_replies}, {tally.late_effects}"),
        ("other errors of calls, outages", f"{tally.errors}, {tally.outages}"),
        ("pauses past the lease", tally.pauses),
        ("rivals", tally.rivals),
        ("deeds of people", tally.people),
        ("mints", tally.mints),
        ("mints per convergence", each),
        ("enables that landed past the lease", tally.stale_enables),
        ("runs that ended beyond the stated limits", tally.beyond),
        ("intents left open", tally.left_open),
        ("keys lost", bound),
        ("secrets leaked", tally.leaked),
        ("exhaustive sweep, broken runs", total.swept),
        ("seconds", f"{seconds:.0f}   ({options.jobs} processes)"),
    ]
    width = max(len(name) for name, _ in rows)
    lines = [f"{name:<{width}}  {value}" for name, value in rows]
    for number, problem in sorted(total.failures)[:SHOWN]:
        lines += [f"FAILED: {problem}", f"    script/prove --seed {options.seed} --only {number}"]
    lines += [f"FAILED in the sweep: {problem[:300]}" for problem in total.broken[:SHOWN]]
    hidden = max(0, len(total.failures) - SHOWN) + max(0, len(total.broken) - SHOWN)
    return [*lines, f"and {hidden} more"] if hidden else lines
