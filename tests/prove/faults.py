"""What can go wrong at one call of a port, and who decides when it does."""

import random
from collections.abc import Mapping
from enum import Enum
from typing import Protocol


class Fault(Enum):
    """`FLIGHT` and `LATE` let the effect land after the process was killed, or gave the reply up, within the grace."""

    CRASH_BEFORE = "killed before"
    CRASH_AFTER = "killed after"
    CRASH_FLIGHT = "killed while under way"
    TRANSIENT = "fails with Transient"
    REFUSED = "fails with Refused"
    LOST_BEFORE = "lost before its effect"
    LOST_AFTER = "reply lost"
    LATE = "reply lost, effect late"
    PAUSE_BEFORE = "paused past the lease before"
    PAUSE_AFTER = "paused past the lease after"
    HOLLOW = "confirmed but not kept"
    FULL_WAIT = "takes the whole timeout"


CRASHES = frozenset({Fault.CRASH_BEFORE, Fault.CRASH_AFTER, Fault.CRASH_FLIGHT})
LOSSES = frozenset({Fault.LOST_BEFORE, Fault.LOST_AFTER, Fault.LATE})
PAUSES = frozenset({Fault.PAUSE_BEFORE, Fault.PAUSE_AFTER})

WRITES = frozenset(
    f"store.{name}" for name in ("write", "label", "undelete", "soft_delete", "destroy", "put_record")
) | {"pinata.enable", "pinata.disable"}
NEVER_RAISE = frozenset({"pinata.marker", "pinata.probe"})


def possible(fault: Fault, name: str) -> bool:
    """Whether the contract of the port `name` (core/ports.py) has room for `fault`."""
    if fault is Fault.HOLLOW:
        return name == "store.write"
    if fault in LOSSES or fault is Fault.CRASH_FLIGHT:
        return name in WRITES
    return not (name in NEVER_RAISE and fault in (Fault.TRANSIENT, Fault.REFUSED))


class Chance(Protocol):
    """Decides what goes wrong at the `number`-th call of a process."""

    def __call__(self, name: str, number: int) -> Fault | None: ...


def none(name: str, number: int) -> Fault | None:
    """Nothing goes wrong."""
    return None


class Planned:
    """Faults at calls that are told beforehand."""

    def __init__(self, plan: Mapping[int, Fault]) -> None:
        self._plan = plan

    def __call__(self, name: str, number: int) -> Fault | None:
        fault = self._plan.get(number)
        return fault if fault and possible(fault, name) else None


class Random:
    """Faults by chance, at writes more often than at reads, at most `most` of them."""

    def __init__(self, rng: random.Random, rate: float, most: int, kinds: tuple[Fault, ...]) -> None:
        self._rng, self._rate, self._left, self._kinds = rng, rate, most, kinds

    def __call__(self, name: str, number: int) -> Fault | None:
        rate = self._rate * (1.0 if name in WRITES else 0.2)
        if not self._left or self._rng.random() >= rate:
            return None
        fault = self._rng.choice(self._kinds)
        if not possible(fault, name):
            return None
        self._left -= 1
        return fault
