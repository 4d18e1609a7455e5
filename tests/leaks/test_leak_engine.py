"""The real engine, told to say all it knows, in runs that succeed and runs that meet a server that echoes."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from engine import Engine
from hostile import ECHOES, Asked, Middleman
from leaks import Scanner
from world import World

LOUD = ("-v=9", "--logtostderr", "--logflow", "--debug")
LITERAL = "eyJhbGciOiJIUzI1NiJ9.eyJjYW5hcnkiOiIwODE1In0.c2lnbmF0dXJlMDgxNQ"
LITERALS = Scanner([LITERAL, *LITERAL.split(".")[1:], "hvs.CAESI-literal-0123456789"])


@pytest.fixture
def loud(world: World) -> Iterator[tuple[Engine, Middleman, Middleman]]:
    """An engine whose Pinata and Vault can be made to lie, and whose gRPC log and event logs are kept."""
    with Middleman(world.pinata.url) as pinata, Middleman(world.vault.addr) as vault:
        env = {**world.env, "PINATA_API_URL": pinata.url, "VAULT_ADDR": vault.url}
        engine = Engine(world.folder / "engine", env)
        engine.env["PULUMI_DEBUG_GRPC"] = str(engine.folder / "grpc.json")
        engine.env["PULUMI_DEBUG_COMMANDS"] = "true"  # it has --event-log then
        engine.env["TMPDIR"] = str(engine.folder / "tmp")
        (engine.folder / "tmp").mkdir()
        yield engine, pinata, vault


def found(engine: Engine, scanner: Scanner) -> list[str]:
    files = {str(p.relative_to(engine.folder)): p.read_bytes() for p in engine.folder.rglob("*") if p.is_file()}
    texts = {f"output {number}": text.encode() for number, text in enumerate(engine.printed)}
    return sorted(place for place, text in (files | texts).items() if scanner.is_in(text))


def scanner(world: World) -> Scanner:
    parts = [part for jwt in world.jwts for part in jwt.split(".")[1:]]
    return Scanner([*world.jwts, *parts, world.token, *world.pinata.minted_keys(world.name)])


def echo(asked: Asked) -> bytes:
    _, body = asked.passed_on()
    return ECHOES["JSON 500"](f"{asked.all} {body.decode()}".replace("\n", " "))


def test_a_whole_life_at_full_volume_leaves_no_secret_anywhere(world: World, loud: Any) -> None:
    engine, pinata, vault = loud
    inputs: dict[str, Any] = {"timeout": 2}
    engine.declare({"name": world.name, "inputs": inputs})

    def log(name: str) -> tuple[str, ...]:
        return (*LOUD, "--event-log", str(engine.folder / f"{name}.events"))

    engine.run("preview", "--event-log", str(engine.folder / "preview.events"))
    vault.twist = lambda asked: echo(asked) if asked.path.startswith("/v1/secret/data/pinata/") else None
    engine.run("up", *log("vault"), fails=True)
    vault.twist = lambda asked: None
    pinata.twist = lambda asked: echo(asked) if asked.path.endswith("enable") else None
    engine.run("up", *log("mint"), fails=True)
    pinata.twist = lambda asked: None
    engine.run("up", *log("up"))
    engine.declare({"name": world.name, "inputs": {**inputs, "rotation_trigger": "pasted"}})
    pinata.twist = lambda asked: echo(asked) if asked.path.endswith("status") else None
    engine.run("refresh", *log("refresh"), fails=True)
    pinata.twist = lambda asked: None
    engine.run("up", *log("rotate"))
    exported = engine.run("stack", "export", "--show-secrets", "--stack", "dev")
    engine.run("stack", "history", "--show-secrets", "--stack", "dev")
    engine.run("about", "--json")
    engine.run("destroy")

    assert 3 <= world.mints
    assert "pasted" in exported, "accepted: labels and triggers are the user's own words, kept as any input"
    assert "pasted" not in json.dumps(world.record()), "the trigger is kept there as a digest"
    assert [] == found(engine, scanner(world))
    files = {path.name for path in engine.folder.rglob("*")}
    assert {"grpc.json", "preview.events", "rotate.events"} <= files, "the logs were looked at"
    assert any(path.stat().st_size for path in engine.folder.glob("*.events"))


@pytest.mark.parametrize(
    ("inputs", "property_"),
    [
        ({"credentials": LITERAL}, "credentials"),
        ({"vault": {"auth": {"token": "hvs.CAESI-literal-0123456789"}}}, "vault.auth.token"),
    ],
)
def test_a_literal_in_the_program_is_not_repeated_by_the_refusal(
    world: World, tmp_path: Path, inputs: dict[str, Any], property_: str
) -> None:
    engine = Engine(tmp_path / "engine", world.env)
    engine.env["PULUMI_DEBUG_GRPC"] = str(tmp_path / "engine" / "grpc.json")
    program = engine.project / "__main__.py"
    program.write_text(f"import pulumi_pinata as pinata\n\npinata.Inference('x', **{inputs!r})\n")

    said = engine.run("preview", fails=True)

    assert property_ in said
    assert "reference" in said or "JWT itself" in said
    program.unlink()  # there it stands by the user's own doing
    leaks = [place for place in found(engine, LITERALS) if "__pycache__" not in place]
    assert [] == leaks
