"""Whatever commits and people do to a fleet: an apply brings it to what is declared, and no key is lost."""

from dataclasses import dataclass, field

from fake_fleet import FakeFleet, declared, manifest
from hypothesis import given, settings
from hypothesis import strategies as st

from pulumi_pinata.core.model import Location, Mode
from reconciler.apply import Ending
from reconciler.fleetplan import Kind
from reconciler.manifest.declared import Declared, Drift

NAMES = "abcd"


@dataclass
class Life:
    """What is declared now, and what each name was once declared as."""

    fleet: FakeFleet = field(default_factory=FakeFleet)
    wanted: dict[str, Declared] = field(default_factory=dict)
    theirs: set[str] = field(default_factory=set)

    def commit(self, name: str, mode: Mode | None, mount: str, prune: bool, suspend: bool, trigger: str) -> None:
        if mode is None:
            self.wanted.pop(name, None)
        else:
            inputs = {"vault": {"mount": mount}, "rotation_trigger": trigger, "adopt": "remint"}
            self.wanted[name] = declared(name, mode=mode, prune=prune, suspend=suspend, inputs=inputs)

    def meddle(self, name: str, how: str) -> None:
        pinata, account = self.fleet.pinata(name), self.wanted.get(name) or declared(name)
        vault, location = self.fleet.vault(account.settings), account.settings.vault.location
        entry = vault.entry(location)
        if how == "disable":
            pinata.disable()
        elif how == "remint":
            pinata.remint_out_of_band()
        elif how == "delete" and entry:
            vault.soft_delete(location)
        elif how == "wipe":
            vault.wipe(location)
        elif how == "unlabel" and entry:
            vault.unlabel(location)

    def apply(self) -> None:
        results = self.fleet.apply(manifest(*self.wanted.values(), declared("stays")))
        assert {Ending.DONE} >= {result.ending for result in results}, [str(result.error) for result in results]

    def check(self) -> None:
        plan = self.fleet.plan(manifest(*self.wanted.values(), declared("stays")))
        assert {Kind.NONE, Kind.SKIP} >= {row.kind for row in plan.rows}, [
            (r.name, r.kind, r.reason) for r in plan.rows
        ]
        for name, account in self.wanted.items():
            live = self.fleet.pinata(name).live
            if account.suspend or account.mode is Mode.OBSERVED:
                continue
            assert (account.mode is Mode.ENABLED) == (live is not None)
            if live:
                content = self.fleet.vault(account.settings).entry(
                    Location(account.settings.vault.location.mount, f"pinata/{name}")
                )
                assert content
                assert live in str(content.versions[content.current].data)


COMMITS = st.tuples(
    st.just("commit"),
    st.sampled_from(NAMES),
    st.sampled_from([None, *Mode]),
    st.sampled_from(["secret", "kv"]),
    st.booleans(),
    st.booleans(),
    st.sampled_from("12"),
)
MEDDLES = st.tuples(
    st.just("meddle"), st.sampled_from(NAMES), st.sampled_from(["disable", "remint", "delete", "wipe", "unlabel"])
)
APPLIES = st.tuples(st.just("apply"))


@settings(max_examples=150, deadline=None)
@given(st.lists(st.one_of(COMMITS, COMMITS, MEDDLES, APPLIES, APPLIES), max_size=25))
def test_an_apply_brings_a_fleet_to_what_is_declared_whatever_went_before(
    steps: list[tuple[object, ...]],
) -> None:
    life = Life()
    for verb, *arguments in steps:
        getattr(life, str(verb))(*arguments)
    for _ in range(3):  # a key is repaired, then moved, then rotated: each is announced by a plan of its own
        life.apply()
    life.check()


def test_drift_that_is_only_reported_stays() -> None:
    life = Life()
    life.wanted["a"] = declared("a", drift=Drift.REPORT)
    life.apply()
    life.meddle("a", "disable")
    life.apply()

    assert life.fleet.pinata("a").live is None
