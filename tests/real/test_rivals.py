"""Several clients at once on one account: one key wins, Vault holds it, and the losers end cleanly."""

import random
from collections.abc import Callable
from typing import Any

from stage import CALM, ENABLE, LEASE, OFF, ON, STATUS, Gate, Stage, alongside, call, storm, together, wait_until

Stages = Callable[[], Stage]


DAY = 86400.0


def check_storm(stage: Stage, results: list[dict[str, Any]]) -> None:
    """One live key, in Vault; whoever succeeded speaks of that key, whoever did not says why."""
    assert (ON, 1) == (stage.settled(), stage.mints), results
    winners = {result["fingerprint"] for result in results if "error" not in result}
    assert {stage.vault_data()["PINATA_LLM_KEY_FINGERPRINT"]} == winners
    assert {"Refused", "Conflict"} >= {result["error"] for result in results if "error" in result}, results


@alongside
def test_clients_of_one_owner_started_at_once_mint_one_key_and_all_come_to_it(stages: Stages) -> None:
    def play(number: int) -> None:
        stage = stages()
        results = storm([stage.start(gate=True, timeout=CALM) for _ in range(number)], random.Random(number), 0.0)
        check_storm(stage, results)
        assert [] == [result for result in results if "error" in result]

    together([2, 8], play, workers=1)


@alongside
def test_of_owners_that_start_at_once_one_wins_and_the_others_are_refused(stages: Stages) -> None:
    def play(case: tuple[int, str]) -> None:
        number, paths = case
        stage = stages()
        places = [stage.path if paths == "one path" else f"{stage.path}/{n}" for n in range(number)]
        owners = [f"real:{n}/{stage.name}" for n in range(number)]
        clients = [
            stage.start(gate=True, timeout=CALM, owner=owner, vault={"path": place})
            for owner, place in zip(owners, places, strict=True)
        ]
        results = storm(clients, random.Random(number), 0.0)
        errors = [result.get("error") for result in results]
        assert (1, number - 1) == (errors.count(None), errors.count("Refused")), results
        assert (ON, 1) == (stage.settled(places[errors.index(None)]), stage.mints)

    together([(2, "one path"), (8, "paths of their own")], play, workers=1)


@alongside
def test_storms_of_a_fixed_seed_each_end_with_one_mint(stages: Stages) -> None:
    dice = random.Random(20261124)

    def play(case: tuple[int, int, float]) -> None:
        seed, number, spread = case
        stage = stages()
        check_storm(
            stage,
            storm([stage.start(gate=True, timeout=CALM) for _ in range(number)], random.Random(seed), spread=spread),
        )

    together([(seed, dice.randint(2, 4), dice.choice([0.0, 0.05, 0.3])) for seed in range(5)], play, workers=2)


@alongside
def test_storms_of_rotations_to_one_trigger_mint_once_more(stages: Stages) -> None:
    def play(seed: int) -> None:
        stage = stages()
        assert "error" not in stage.converge()
        results = storm(
            [stage.start(gate=True, timeout=CALM, rotation_trigger="2") for _ in range(4)],
            random.Random(seed),
            spread=0.1,
        )
        assert (ON, 2) == (stage.settled(), stage.mints), results
        assert [] == [result for result in results if "error" in result]

    together(range(2), play, workers=2)


@alongside
def test_storms_with_a_killed_winner_mint_at_most_once_more(stages: Stages) -> None:
    def play(seed: int) -> None:
        stage = stages()
        # Ready beforehand: held for long, the winner's enable would count as lost.
        rivals = [stage.start(gate=True) for _ in range(3)]
        for rival in rivals:
            rival.await_ready()
        gate = Gate(call(*ENABLE))
        stage.front.fault = gate
        winner = stage.start()
        gate.await_call()
        winner.kill()
        gate.open(None if seed % 2 else 503)
        results = storm(rivals, random.Random(seed), spread=0.2)
        assert (ON, 1 + seed % 2) == (stage.settled(), stage.mints), results
        assert [] == [result for result in results if "error" in result]

    together(range(2), play)


@alongside
def test_a_client_that_is_slow_to_look_replaces_no_key_that_was_stored_while_it_looked(stages: Stages) -> None:
    def play(case: tuple[str, str]) -> None:
        inference, held = case
        stage = stages()
        wanted = {}
        if inference == "on":
            assert "error" not in stage.converge(timeout=CALM)
            wanted = {"rotation_trigger": "2"}
        before = stage.mints
        gate = Gate(call(*STATUS) if held == "status" else call("GET", getattr(stage, held)))
        stage.front.fault = stage.proxy.fault = gate
        slow = stage.start(timeout=20, **wanted)
        gate.await_call()
        quick = stage.converge(timeout=CALM, **wanted)
        gate.open()
        result = slow.result()
        assert (ON, before + 1) == (stage.settled(), stage.mints), result
        assert quick["fingerprint"] == result["fingerprint"]

    looks = ("status", "metadata_path", "record_path")
    together([(inference, held) for inference in ("off", "on") for held in looks], play, workers=3)


