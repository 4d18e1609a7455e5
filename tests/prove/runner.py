"""One proof run: a pure function of its seed."""

import random
from collections.abc import Callable
from dataclasses import dataclass, replace

from doubles import Reenable, Variant

from prove.actions import BETWEEN, DEEDS, OUTAGES, Story
from prove.faults import CRASHES, LOSSES, PAUSES, Chance, Fault, Random, none
from prove.world import HOMES, Process, Tally
from pulumi_pinata.core.model import Adopt, Mode, OnDelete, OnLostKey

_AT_ANY_TIME = tuple(deed for deed in DEEDS if deed not in BETWEEN)
# Most runs have one kind of trouble, where a problem is easiest to read; the rest have all at once.
_MOODS: tuple[tuple[Fault, ...], ...] = (
    tuple(CRASHES),
    tuple(CRASHES),
    tuple(LOSSES),
    (Fault.TRANSIENT, Fault.REFUSED, Fault.HOLLOW, Fault.FULL_WAIT),
    tuple(PAUSES),
    tuple(Fault),
    tuple(Fault),
    tuple(Fault),
)
_MOODS = tuple(tuple(sorted(mood, key=lambda fault: fault.name)) for mood in _MOODS)


@dataclass(frozen=True)
class Result:
    """What came of one run; `events` tell it line by line."""

    seed: int | str
    tally: Tally
    problems: tuple[str, ...]
    events: tuple[str, ...]

    @property
    def ok(self) -> bool:
        return not self.problems

    @property
    def crashes(self) -> int:
        return self.tally.crashes

    @property
    def mints(self) -> int:
        return self.tally.mints

    @property
    def lost_replies(self) -> int:
        return self.tally.lost_replies

    @property
    def lost(self) -> int:
        return self.tally.lost

    @property
    def leaked(self) -> int:
        return self.tally.leaked


def run(seed: int | str) -> Result:
    """Live through one random story and check the promise all the way."""
    rng = random.Random(seed)
    story = Story(rng, variant(rng), escrow=rng.random() < 0.3)
    mood = rng.choice(_MOODS)
    rate = rng.choice((0.1, 0.25, 0.5))
    weather = rng.choice((0.0, 0.0, 0.0, 0.01, 0.03))
    crowd = rng.choice((0, 0, 0, 1, 2))

    def chance() -> Chance:
        return Random(rng, rate, rng.choice((1, 1, 2, 3)), mood) if rng.random() < 0.9 else none

    story.world.weather = lambda dice, name: _weather(story, dice, weather)
    story.world.on_pause = lambda process: _while_away(story, rng, process)
    for _ in range(rng.randint(1, 5)):
        _step(story, rng, chance, crowd)
        story.together()
        if story.world.sim.stopped:
            break
    story.finish()
    world = story.world
    world.tally.runs, world.tally.crash_runs = 1, int(world.tally.crashes > 0)
    return Result(seed, world.tally, tuple(world.problems), tuple(world.events))


def variant(rng: random.Random) -> Variant:
    """Any of the answers that Pinata's documentation leaves open."""
    return Variant(
        reenable=rng.choice(tuple(Reenable)),
        created_at_stays=rng.random() < 0.3,
        lag=rng.choice((0, 0, 0, 1, 2, 3)),
        listing=rng.random() < 0.7,
        auth_first=rng.random() < 0.7,
    )


def _step(story: Story, rng: random.Random, chance: Callable[[], Chance], crowd: int) -> None:
    """Something is declared or done by hand, and one or more processes run at the same time."""
    if rng.random() < 0.3:
        story.person(rng.choice(tuple(DEEDS)))
    if rng.random() < 0.15:
        story.outage(rng.choice(tuple(OUTAGES)), rng.choice((1.0, 8.0, 30.0, 120.0)))
    story.earlier = story.want, story.home
    act = rng.choices(("up", "destroy", "refresh", "escrow"), (16, 2, 1, 1))[0]
    if act == "destroy":
        if story.want.mode is Mode.ENABLED:
            story.declare(on_delete=rng.choice(tuple(OnDelete)))
        story.destroy(chance())
    elif act == "refresh":
        story.refresh(chance())
    elif act == "escrow":
        story.import_escrow(chance())
    else:
        if story.want.mode is Mode.DISABLED:
            story.world.tally.needed += 1
            story.declare(mode=Mode.ENABLED)
        for _ in range(rng.choice((0, 1, 1, 2))):
            _declare(story, rng)
        story.up(chance(), delay=rng.choice((0.0, 1.0)))
    for _ in range(rng.randint(0, crowd)):
        _rival(story, rng, chance())


def _declare(story: Story, rng: random.Random) -> None:
    act = rng.choices(("rotate", "move", "relocate", "field", "labels", "owner", "policies"), (3, 3, 3, 1, 1, 1, 2))[0]
    match act:
        case "rotate":
            story.rotate()
        case "move":
            story.move()
        case "relocate":
            story.relocate(rng.choice([home for home in HOMES if home != story.home]))
        case "field":
            story.declare(field=rng.choice(("PINATA_LLM_KEY", "OPENAI_API_KEY")))
        case "labels":
            story.declare(labels={"team": rng.choice(("search", "ads"))})
        case "owner":
            if story.state is not None and story.state.want.owner == story.want.owner:
                story.declare(owner=rng.choice(("stack/prod", "stack/renamed")))
        case "policies":
            story.declare(
                adopt=rng.choice(tuple(Adopt)),
                on_lost_key=rng.choice(tuple(OnLostKey)),
                on_delete=rng.choice(tuple(OnDelete)),
            )


def _rival(story: Story, rng: random.Random, chance: Chance, delay: float | None = None) -> None:
    """Another run of the same stack from another checkout: newer, older, or told to switch off."""
    want, home = story.want, story.home
    match rng.choice(("same", "rotating", "disabling", "earlier", "earlier and rotating")):
        case "rotating":
            want = replace(want, mode=Mode.ENABLED, trigger=f"rival-{rng.random():.3f}")
        case "disabling":
            want = replace(want, mode=Mode.DISABLED)
        case "earlier" if story.home == story.earlier[1]:
            want = story.earlier[0]
        case "earlier and rotating" if story.home == story.earlier[1]:
            want = replace(story.earlier[0], mode=Mode.ENABLED, trigger=f"rival-{rng.random():.3f}")
    story.rival(want, home, chance, rng.uniform(0, 5) if delay is None else delay)


def _while_away(story: Story, rng: random.Random, process: Process) -> None:
    """While a process stands still for longer than its lease, somebody else may come."""
    if rng.random() < 0.8:
        _rival(story, rng, none, rng.uniform(0, 60))


def _weather(story: Story, dice: random.Random, rate: float) -> None:
    if dice.random() < rate:
        if dice.random() < 0.6:
            story.person(dice.choice(_AT_ANY_TIME))
        else:
            story.outage(dice.choice(tuple(OUTAGES)), dice.choice((1.0, 8.0, 30.0, 120.0)))
