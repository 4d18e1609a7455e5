"""Everything that Python can log, at DEBUG, in a process of its own; and the switches that are the user's own."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from hostile import Asked, Middleman, reply
from leaks import Scanner
from world import World

_PROGRAM = """
import faulthandler, http.client, logging, os, sys, threading
logging.basicConfig(level=logging.DEBUG)
for name in ("", "httpx", "httpcore", "hvac", "urllib3", "requests", "stamina", "grpc", "asyncio", "pulumi"):
    logging.getLogger(name).setLevel(logging.DEBUG)
if "--http-debug" in sys.argv:
    http.client.HTTPConnection.debuglevel = 1
faulthandler.enable()
from pulumi_pinata import properties, wiring
from pulumi_pinata.core.converge import converge
from pulumi_pinata.core.errors import PinataError
from pulumi_pinata.core.model import Mode

inputs, failures = properties.check({"owner": "pulumi:o/p/s/" + os.environ["NAME"], "timeout": 1}, os.environ)
assert not failures, failures
settings = properties.settings(inputs)
for mode in (Mode.ENABLED, Mode.ENABLED, Mode.DISABLED):
    try:
        with wiring.session(settings, notice=lambda line: faulthandler.dump_traceback()) as found:
            print(converge(wiring.desired(settings, found.account, mode, None), found.ports))
    except PinataError as error:
        print(repr(error), error)
        faulthandler.dump_traceback(all_threads=True)
        logging.exception("failed")
"""


def run(world: World, *arguments: str, **env: str) -> str:
    done = subprocess.run(
        [sys.executable, "-X", "dev", "-c", _PROGRAM, *arguments],
        env={**os.environ, **world.env, "NAME": world.name, "PYTHONWARNINGS": "default", **env},
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert 0 == done.returncode, done.stderr
    return done.stdout + done.stderr


def scanner(world: World) -> Scanner:
    parts = [part for jwt in world.jwts for part in jwt.split(".")[1:]]
    return Scanner([*world.jwts, *parts, world.token, *world.pinata.minted_keys(world.name)])


def test_debug_logs_of_all_libraries_hold_no_secret(world: World) -> None:
    said = run(world)

    assert "DEBUG:httpcore" in said
    assert "DEBUG:urllib3" in said
    assert 1 == world.mints
    assert not scanner(world).is_in(said.encode())


@pytest.mark.parametrize("fault", ["html", "lost_after"])
def test_debug_logs_of_failures_hold_no_secret(world: World, fault: str) -> None:
    world.pinata.add_fault(fault, method="POST", path="/v0/llm/enable", times=1)
    said = run(world)

    assert "DEBUG:httpcore" in said
    assert not scanner(world).is_in(said.encode())


def test_a_log_at_debug_repeats_the_headers_of_an_answer_and_so_what_a_server_echoes_there(world: World) -> None:
    """Accepted: httpcore's own DEBUG log is off unless the user asks for it, and no server is known to echo."""
    with Middleman(world.pinata.url, lambda asked: _with_header(asked)) as liar:
        said = run(world, PINATA_API_URL=liar.url)

    assert scanner(world).is_in(said.encode())


def _with_header(asked: Asked) -> bytes:
    status, body = asked.passed_on()
    return reply(status, body, f"X-Echo: {asked.credential}")


def test_the_wire_debug_of_http_client_prints_the_vault_token_and_is_the_users_own_switch(world: World) -> None:
    """Accepted and documented: it prints every header and body of every program; nothing here ever sets it."""
    assert scanner(world).is_in(run(world, "--http-debug").encode())
    sources = Path(__file__).resolve().parents[2].joinpath("pulumi_pinata").rglob("*.py")
    assert [] == [str(path) for path in sources if "debuglevel" in path.read_text()]
