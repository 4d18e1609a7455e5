"""At a real terminal: a table, a question, an answer."""

import os
import pty
import subprocess
import sys

import pytest
from sandbox_fleet import MakeFleet, SandboxFleet


@pytest.fixture
def fleet(fleet_of: MakeFleet) -> SandboxFleet:
    return fleet_of(2)


def at_a_terminal(fleet: SandboxFleet, *arguments: str, answer: str = "", **env: str) -> tuple[int, str]:
    """What a command shows there; `answer` is typed ahead."""
    controller, terminal = pty.openpty()
    process = subprocess.Popen(
        [sys.executable, "-m", "reconciler", *arguments],
        env={**fleet.clean(), **fleet.env, "TERM": "xterm", "COLUMNS": "160", **env},
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
    )
    os.close(terminal)
    os.write(controller, answer.encode())
    shown = b""
    while True:
        try:
            part = os.read(controller, 65536)
        except OSError:  # the other side is closed
            break
        if not part:
            break
        shown += part
    os.close(controller)
    text = shown.decode()
    fleet.assert_no_secret(text)
    return process.wait(30), text


def test_a_plan_is_a_table_with_colour_and_an_answer_of_yes_applies_it(fleet: SandboxFleet) -> None:
    code, shown = at_a_terminal(fleet, "apply", str(fleet.manifests), answer="y\n")

    assert (0, []) == (code, fleet.unsafe()), shown
    assert "Vault path" in shown
    assert "\x1b[32m" in shown
    assert "Apply 2 change(s)? [y/N]" in shown
    assert "2 done" in shown


def test_an_answer_of_no_changes_nothing(fleet: SandboxFleet) -> None:
    code, shown = at_a_terminal(fleet, "apply", str(fleet.manifests), answer="n\n")

    assert (130, set()) == (code, fleet.on()), shown


def test_no_color_is_heeded(fleet: SandboxFleet) -> None:
    code, shown = at_a_terminal(fleet, "plan", str(fleet.manifests), NO_COLOR="1")

    assert 2 == code
    assert "\x1b[32m" not in shown


def test_a_terminal_of_80_columns_gets_lines_in_place_of_the_table(fleet: SandboxFleet) -> None:
    code, shown = at_a_terminal(fleet, "plan", str(fleet.manifests), COLUMNS="80", NO_COLOR="1")

    name = fleet.names[0]
    assert 2 == code
    assert f"+ create   {name}  secret/fleets/{fleet.name}/{name}  Off" in shown
    assert "Vault path" not in shown
