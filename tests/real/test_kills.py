"""A client killed by SIGKILL, anywhere: the promise holds at that instant, and the next run repairs what is left."""

import random
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from stage import LEASE, OFF, ON, STATUS, Gate, Stage, alongside, any_call, together, wait_until

Stages = Callable[[], Stage]

# What has happened before, what the killed run wants, and the mints that takes without any kill.
JOBS: dict[str, tuple[bool, str, dict[str, Any], int]] = {
    "create": (False, "enabled", {}, 1),
    "rotation": (True, "enabled", {"rotation_trigger": "2"}, 2),
    "destroy": (True, "disabled", {}, 1),
}


def prepared(stages: Stages, job: str) -> Stage:
    stage = stages()
    if JOBS[job][0]:
        assert "error" not in stage.converge()
    stage.clear()
    return stage


def calls_of(stages: Stages, job: str) -> list[tuple[str, str]]:
    """The calls of an undisturbed run, in order over both services."""
    stage = prepared(stages, job)
    seen: list[tuple[str, str]] = []

    def note(method: str, path: str) -> None:
        seen.append((method, path))

    stage.front.fault = stage.proxy.fault = note
    _, mode, inputs, _ = JOBS[job]
    assert "error" not in stage.converge(mode, **inputs)
    return seen


@alongside
def test_a_client_killed_around_any_write_is_repaired_by_the_next_run(stages: Stages) -> None:
    # A write may have left the machine or not when its sender dies, and an enable may arrive late. A kill around a
    # read leaves what one around the write before it does.
    cases = [
        (job, number, fate)
        for job in JOBS
        for number, (method, path) in enumerate(calls_of(stages, job), 1)
        if method != "GET" and "capabilities" not in path and "chat" not in path
        for fate in ("arrives", "is lost", *(("is late",) if path.endswith("/enable") else ()))
    ]

    def play(case: tuple[str, int, str]) -> None:
        job, number, fate = case
        _, mode, inputs, needed = JOBS[job]
        stage = prepared(stages, job)
        gate = Gate(any_call, number)
        stage.front.fault = stage.proxy.fault = gate
        killed = stage.start(mode, **inputs)
        gate.await_call()
        killed.kill()
        assert stage.promise_kept()
        if fate != "is late":
            gate.open(None if fate == "arrives" else 503)
        seen = stage.front.calls.count(" ".join(STATUS))
        with ThreadPoolExecutor(1) as pool:
            following = pool.submit(stage.converge, mode, **inputs)
            wait_until(lambda: stage.front.calls.count(" ".join(STATUS)) > seen, "a look by the next run")
            gate.open(None if fate != "is lost" else 503)
            result = following.result()

        assert (OFF if mode == "disabled" else ON) == stage.settled(), result
        assert stage.mints <= needed + (1 if mode == "enabled" else 0)

    together(cases, play, workers=16)


@alongside
def test_accounts_whose_clients_are_killed_twice_at_random_instants_end_as_declared(stages: Stages) -> None:
    def play(seed: int) -> None:
        dice = random.Random(seed)
        job = dice.choice(["create", "rotation", "rotation", "destroy"])
        _, mode, inputs, needed = JOBS[job]
        stage = prepared(stages, job)
        # The first run is short; the second one begins with a lease's wait for the first.
        for span in (0.15, LEASE + 0.6):
            client = stage.start(mode, gate=True, **inputs)
            client.await_ready()
            client.go()
            time.sleep(dice.uniform(0, span))
            client.kill()
            assert stage.promise_kept()

        result = stage.converge(mode, **inputs)

        assert (OFF if mode == "disabled" else ON) == stage.settled(), result
        assert stage.mints <= needed + (2 if mode == "enabled" else 0)

    together(range(10), play, workers=10)
