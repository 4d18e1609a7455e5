"""What is measured, one function a group of figures."""

from __future__ import annotations

import os
import statistics
import sys
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import child
import contenders
from figure import Aim, Figure
from pulumi_side import Project
from rig import Fleet, Rig
from sampling import Sample, bound, by_turns, ratios, sample, seconds

from pulumi_pinata.sandbox import exports

MINT = {"Pinata": 4, "Vault": 10}
"""The fewest calls that the protocol allows for a create: ARCHITECTURE.md, "The protocol of a mint"."""
_NAIVE = 10
_FEWEST = 100
"""Accounts: below, what is done once a pass counts for more than the accounts."""
_CEILING = {0.0: Aim(0.60), 0.05: Aim(0.85)}
_Say = Callable[[str], None]


@dataclass(frozen=True)
class Plan:
    """How much is measured: `sizes` of fleets (accounts, ascending), `latencies` (s), and so many `rounds`."""

    sizes: tuple[int, ...]
    latencies: tuple[float, ...]
    rounds: int
    pulumi: int
    """Accounts under Pulumi; 0: none."""
    folder: Path


class Bench:
    """The measurements on one rig; fleets are made and applied once."""

    def __init__(self, rig: Rig, plan: Plan, say: _Say) -> None:
        self._rig = rig
        self._plan = plan
        self._say = say
        self._fleets: dict[tuple[int, bool], Fleet] = {}

    def figures(self) -> Iterator[Figure]:
        """All of them, as they come."""
        yield from self.start()
        yield from self.first_apply()
        for size in self._plan.sizes:
            for latency in self._plan.latencies:
                yield from self.passes(size, latency)
        yield from self.memory()
        for latency in self._plan.latencies if self._plan.pulumi else ():
            yield from self.pulumi(latency)

    def passes(self, size: int, latency: float) -> Iterator[Figure]:
        """A fleet in order: ours, the ceiling, and one after another."""
        fleet = self._fleet(size, far=latency > 0)
        self._say(f"passes over {size} accounts at {latency * 1000:g} ms")
        self._rig.slow(latency)
        some = fleet.accounts[:_NAIVE]
        runners = {
            "ours": lambda: contenders.our_pass(fleet),
            "ceiling": lambda: contenders.ceiling(fleet),
            "sequential": lambda: contenders.sequential(fleet, some),
        }
        if not latency:  # with latency, it is bounded by that
            runners["bare sockets"] = lambda: contenders.bare_sockets(fleet)
        samples = by_turns(runners, self._plan.rounds, self._rig.pids)
        self._rig.slow(0)
        ours = samples["ours"]
        what = f"pass, {size} accounts, {latency * 1000:g} ms"
        limit = bound(ours, latency)
        took = statistics.median(seconds(ours))
        note = f"median {took:.2f} s, {took / size * 1000:.2f} ms an account"
        aim = _CEILING.get(latency) if size >= _FEWEST else None
        share = ratios(samples["ceiling"], ours)
        yield Figure(f"{what}: of the ceiling", "ratio", share, limit, note, aim, dict(samples))
        whole = [one * size / len(some) for one in ratios(samples["sequential"], ours)]
        note = f"the script's time is that of {len(some)} accounts, scaled by accounts"
        yield Figure(f"{what}: times a sequential script", "ratio", whole, limit, note, samples=dict(samples))
        if bare := samples.get("bare sockets"):
            note = "the ceiling against the same calls by http.client: what httpx and requests cost"
            value = ratios(bare, samples["ceiling"])
            title = f"{what}: the ceiling of bare sockets"
            yield Figure(title, "ratio", value, bound(bare, latency), note, samples=dict(samples))

    def first_apply(self) -> Iterator[Figure]:
        """Accounts that are off: calls against the protocol's own minimum, and time against the calls alone."""
        size, rig = self._plan.sizes[0], self._rig
        fleet = rig.fleet(f"first{size}", size, far=True)
        self._say(f"first apply of {size} accounts")
        planning: Counter[str] = Counter()
        rig.calls()
        contenders.first_apply(fleet, planned=lambda: planning.update(_sides(rig.calls())))
        applying = _sides(rig.calls())
        for side, fewest in MINT.items():
            limit = f"the protocol: {fewest} an account; the rest is the inventory's"
            note = f"{applying[side]} calls for {size} accounts; the plan before it took {planning[side]}"
            value = [applying[side] / (fewest * size)]
            yield Figure(f"first apply, {size} accounts: {side}'s calls ÷ the fewest", "ratio", value, limit, note)
        yield from self._first_apply_time(size)

    def _first_apply_time(self, size: int) -> Iterator[Figure]:
        ours: list[Sample] = []
        calls: list[Sample] = []
        for turn in range(min(3, self._plan.rounds)):
            fleet, other = (self._rig.fleet(f"{name}{size}-{turn}", size) for name in ("timed", "bare"))
            applied = contenders.Planned(fleet)
            ours.append(sample(applied.carry_out, self._rig.pids))
            applied.close()
            calls.append(sample(lambda other=other: contenders.bare_mints(other), self._rig.pids))  # type: ignore[misc]
        took = statistics.median(seconds(ours))
        note = f"median {took:.2f} s, {took / size * 1000:.1f} ms an account; the plan is not in it"
        yield Figure(
            f"first apply, {size} accounts: of the ceiling",
            "ratio",
            ratios(calls, ours),
            bound(ours, 0),
            note,
            samples={"ours": ours, "ceiling": calls},
        )

    def memory(self) -> Iterator[Figure]:
        """The most that `plan` has in use; `--help` shows what is there before any account."""
        largest = self._plan.sizes[-1]
        rounds = min(3, self._plan.rounds)
        bare = [child.peak("reconciler", ["plan", "--help"], dict(os.environ)) for _ in range(rounds)]
        yield Figure("memory, no account", "MiB", bare, "imports", "peak of `plan --help`")
        for size in self._plan.sizes:
            fleet = self._fleet(size, far=False)
            self._say(f"memory of a plan for {size} accounts")
            environ = exports.child_environment(os.environ, fleet.environ)
            found = [child.peak("reconciler", _plan_of(fleet), environ) for _ in range(rounds)]
            each = (statistics.median(found) - statistics.median(bare)) / size * 1024
            aim = Aim(120, at_most=True) if size == largest else None
            note = f"peak of `plan`: {each:.0f} KiB an account above `--help`"
            yield Figure(f"memory, {size} accounts", "MiB", found, "imports, then manifests and threads", note, aim)

    def start(self) -> Iterator[Figure]:
        """How long the command takes to say anything."""
        self._say("start-up")
        commands = {"ours": [*child.RECONCILER, "--help"], "python": [sys.executable, "-c", "pass"]}
        runners = {name: lambda each=each: _ended(each) for name, each in commands.items()}
        samples = by_turns(runners, 2 * self._plan.rounds, {})
        value = ratios(samples["ours"], samples["python"])
        note = f"python alone: {statistics.median(seconds(samples['python'])) * 1000:.0f} ms"
        yield Figure("start-up, --help ÷ python -c pass", "ratio", value, "imports", note, samples=dict(samples))
        took = [one * 1000 for one in seconds(samples["ours"])]
        yield Figure("start-up, --help", "ms", took, "imports")

    def pulumi(self, latency: float) -> Iterator[Figure]:
        """A pass of ours, and the command `plan`, against `pulumi refresh` of as many accounts."""
        size, far = self._plan.pulumi, latency > 0
        fleet = self._fleet(size, far=far)
        accounts = self._rig.accounts(f"{'far' if far else 'near'}-pulumi", size)
        environ = exports.child_environment(os.environ, self._rig.environ(accounts, far=far))
        project = Project(self._plan.folder / f"pulumi{latency}", accounts, environ)
        self._say(f"pulumi up of {size} accounts")
        project.up()
        self._say(f"pulumi refresh against a plan, {size} accounts at {latency * 1000:g} ms")
        ours = exports.child_environment(os.environ, fleet.environ)
        self._rig.slow(latency)
        with contenders.kept(fleet) as connections:
            runners = {
                "pass": lambda: contenders.next_pass(fleet, connections),
                "plan": lambda: _ended([*child.RECONCILER, *_plan_of(fleet)], ours),
                "refresh": project.refresh,
            }
            samples = by_turns(runners, self._plan.rounds, self._rig.pids)
        self._rig.slow(0)
        took = statistics.median(seconds(samples["refresh"]))
        note = f"refresh: median {took:.1f} s, {took / size * 1000:.0f} ms an account, with its start"
        limit = f"refresh: {bound(samples['refresh'], latency)}"
        for name, words in (("pass", "pass"), ("plan", "command `plan`")):
            value = ratios(samples["refresh"], samples[name])
            aim = Aim(10) if name == "pass" and size >= _FEWEST else None
            title = f"{words}, {size} accounts, {latency * 1000:g} ms: times `pulumi refresh`"
            yield Figure(title, "ratio", value, limit, note, aim, dict(samples))

    def _fleet(self, size: int, *, far: bool) -> Fleet:
        """A fleet in order."""
        if (size, far) not in self._fleets:
            self._say(f"switching on {size} accounts{' behind the proxy' if far else ''}")
            fleet = self._rig.fleet(f"{'far' if far else 'near'}{size}", size, far=far)
            contenders.first_apply(fleet)
            self._fleets[size, far] = fleet
        return self._fleets[size, far]


def _plan_of(fleet: Fleet) -> list[str]:
    return ["plan", "--rate", "0", str(fleet.folder)]


def _ended(command: list[str], environ: dict[str, str] | None = None) -> None:
    child.run(command, environ or dict(os.environ))


def _sides(calls: Counter[str]) -> Counter[str]:
    sides: Counter[str] = Counter()
    for call, count in calls.items():
        sides["Vault" if call.split()[1].startswith("/v1/") else "Pinata"] += count
    return sides
