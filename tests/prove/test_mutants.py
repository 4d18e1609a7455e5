"""The proof can fail: five ways to get the protocol wrong, and each is found within a bounded number of runs."""

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from prove.runner import run
from prove.world import Home, Process
from pulumi_pinata.core import converge, mint, store
from pulumi_pinata.core.actions import Outcome
from pulumi_pinata.core.close import conclude
from pulumi_pinata.core.errors import Ambiguous, Conflict
from pulumi_pinata.core.intent import Hold
from pulumi_pinata.core.model import Content, Minted, Record, Status
from pulumi_pinata.core.ports import PinataApi, Ports

SEEDS = 400


def _skip_the_intent(patch: pytest.MonkeyPatch) -> None:
    written = Hold._put

    def put(self: Hold, record: Record) -> None:
        if record.open:
            self.record, self.touched = record, self.ports.clock.monotonic()
        else:
            written(self, record)

    patch.setattr(Hold, "_put", put)


def _write_the_key_after_closing(patch: pytest.MonkeyPatch) -> None:
    late: list[tuple[Hold, Content, int]] = []

    def put_off(hold: Hold, content: Content, cas: int) -> int:
        late.append((hold, content, cas))
        return cas + 1

    def close_then_write(hold: Hold, minted: Minted, status: Status) -> Outcome:
        hold.close(minted)
        store.store_key(*late.pop())
        return conclude(hold, minted, status)

    patch.setattr(mint, "store_key", put_off)
    patch.setattr(mint, "conclude", close_then_write)


def _drop_the_read_back(patch: pytest.MonkeyPatch) -> None:
    careful = store._store_once

    def trusting(hold: Hold, content: Content, cas: int) -> int:
        desired = hold.desired
        try:
            return hold.ports.store.write(desired.location, content, base_url=desired.base_url, cas=cas)
        except (Ambiguous, Conflict):
            return careful(hold, content, cas)

    patch.setattr(store, "_store_once", trusting)


class _Resending:
    def __init__(self, pinata: PinataApi) -> None:
        self._pinata = pinata

    def __getattr__(self, name: str) -> Any:
        return getattr(self._pinata, name)

    def enable(self) -> Any:
        try:
            return self._pinata.enable()
        except Ambiguous:
            return self._pinata.enable()


def _send_enable_again(patch: pytest.MonkeyPatch) -> None:
    plain = Process.ports

    def resending(self: Process, home: Home) -> Ports:
        ports = plain(self, home)
        return replace(ports, pinata=_Resending(ports.pinata))

    patch.setattr(Process, "ports", resending)


def _compare_wall_clocks(patch: pytest.MonkeyPatch) -> None:
    written, stamps = Hold._put, {}

    def put(self: Hold, record: Record) -> None:
        written(self, record)
        stamps[self.record.version] = self.ports.clock.monotonic()

    def is_abandoned(account: str, version: int, ports: Ports) -> bool:
        if ports.clock.monotonic() - stamps.get(version, 0.0) > ports.lease:
            return True
        ports.clock.sleep(ports.lease / 16)
        return False

    patch.setattr(Hold, "_put", put)
    patch.setattr(converge, "is_abandoned", is_abandoned)


MUTANTS: dict[str, Callable[[pytest.MonkeyPatch], None]] = {
    "the intent is skipped": _skip_the_intent,
    "the key is written after closing": _write_the_key_after_closing,
    "the key is not read back": _drop_the_read_back,
    "enable is sent again": _send_enable_again,
    "wall clocks are compared": _compare_wall_clocks,
}


def first_caught(mutate: Callable[[pytest.MonkeyPatch], None]) -> int | None:
    """After how many runs the mutant shows a problem that the protocol itself does not have."""
    for number in range(SEEDS):
        with pytest.MonkeyPatch.context() as patch:
            mutate(patch)
            mutated = run(f"mutant/{number}")
        if not mutated.ok and run(f"mutant/{number}").ok:
            return number + 1
    return None


@pytest.mark.parametrize("mutate", MUTANTS.values(), ids=MUTANTS)
def test_a_mutant_of_the_protocol_is_caught(mutate: Callable[[pytest.MonkeyPatch], None]) -> None:
    assert first_caught(mutate) is not None, f"it survived {SEEDS} runs"


if __name__ == "__main__":
    for told, wrong in MUTANTS.items():
        print(f"{told}: {first_caught(wrong)}")
