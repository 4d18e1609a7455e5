"""The command's face: what it loads, its exit codes, its help, its documentation."""

import subprocess
import sys
from pathlib import Path

import click
import pytest

from reconciler.cli import COMMANDS, cli, main

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs" / "cli.md"
WIDTH = 100
MARK = "<!-- From here on made by tests/reconciler/test_cli.py. -->\n"


def help_of(*names: str) -> str:
    command: click.Command = cli
    settings = {**cli.context_settings, "terminal_width": WIDTH}
    context = click.Context(cli, info_name="pinata-reconciler", **settings)
    for name in names:
        assert isinstance(command, click.Group)
        found = command.get_command(context, name)
        assert found is not None
        command = found
        context = click.Context(command, info_name=name, parent=context, terminal_width=WIDTH)
    with context:
        return command.get_help(context)


ALL = [(), *((name,) for name in COMMANDS), ("escrow", "import")]


def test_nothing_of_it_loads_pulumi() -> None:
    modules = ", ".join(f"reconciler.commands.{name.replace('-', '_')}" for name in COMMANDS)
    code = f"import sys, reconciler.cli, reconciler.__main__, {modules}; print('pulumi' in sys.modules)"

    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert "False" == shown.stdout.strip()


def test_help_is_quick_since_it_loads_no_command() -> None:
    heavy = "{'httpx', 'hvac', 'rich', 'pydantic', 'yaml', 'pulumi'}"
    code = f"import sys; from reconciler.cli import main; main(['--help']); print(sorted({heavy} & set(sys.modules)))"

    shown = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert shown.stdout.endswith("[]\n")


def helps() -> str:
    parts = []
    for names in ALL:
        title = f"`{' '.join(('pinata-reconciler', *names))}`"
        parts.append(f"## {title}\n\n```\n{help_of(*names)}\n```\n")
    return "\n".join(parts)


def test_the_page_shows_the_help_as_it_is() -> None:
    # To bring it up to date: python tests/reconciler/test_cli.py
    assert helps() == PAGE.read_text().partition(MARK)[2].lstrip("\n")


@pytest.mark.parametrize("names", [names for names in ALL if names not in ((), ("escrow",))], ids=" ".join)
def test_every_command_has_an_example(names: tuple[str, ...]) -> None:
    assert f"  pinata-reconciler {' '.join(names)}" in help_of(*names)


def test_the_list_of_commands_says_what_the_commands_say() -> None:
    context = click.Context(cli)
    for name in COMMANDS:
        command = cli.get_command(context, name)
        assert (name, True) == (command and command.name, bool(command and command.help))


@pytest.mark.parametrize(
    "arguments",
    [
        ["no-such-command"],
        ["plan", "--no-such-option"],
        ["plan", "-o", "xml"],
        ["plan", "/no/such/path"],
        ["plan", "--workers", "0"],
        ["rotate"],
        ["init", "--fleet", "Not A Label"],
        ["completion", "tcsh"],
    ],
)
def test_wrong_usage_is_64_since_2_means_changes_pending(
    arguments: list[str], capsys: pytest.CaptureFixture[str]
) -> None:
    assert 64 == main(arguments)
    assert "Usage: pinata-reconciler" in capsys.readouterr().err


def test_it_runs_as_a_module_and_tells_its_version() -> None:
    shown = subprocess.run(
        [sys.executable, "-m", "reconciler", "--version"], capture_output=True, text=True, check=True
    )

    assert shown.stdout.startswith("pinata-reconciler, version ")


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion_scripts_are_those_of_the_command(shell: str, capsys: pytest.CaptureFixture[str]) -> None:
    if shell == "bash":
        pytest.importorskip("click.shell_completion")
    assert 0 == main(["completion", shell])
    assert "_PINATA_RECONCILER_COMPLETE" in capsys.readouterr().out


def test_options_can_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PINATA_RECONCILER_PLAN_WORKERS", "0")

    assert 64 == main(["plan"])


if __name__ == "__main__":
    head = PAGE.read_text().partition(MARK)[0]
    PAGE.write_text(f"{head}{MARK}\n{helps()}")