@alongside
def test_a_client_that_is_slow_to_look_waits_for_one_that_began_while_it_looked(stages: Stages) -> None:
    def play(held: str) -> None:
        stage = stages()
        look = Gate(call(*STATUS) if held == "status" else call("GET", getattr(stage, held)))
        stage.front.fault = stage.proxy.fault = look
        slow = stage.start(timeout=20)
        look.await_call()
        store = Gate(call("POST", stage.data_path))
        stage.front.fault = stage.proxy.fault = store
        quick = stage.start(timeout=20)
        store.await_call()
        looks = len(stage.proxy.calls)
        look.open()
        wait_until(lambda: slow.ended or len(stage.proxy.calls) > looks + 2, "a look at what is going on")
        store.open()
        results = [slow.result(), quick.result()]
        assert (ON, 1) == (stage.settled(), stage.mints), results
        assert [1, 1] == [result.get("version") for result in results], results

    together(["status", "metadata_path", "record_path"], play)


@alongside
def test_owners_that_each_may_take_over_leave_one_live_key_where_the_record_says(stages: Stages) -> None:
    def play(seed: int) -> None:
        stage = stages()
        names = ["a", "b", "c"]
        results = storm(
            [
                stage.start(
                    gate=True,
                    timeout=CALM,
                    owner=f"real:{name}/{stage.name}",
                    vault={"path": f"{stage.path}/{name}"},
                    adopt="remint",
                )
                for name in names
            ],
            random.Random(seed),
            spread=0.2,
        )
        record = stage.held_record()
        assert record is not None
        assert ON == stage.settled(record["location"]["path"]), results
        assert len(names) >= stage.mints

    together(range(2), play, workers=2)


@alongside
def test_an_enable_and_a_disable_at_once_end_in_one_of_the_two(stages: Stages) -> None:
    def play(seed: int) -> None:
        stage = stages()
        if seed % 2:
            assert "error" not in stage.converge()
        results = storm(
            [stage.start(mode, gate=True, timeout=CALM, rotation_trigger="2") for mode in ("enabled", "disabled")],
            random.Random(seed),
            spread=0.1,
        )
        assert [] == [result for result in results if "error" in result]
        assert stage.settled() in (ON, OFF, ("off", "none")), results

    together(range(4), play, workers=2)


@alongside
def test_clients_whose_wall_clocks_are_a_day_apart_mint_one_key(stages: Stages) -> None:
    def play(seed: int) -> None:
        stage = stages()
        clients = [stage.start(gate=True, timeout=CALM, clock_shift=shift) for shift in (-DAY, 0.0, DAY)]
        check_storm(stage, storm(clients, random.Random(seed), spread=0.0))

    together(range(1), play, workers=2)


@alongside
def test_a_client_whose_wall_clock_is_a_day_off_takes_over_after_a_lease_of_its_own_time(stages: Stages) -> None:
    def play(shift: float) -> None:
        stage = stages()
        gate = Gate(call(*ENABLE))
        stage.front.fault = gate
        killed = stage.start()
        gate.await_call()
        killed.kill()
        gate.open()

        result = stage.start(clock_shift=shift).result()

        # At least a lease: that is what makes a holder count as gone (core/ports.py).
        assert result["seconds"] >= LEASE
        assert (ON, 2) == (stage.settled(), stage.mints)

    together([-DAY, DAY], play)


@alongside
def test_a_client_whose_wall_clock_is_off_brings_back_a_soft_deleted_key(stages: Stages) -> None:
    def play(shift: float) -> None:
        stage = stages()
        assert "error" not in stage.converge(timeout=CALM)
        stage.vault.api.call("DELETE", stage.data_path)
        result = stage.start(clock_shift=shift, timeout=CALM).result()
        assert (ON, 1) == (stage.settled(), stage.mints), result

    together([-DAY, DAY], play)


@alongside
def test_a_client_whose_wall_clock_is_off_keeps_a_key_that_vault_will_delete_in_an_hour(stages: Stages) -> None:
    def play(shift: float) -> None:
        stage = stages()
        stage.vault.api.call("POST", stage.metadata_path, {"delete_version_after": "1h"})
        results = [stage.start(clock_shift=shift, timeout=CALM).result() for _ in range(2)]
        assert (ON, 1) == (stage.settled(), stage.mints), results
        assert [1, 1] == [result.get("version") for result in results]

    together([-DAY, DAY], play)
