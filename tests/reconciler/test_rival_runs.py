"""Runs by older and newer commits in the middle of one another, at any call: in the end the newest one holds."""

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

import pytest
from doubles import Gate
from fake_fleet import NOW, FakeFleet, declared, manifest

from pulumi_pinata.core.errors import PinataError
from pulumi_pinata.core.model import Mode
from reconciler import keeper
from reconciler.apply import apply
from reconciler.ledger import Ledger
from reconciler.manifest.declared import Manifest

NAMES = "ab"
SCENARIOS = 300


@dataclass
class Rivals:
    """At the steps that are `due`, another run is made from start to end in the middle of the one that is under way."""

    fleet: FakeFleet = field(default_factory=FakeFleet)
    due: dict[int, Callable[[], object]] = field(default_factory=dict)
    steps: int = 0

    def __post_init__(self) -> None:
        self.fleet.gates = {name: Gate() for name in NAMES}
        for gate in self.fleet.gates.values():
            gate.after_each = self.step
        self.fleet.opening = lambda name: self.step()
        self.documents = self.fleet.documents(declared("a").settings)
        self.documents.before_write = self.step

    def step(self) -> None:
        self.steps += 1
        if run := self.due.pop(self.steps, None):
            run()
        self.documents.before_write = self.step

    def run(self, wanted: Manifest) -> None:
        plan = self.fleet.plan(wanted, workers=1)
        try:
            apply(plan, self.fleet, workers=1, now=NOW)
        except PinataError:
            return  # the inventory was changed too often: nothing was done


def commit(dice: random.Random, before: Manifest, number: int) -> Manifest:
    accounts = {each.name: each for each in before.accounts}
    for name in dice.sample(NAMES, dice.randint(1, 2)):
        accounts.pop(name, None)
        if mode := dice.choice([None, Mode.ENABLED, Mode.DISABLED]):
            inputs = {"rotation_trigger": dice.choice(["0", str(number)])}
            accounts[name] = declared(name, prune=True, mode=mode, inputs=inputs)
    return manifest(*accounts.values())


@pytest.mark.parametrize("start", range(0, SCENARIOS, 50))
def test_whatever_runs_meet_the_newest_commit_holds_in_the_end(start: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(keeper, "_FRESH", -1.0)
    for seed in range(start, start + 50):
        dice, rivals = random.Random(seed), Rivals()
        commits = [manifest(*(declared(name, prune=True) for name in NAMES), declared("stays"))]
        for number in (1, 2):
            commits.append(commit(dice, commits[-1], number))
        rivals.run(commits[0])
        if dice.random() < 0.5:
            rivals.fleet.pinata(dice.choice(NAMES)).disable()
        for _ in range(dice.randint(1, 3)):
            rivals.due[rivals.steps + dice.randint(1, 60)] = partial(rivals.run, dice.choice(commits))

        rivals.run(dice.choice(commits))
        rivals.due.clear()
        for _ in range(2):
            rivals.run(commits[-1])

        on = {each.name for each in commits[-1].accounts if each.mode is Mode.ENABLED}
        fleet, known = rivals.fleet, [entry.name for _, entry in Ledger.read(commits[-1], rivals.fleet).all()]
        assert on == {name for name in (*NAMES, "stays") if fleet.pinata(name).live}, (seed, known)
        assert {name: fleet.pinata(name).live for name in on} == {name: fleet.key(name) for name in on}, seed
