"""The same actions as a Hypothesis state machine, which shrinks what it finds to the shortest story."""

import random
from dataclasses import replace

from doubles import Reenable, Variant
from hypothesis import note
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from prove.actions import BETWEEN, DEEDS, OUTAGES, Story
from prove.faults import Chance, Fault, Planned
from prove.world import HOMES
from pulumi_pinata.core.model import Adopt, Mode, OnDelete, OnLostKey

_VARIANTS = st.builds(
    Variant,
    reenable=st.sampled_from(Reenable),
    created_at_stays=st.booleans(),
    lag=st.integers(0, 3),
    listing=st.booleans(),
    auth_first=st.booleans(),
)
# Calls that wait for a lease are many: the first thirty reach the end of every way that does not.
_CHANCES = st.dictionaries(st.integers(1, 30), st.sampled_from(Fault), max_size=2).map(Planned)
_SECONDS = st.sampled_from([1.0, 8.0, 30.0, 120.0])


class Life(RuleBasedStateMachine):
    """One account, from its first declaration to the end."""

    story: Story

    @initialize(variant=_VARIANTS, escrow=st.booleans(), seed=st.integers(0, 3))
    def begin(self, variant: Variant, escrow: bool, seed: int) -> None:
        self.story = Story(random.Random(seed), variant, escrow=escrow)

    @rule(chance=_CHANCES)
    def up(self, chance: Chance) -> None:
        self._enabled()
        self.story.up(chance)
        self.story.together()

    @rule(first=_CHANCES, second=_CHANCES, delay=st.floats(0, 120), other=st.sampled_from(["same", "rotating", "off"]))
    def up_beside_a_rival(self, first: Chance, second: Chance, delay: float, other: str) -> None:
        self._enabled()
        want = self.story.want
        if other == "rotating":
            want = replace(want, trigger=f"rival-{delay}")
        if other == "off":
            want = replace(want, mode=Mode.DISABLED)
        self.story.up(first)
        self.story.rival(want, self.story.home, second, delay)
        self.story.together()

    @rule()
    def rotate(self) -> None:
        self.story.rotate()

    @rule()
    def move(self) -> None:
        self.story.move()

    @rule(home=st.sampled_from(HOMES))
    def relocate(self, home: object) -> None:
        self.story.relocate(next(found for found in HOMES if found == home))

    @rule(field=st.sampled_from(["PINATA_LLM_KEY", "OPENAI_API_KEY"]), team=st.sampled_from(["search", "ads"]))
    def change_the_small_things(self, field: str, team: str) -> None:
        self.story.declare(field=field, labels={"team": team})

    @rule(adopt=st.sampled_from(Adopt), lost=st.sampled_from(OnLostKey), delete=st.sampled_from(OnDelete))
    def change_policies(self, adopt: Adopt, lost: OnLostKey, delete: OnDelete) -> None:
        self.story.declare(adopt=adopt, on_lost_key=lost, on_delete=delete)

    @precondition(lambda self: self.story.want.mode is Mode.ENABLED)
    @rule(chance=_CHANCES)
    def destroy(self, chance: Chance) -> None:
        self.story.destroy(chance)
        self.story.together()

    @rule(chance=_CHANCES)
    def refresh(self, chance: Chance) -> None:
        self.story.refresh(chance)
        self.story.together()

    @rule(chance=_CHANCES)
    def import_from_escrow(self, chance: Chance) -> None:
        self.story.import_escrow(chance)
        self.story.together()

    @rule(deed=st.sampled_from(sorted(set(DEEDS) | set(BETWEEN))))
    def somebody_interferes(self, deed: str) -> None:
        self.story.person(deed)

    @rule(kind=st.sampled_from(sorted(OUTAGES)), seconds=_SECONDS)
    def something_goes_down(self, kind: str, seconds: float) -> None:
        self.story.outage(kind, seconds)

    @invariant()
    def the_promise_is_kept(self) -> None:
        self._assert_no_problem()

    def teardown(self) -> None:
        if hasattr(self, "story"):
            self.story.finish()
            self._assert_no_problem()

    def _enabled(self) -> None:
        if self.story.want.mode is Mode.DISABLED:
            self.story.world.tally.needed += 1
            self.story.declare(mode=Mode.ENABLED)

    def _assert_no_problem(self) -> None:
        problems = self.story.world.problems
        if problems:
            note("\n".join(self.story.world.events))
        assert [] == problems
