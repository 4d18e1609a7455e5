"""Pulumi's own processes killed and interrupted, on the real engine."""

import os
import random
import signal
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

from engine import Engine
from stage import CALM, ENABLE, ON, PATIENCE, TIMEOUT, Gate, Stage, alongside, any_call, call, together

Stages = Callable[[], Stage]
# An engine keeps a core busy.
AT_ONCE = 3


def project(stages: Stages) -> tuple[Stage, Engine]:
    """An account and a Pulumi project for it."""
    stage = stages()
    return stage, Engine(stage.folder / "engine", stage.env)


def declare(stage: Stage, engine: Engine, **inputs: Any) -> None:
    engine.declare({"name": stage.name, "inputs": {"timeout": TIMEOUT, **inputs}})


def provider_of(cli: "subprocess.Popen[str]") -> int:
    """The provider process of a CLI that leads its own session."""
    for entry in Path("/proc").iterdir():
        if not entry.name.isdigit():
            continue
        try:
            session = int((entry / "stat").read_text().rpartition(")")[2].split()[3])
            if session == cli.pid and b"pulumi.dynamic" in (entry / "cmdline").read_bytes():
                return int(entry.name)
        except OSError:
            continue  # ended meanwhile
    raise AssertionError("the CLI has no provider process")


def kill_group(cli: "subprocess.Popen[str]") -> None:
    os.killpg(cli.pid, signal.SIGKILL)


def kill_provider(cli: "subprocess.Popen[str]") -> None:
    os.kill(provider_of(cli), signal.SIGKILL)


def finish(cli: "subprocess.Popen[str]") -> int:
    try:
        return cli.wait(PATIENCE)
    finally:
        if cli.poll() is None:
            os.killpg(cli.pid, signal.SIGKILL)
            cli.wait()


def strike(stage: Stage, engine: Engine, verb: str, gate: Gate, blow: Callable[["subprocess.Popen[str]"], None]) -> int:
    """Start `verb`, deal `blow` while the gate holds a call, and let that call arrive; the CLI's exit code."""
    stage.front.fault = stage.proxy.fault = gate
    cli = engine.start(verb)
    try:
        gate.await_call()
        blow(cli)
    finally:
        gate.open()
        code = finish(cli)
    stage.clear()
    return code


def a_write(method: str, path: str) -> bool:
    return method != "GET" and "capabilities" not in path


@alongside
def test_stacks_whose_create_rotation_and_destroy_are_each_killed_at_a_random_write_end_as_declared(
    stages: Stages,
) -> None:
    def play(blow: Callable[["subprocess.Popen[str]"], None]) -> None:
        dice = random.Random(blow.__name__)
        stage, engine = project(stages)

        def struck(verb: str, writes: int) -> None:
            strike(stage, engine, verb, Gate(a_write, dice.randint(1, writes)), blow)
            assert stage.promise_kept()
            if blow is kill_group:
                engine.run("cancel")
            engine.run(verb)

        # Intent, enable, key, close, label; a rotation disables first; a destroy deletes instead.
        declare(stage, engine)
        struck("up", 5)
        assert ON == stage.settled()
        assert stage.mints <= 2
        before = stage.mints
        declare(stage, engine, rotation_trigger="2")
        struck("up", 6)
        assert ON == stage.settled()
        assert stage.mints <= before + 2
        before = stage.mints
        struck("destroy", 5)
        assert (False, before, {}) == (stage.enabled, stage.mints, engine.resources())
        assert [] == engine.leaks(stage.secrets())

    together([kill_group, kill_provider], play)


@alongside
def test_an_up_interrupted_by_ctrl_c_in_mid_mint_stores_the_key(stages: Stages) -> None:
    stage, engine = project(stages)
    declare(stage, engine)

    strike(stage, engine, "up", Gate(call(*ENABLE)), lambda cli: os.killpg(cli.pid, signal.SIGINT))

    assert (1, True) == (stage.mints, stage.key_safe())
    engine.run("up")
    assert (ON, 1) == (stage.settled(), stage.mints)


@alongside
def test_an_up_and_a_client_at_once_share_one_key(stages: Stages) -> None:
    stage, engine = project(stages)
    declare(stage, engine, timeout=CALM)
    owner = f"pulumi:organization/proj/dev/{stage.name}"
    first = Gate(any_call)
    stage.front.fault = first
    cli = engine.start("up")
    client = stage.start(gate=True, timeout=CALM, owner=owner, vault={"path": stage.path})
    try:
        client.await_ready()
        first.await_call()
        client.go()
    finally:
        first.open()
        code = finish(cli)

    assert 0 == code
    assert (ON, 1) == (stage.settled(), stage.mints)
    assert engine.outputs()[f"{stage.name}.fingerprint"] == client.result()["fingerprint"]


@alongside
def test_an_up_that_finds_another_owner_at_work_is_refused(stages: Stages) -> None:
    stage, engine = project(stages)
    declare(stage, engine, timeout=CALM)
    assert "error" not in stage.converge()

    said = engine.run("up", fails=True)

    assert f"held by real:test/{stage.name}" in said
    assert (ON, 1) == (stage.settled(), stage.mints)
