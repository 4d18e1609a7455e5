"""Signals that ask: they wait until a fresh key is safe; and a process that was stopped for long does no harm."""

import signal
import threading
from collections.abc import Callable
from typing import Any

from provider_process import ProviderProcess
from stage import DISABLE, ENABLE, LEASE, OFF, ON, Gate, Stage, alongside, call, together, wait_until

from pulumi_pinata._provider import InferenceProvider

Stages = Callable[[], Stage]


def first_mint_of(stage: Stage, held: str) -> tuple[Gate, Callable[[Gate], None]]:
    """A gate at one of the calls between mint and proof of storage, and how to put it up."""
    if held == "enable":
        return Gate(call(*ENABLE)), lambda gate: setattr(stage.front, "fault", gate)
    method = "POST" if held == "store" else "GET"
    return Gate(call(method, stage.data_path)), lambda gate: setattr(stage.proxy, "fault", gate)


@alongside
def test_a_client_asked_to_end_while_a_key_is_in_memory_stores_it_first_and_then_ends_by_that_signal(
    stages: Stages,
) -> None:
    cases = [(number, held) for number in (signal.SIGTERM, signal.SIGINT) for held in ("enable", "store", "read back")]

    def play(case: tuple[signal.Signals, str]) -> None:
        number, held = case
        stage = stages()
        gate, put_up = first_mint_of(stage, held)
        put_up(gate)
        client = stage.start()
        gate.await_call()
        client.send(number)
        client.send(number)  # impatience changes nothing
        gate.open()

        # PATIENCE bounds the wait: P2 to P4 are at most one timeout for the call and two for the tries.
        assert -number == client.wait()
        assert stage.key_safe()
        stage.clear()
        assert 1 == stage.converge()["version"]
        assert (ON, 1) == (stage.settled(), stage.mints)

    together(cases, play)


@alongside
def test_a_client_asked_to_end_while_vault_refuses_its_key_revokes_the_key_first(stages: Stages) -> None:
    def play(number: signal.Signals) -> None:
        stage = stages()
        gate = Gate(call(*ENABLE))
        stage.front.fault = gate
        stage.proxy.fault = lambda method, path: 403 if (method, path) == ("POST", stage.data_path) else None
        client = stage.start()
        gate.await_call()
        client.send(number)
        gate.open()

        assert -number == client.wait()
        assert (OFF, 1) == (stage.settled(), stage.mints)

    together([signal.SIGTERM, signal.SIGINT], play)


@alongside
def test_a_client_asked_to_end_before_the_mint_ends_at_once_and_mints_nothing(stages: Stages) -> None:
    def play(number: signal.Signals) -> None:
        stage = stages()
        gate = Gate(lambda method, path: "capabilities" in path)
        stage.proxy.fault = gate
        client = stage.start()
        gate.await_call()
        client.send(number)

        assert -number == client.wait()
        gate.open()
        assert (0, None) == (stage.mints, stage.held_record())

    together([signal.SIGTERM, signal.SIGINT], play)


@alongside
def test_a_provider_interrupted_in_mid_mint_finishes_it(stages: Stages) -> None:
    stage = stages()
    gate = Gate(call(*ENABLE))
    stage.front.fault = gate
    with ProviderProcess(stage.env, InferenceProvider()) as provider:
        inputs, failures = provider.check(stage.inputs())
        assert {} == failures
        told: list[Any] = []
        creating = threading.Thread(target=lambda: told.append(_answer(lambda: provider.create(inputs))))
        creating.start()
        gate.await_call()
        provider._process.send_signal(signal.SIGINT)
        gate.open()
        creating.join()
        wait_until(lambda: provider._process.poll() is not None, "an end of the interrupted provider")

    assert (ON, 1) == (stage.settled(), stage.mints), told


def _answer(create: Callable[[], Any]) -> Any:
    try:
        return create()
    except Exception as error:  # the connection dies with the process: what was done is what counts
        return error


def outlived(stages: Stages, stop_at: str, rival: dict[str, Any]) -> Stage:
    """A client stopped at `stop_at`, whose work a rival takes over and ends before it goes on."""
    stage = stages()
    if stop_at == "before the enable":
        gate, at = Gate(call("POST", stage.record_path)), stage.proxy
    elif stop_at == "before the disable":
        assert "error" not in stage.converge()
        gate, at = Gate(call("POST", stage.record_path)), stage.proxy
    elif stop_at == "before the store":
        gate, at = Gate(call(*ENABLE)), stage.front
    else:
        gate, at = Gate(call("POST", stage.data_path)), stage.proxy
    at.fault = gate
    wanted = {"rotation_trigger": "stopped"} if stop_at == "before the disable" else {}
    stopped = stage.start(**wanted)
    gate.await_call()
    stopped.freeze()
    gate.open()
    stage.clear()

    taken_over = stage.converge(**rival)
    assert "error" not in taken_over
    rivals_key, mints = stage.vault_key(), stage.mints
    assert ON == stage.settled()
    stage.clear()
    stopped.thaw()
    result = stopped.result()

    assert (ON, rivals_key, mints) == (stage.settled(), stage.vault_key(), stage.mints), result
    assert taken_over["fingerprint"] == result.get("fingerprint"), result
    writes = [c for c in stage.front.calls if c in (" ".join(ENABLE), " ".join(DISABLE))]
    assert ([], []) == (writes, [c for c in stage.proxy.calls if c == f"POST {stage.data_path}"])
    return stage


@alongside
def test_a_client_stopped_for_longer_than_a_lease_writes_and_revokes_nothing_when_it_goes_on(stages: Stages) -> None:
    def play(stop_at: str) -> None:
        outlived(stages, stop_at, {"rotation_trigger": "stopped"} if stop_at == "before the disable" else {})

    together(["before the enable", "before the disable", "before the store", "after the store"], play)


@alongside
def test_a_stopped_client_is_not_robbed_by_another_owner(stages: Stages) -> None:
    stage = stages()
    gate = Gate(call(*ENABLE))
    stage.front.fault = gate
    stopped = stage.start()
    gate.await_call()
    stopped.freeze()
    gate.open()

    rival = stage.converge(owner=f"real:rival/{stage.name}")
    stopped.thaw()

    assert "Refused" == rival["error"]
    assert "error" not in stopped.result()
    assert (ON, 1) == (stage.settled(), stage.mints)


@alongside
def test_a_client_stopped_for_less_than_a_lease_finishes_what_it_began(stages: Stages) -> None:
    stage = stages()
    gate = Gate(call(*ENABLE))
    stage.front.fault = gate
    stopped = stage.start()
    gate.await_call()
    stopped.freeze()
    gate.open()
    waiting = stage.start()
    waited_for = f"GET {stage.record_path}"
    wait_until(lambda: sum(c.startswith(waited_for) for c in stage.proxy.calls) >= 4, "a rival that looks again")
    stopped.thaw()

    results = [stopped.result(), waiting.result()]

    assert [1, 1] == [result.get("version") for result in results]
    assert (ON, 1) == (stage.settled(), stage.mints)
    assert LEASE > results[1]["seconds"]
