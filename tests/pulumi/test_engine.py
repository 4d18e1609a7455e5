"""The resource on a real Pulumi engine, by the CLI."""

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import pytest
from engine import Engine
from world import World


def inference(world: World, opts: dict[str, Any] | None = None, **inputs: Any) -> dict[str, Any]:
    return {"name": world.name, "inputs": inputs, "opts": opts or {}}


def wait_until(holds: Callable[[], bool], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not holds():
        assert time.monotonic() < end, "the awaited condition did not come"
        time.sleep(0.02)


def test_the_smallest_program_lives_through_its_whole_life(world: World, engine: Engine) -> None:
    (engine.project / "__main__.py").write_text(f'import pulumi_pinata as pinata\n\npinata.Inference("{world.name}")\n')

    engine.run("preview")
    assert (0, []) == (world.mints, world.proxy.calls)
    engine.run("up")
    assert (1, True) == (world.mints, world.key_is_live())
    world.pinata.clear_calls()
    world.proxy.clear()
    assert "unchanged" in engine.run("up")
    assert ([], []) == (world.pinata_calls(), world.proxy.calls)
    engine.run("refresh", "--expect-no-changes")
    world.pinata.disable_out_of_band(world.name)
    engine.run("refresh")
    assert {} == engine.resources()
    engine.run("up")
    assert (2, True) == (world.mints, world.key_is_live())
    engine.run("destroy")
    assert (False, None, {}) == (world.pinata.state(world.name).enabled, world.vault_data(), engine.resources())


def test_rotation_is_an_update_in_place_that_the_plan_announces(world: World, engine: Engine) -> None:
    engine.declare(inference(world))
    engine.run("up")
    engine.declare(inference(world, rotation_trigger="2026-12"))

    plan = engine.run("preview")
    assert "1 to update" in plan
    assert f"rotation: the present key dies, and whatever uses secret/{world.path} fails until it reads" in plan
    assert "1 updated" in engine.run("up")
    assert (2, 2, True) == (world.mints, engine.outputs()[f"{world.name}.vault_version"], world.key_is_live())


@pytest.mark.parametrize("how", ["--target-replace", "state taint", "replacement_trigger"])
def test_a_forced_replacement_deletes_before_it_creates(world: World, engine: Engine, how: str) -> None:
    options = {"replacement_trigger": "1"} if how == "replacement_trigger" else {}
    engine.declare(inference(world, options))
    engine.run("up")
    old = world.vault_key()
    urn = engine.resources()[world.name]["urn"]

    if how == "--target-replace":
        said = engine.run("up", "--replace", urn)
    elif how == "state taint":
        engine.run("state", "taint", urn, "--yes", "--stack", "dev")
        said = engine.run("up")
    else:
        engine.declare(inference(world, {"replacement_trigger": "2"}))
        said = engine.run("up")

    assert "1 replaced" in said
    assert (2, True) == (world.mints, world.key_is_live())
    assert not world.pinata.is_live(world.name, old)


def test_a_change_of_account_replaces_delete_first(world: World, engine: Engine) -> None:
    other = world.add_account("other")
    engine.env["OTHER_JWT"] = other.jwt
    engine.declare(inference(world))
    engine.run("up")

    engine.declare(inference(world, credentials="env:OTHER_JWT"))
    assert "1 replaced" in engine.run("up")

    assert (False, True) == (world.pinata.state(world.name).enabled, world.pinata.is_live("other", world.vault_key()))


def test_a_gateway_failure_on_refresh_keeps_the_resource(world: World, engine: Engine) -> None:
    engine.declare(inference(world, timeout=2))
    engine.run("up")
    world.pinata.add_fault("html", status=502, path="/v0/llm/status", times=None)

    said = engine.run("refresh", fails=True)
    assert "Pinata failed on the status call (502). Try again later." in said
    world.pinata.clear_faults()
    assert [world.name] == list(engine.resources())
    engine.run("refresh", "--expect-no-changes")
    assert 1 == world.mints


def test_four_accounts_lose_their_enable_replies_and_keep_their_keys(world: World, engine: Engine) -> None:
    names = ["rotate", "same", "no_key", "conflict"]
    for name in names:
        engine.env[f"JWT_{name.upper()}"] = world.add_account(name, variants={"reenable": name}).jwt
        world.pinata.add_fault("lost_after", account=name, method="POST", path="/v0/llm/enable")

    def declare(**inputs: Any) -> None:
        engine.declare(
            *(
                {"name": name, "inputs": {"credentials": f"env:JWT_{name.upper()}", "timeout": 3, **inputs}}
                for name in names
            )
        )

    def state() -> list[tuple[int, bool]]:
        keys = {name: world.vault_key(f"pinata/{name}") for name in names}
        return [(world.pinata.state(name).mints, world.pinata.is_live(name, keys[name])) for name in names]

    declare()
    engine.run("up")
    first = state()
    assert [True] * 4 == [live for _, live in first]
    assert max(mints for mints, _ in first) <= 2
    engine.run("up")
    assert first == state()
    declare(rotation_trigger="2")
    engine.run("up")
    assert [(mints + 1, True) for mints, _ in first] == state()
    engine.run("destroy")
    assert [False] * 4 == [world.pinata.state(name).enabled for name in names]


def test_a_cli_killed_in_mid_create_is_finished_by_the_next_up(world: World, engine: Engine) -> None:
    engine.declare(inference(world, timeout=4))
    world.pinata.add_fault("latency", seconds=1.5, method="POST", path="/v0/llm/enable")

    running = engine.start("up")
    try:
        wait_until(lambda: "POST /v0/llm/enable" in world.pinata_calls())
    finally:
        os.killpg(running.pid, signal.SIGKILL)
        running.wait(timeout=20)
    engine.run("cancel")
    engine.run("up")

    assert world.key_is_live()
    assert world.mints <= 2
    assert "closed" == world.record()["state"]


def test_a_key_that_another_stack_manages_is_imported_and_the_next_up_changes_nothing(
    world: World, engine: Engine
) -> None:
    engine.declare(inference(world))
    engine.run("up")
    urn = engine.resources()[world.name]["urn"]
    engine.run("state", "delete", urn, "--yes", "--stack", "dev")

    written = subprocess.run(
        [sys.executable, "-m", "pulumi_pinata", "import-file", world.name, "--project", "proj", "--stack", "dev"],
        env=engine.env,
        capture_output=True,
        text=True,
        check=True,
    )
    (engine.project / "import.json").write_text(written.stdout)
    engine.run("import", "--file", "import.json")

    assert "2 unchanged" in engine.run("up", "--refresh")
    assert (1, True) == (world.mints, world.key_is_live())


def test_a_key_that_a_person_stored_is_adopted_without_a_mint(world: World, engine: Engine) -> None:
    key = json.loads(_enable_by_hand(world))["privateKey"]
    world.vault.api.call("POST", f"secret/data/{world.path}", {"data": {"PINATA_LLM_KEY": key}})

    command = [sys.executable, "-m", "pulumi_pinata", "import-file", world.name, "--project", "proj", "--stack", "dev"]
    plain = subprocess.run(command, env=engine.env, capture_output=True, text=True)
    assert (1, True) == (plain.returncode, "holds no key of ours. If a person stored the live key" in plain.stderr)
    written = subprocess.run([*command, "--adopt-key"], env=engine.env, capture_output=True, text=True, check=True)
    (engine.project / "import.json").write_text(written.stdout)
    engine.declare(inference(world))
    engine.run("import", "--file", "import.json")

    assert "2 unchanged" in engine.run("up", "--refresh")
    assert (1, key) == (world.mints, world.vault_key())


def _enable_by_hand(world: World) -> str:
    import httpx

    headers = {"Authorization": f"Bearer {world.account.jwt}"}
    return httpx.post(f"{world.pinata.url}/v0/llm/enable", headers=headers).text


def test_get_of_a_missing_thing_fails_the_preview(world: World, engine: Engine) -> None:
    engine.declare({"name": world.name, "get": "0" * 32})

    assert "The id of an Inference is its account's fingerprint." in engine.run("preview", fails=True)


@pytest.mark.parametrize(
    ("inputs", "said"),
    [
        ({"credentials": "env:OTHER"}, "b: vault.path: the Vault path is already managed by the resource 'a'"),
        ({"vault": {"path": "other"}}, "b: credentials: the account of the credentials is already managed by"),
    ],
    ids=["one path", "one account"],
)
def test_two_resources_for_one_thing_are_refused_before_anything_happens(
    world: World, engine: Engine, inputs: dict[str, Any], said: str
) -> None:
    shared = {"vault": {"path": world.path}}
    engine.declare({"name": "a", "inputs": shared}, {"name": "b", "inputs": {**shared, **inputs}})

    assert said in engine.run("preview", fails=True)
    assert 0 == world.mints


def test_a_literal_jwt_is_refused_and_reaches_no_file(world: World, engine: Engine) -> None:
    engine.env["SAMPLE"] = world.account.jwt
    (engine.project / "__main__.py").write_text(
        "import os\nimport pulumi_pinata as pinata\n\npinata.Inference('x', credentials=os.environ['SAMPLE'])\n"
    )

    said = engine.run("up", fails=True)

    assert "x: credentials: this is a JWT itself; it would be stored in Pulumi's state" in said


def test_every_bad_input_is_named_at_once_by_resource_and_property(world: World, engine: Engine) -> None:
    engine.declare(inference(world, vault={"pth": "x", "mount": "a//b"}, adopt="maybe", timeout=0))

    said = engine.run("preview", fails=True)

    for line in (
        "vault.pth: no such input. Did you mean `path`?",
        "'a//b' is not a plain path.",
        "must be one of refuse, remint, observe.",
        "must be a number of seconds from 1 to 300.",
    ):
        assert line.partition(": ")[2] in said or line in said
    assert world.name in said


def test_credits_top_up_is_set_changed_and_switched_off(world: World, engine: Engine) -> None:
    def declare(**inputs: Any) -> None:
        engine.declare({"name": "c", "kind": "CreditsTopUp", "inputs": inputs, "export": ["threshold", "amount"]})

    declare(threshold=4, amount=1.5)
    said = engine.run("preview", fails=True)
    assert "must be a number of credits, 5 or more." in said
    assert "must be a whole number of credits, 1 or more." in said
    declare(threshold=10, amount=50)
    engine.run("up")
    declare(threshold=10, amount=60)
    engine.run("up")
    assert {"threshold": 10.0, "amount": 60} == _top_up(world)
    engine.run("refresh", "--expect-no-changes")
    engine.run("destroy")
    assert {"threshold": None, "amount": None} == _top_up(world)


def _top_up(world: World) -> dict[str, Any]:
    import httpx

    headers = {"Authorization": f"Bearer {world.account.jwt}"}
    found: dict[str, Any] = httpx.get(f"{world.pinata.url}/v0/credits/topup/config", headers=headers).json()
    return found
