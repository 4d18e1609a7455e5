"""python -m pulumi_pinata.sandbox as a user runs it: exports, one command, stopping."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from pulumi_pinata import sandbox
from pulumi_pinata.sandbox import options
from pulumi_pinata.sandbox.openbao_files import free_port

ROOT = Path(next(iter(sandbox.__path__))).parents[1]
SANDBOX = [sys.executable, "-m", "pulumi_pinata.sandbox"]
REPORT = """
import json, os, subprocess, sys
listing = subprocess.run(["ps", "-A", "-o", "pid=,ppid="], capture_output=True, text=True).stdout
rows = [line.split() for line in listing.splitlines()]
siblings = [int(pid) for pid, parent in rows if int(parent) == os.getppid()]
json.dump({"env": dict(os.environ), "siblings": siblings}, sys.stdout)
sys.exit(7)
"""


def ports() -> list[str]:
    """Options by which nobody else can listen where it did, when it is looked at whether it is gone."""
    return ["--port", str(free_port()), "--vault-port", str(free_port())]


def environment(**more: str) -> dict[str, str]:
    return {**os.environ, "PYTHONPATH": str(ROOT), **more}


def run(*arguments: str, **more: str) -> "subprocess.CompletedProcess[str]":
    return subprocess.run([*SANDBOX, *arguments], env=environment(**more), capture_output=True, text=True, timeout=120)


def is_open(url: str) -> bool:
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", int(url.rpartition(":")[2]))) == 0


def is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


def test_exec_passes_the_exit_code_and_stops_everything() -> None:
    done = run("--accounts", "prod,eu-west", *ports(), "--exec", sys.executable, "-c", REPORT, VAULT_NAMESPACE="theirs")
    assert 7 == done.returncode, done.stderr
    seen = json.loads(done.stdout)
    env = seen["env"]
    assert {
        "PINATA_API_URL",
        "PINATA_JWT",
        "PINATA_JWT_PROD",
        "PINATA_JWT_EU_WEST",
        "PINATA_SANDBOX_TOKEN",
        "PINATA_VAULT_ROLE_ID",
        "PINATA_VAULT_SECRET_ID",
        "READER_ROLE_ID",
        "READER_SECRET_ID",
        "VAULT_ADDR",
        "VAULT_TOKEN",
    } == {name for name in env if re.match("PINATA_|VAULT_|READER_", name)}
    assert env["PINATA_JWT"] == env["PINATA_JWT_PROD"]
    assert not is_open(env["PINATA_API_URL"])
    assert not is_open(env["VAULT_ADDR"])
    assert 2 == len(seen["siblings"])
    assert [] == [pid for pid in seen["siblings"] if is_alive(pid)]
    assert "no real Pinata account" in done.stderr
    assert env["PINATA_JWT"] not in done.stderr


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_without_a_command_it_prints_exports_and_stops_at_a_signal(
    tmp_path: Path, number: signal.Signals, wait_for: Callable[[Callable[[], bool]], bool]
) -> None:
    exports_file = tmp_path / "exports"
    with subprocess.Popen(
        [*SANDBOX, "--accounts", "prod", *ports(), "--exports-file", str(exports_file)],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            assert wait_for(exports_file.exists)
            assert 0o600 == exports_file.stat().st_mode & 0o777
            lines = exports_file.read_text()
            assert process.stderr is not None
            assert any("Ctrl-C" in line for line in iter(process.stderr.readline, ""))
            process.send_signal(number)
            printed, _ = process.communicate(timeout=60)
        finally:
            process.kill()
    assert 0 == process.returncode
    assert lines == printed
    urls = re.findall(r"http://127\.0\.0\.1:\d+", printed)
    assert 2 == len(urls)
    assert [] == [url for url in urls if is_open(url)]
    assert not exports_file.exists()


@pytest.mark.parametrize("stdin", ["/dev/null", "&-"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_ends_the_command_first(
    tmp_path: Path, number: signal.Signals, stdin: str, wait_for: Callable[[Callable[[], bool]], bool]
) -> None:
    ready = tmp_path / "ready"
    script = "import pathlib, signal, sys; pathlib.Path(sys.argv[1]).touch(); signal.pause()"
    command = [*SANDBOX, "--no-vault", "--exec", sys.executable, "-c", script, str(ready)]
    with subprocess.Popen(
        ["sh", "-c", f'exec "$@" <{stdin}', "sh", *command], env=environment(), stderr=subprocess.DEVNULL
    ) as process:
        try:
            assert wait_for(ready.exists)
            process.send_signal(number)
            assert process.wait(60) == 128 + number
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--variant", "prod:reenable=maybe"], "one of: rotate"),
        (["--variant", "nobody:reenable=same"], "no account 'nobody'"),
        (["--variant", "nonsense"], "NAME:KEY=VALUE"),
        (["--accounts", ","], "--accounts is empty"),
        (["--accounts", "a-b,a_b"], "two names give one variable"),
        (["--port", "70000"], "--port"),
        (["--credits", "-3"], "--credits"),
        (["--host", "0.0.0.0"], "127.0.0.1 only"),
        (["--colour"], "--help"),
        (["--exec"], "--exec has no command"),
    ],
)
def test_a_bad_option_is_named(arguments: list[str], words: str) -> None:
    with pytest.raises(options.BadOption, match=re.escape(words)) as caught:
        options.read(arguments)
    assert "\n" not in str(caught.value)


def test_options_have_defaults_that_need_no_thought() -> None:
    chosen = options.read([])
    assert ["prod", "staging"] == chosen.accounts
    assert (True, 0, 0, None, None) == (
        chosen.vault,
        chosen.port,
        chosen.vault_port,
        chosen.vault_storage,
        chosen.command,
    )


def test_all_after_exec_is_the_command_and_variants_go_to_their_account() -> None:
    chosen = options.read(["--variant", "prod:reenable=same", "--exec", "pytest", "--port", "1"])
    assert ["pytest", "--port", "1"] == chosen.command
    assert {"prod": {"reenable": "same"}, "staging": {}} == chosen.variants


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--colour"], "unrecognized arguments: --colour; see --help"),
        (["--no-vault", "--accounts", "a b"], "must be a letter"),
        (["--no-vault", "--exec", "no-such-command-here"], "is it installed"),
        (["--no-vault", "--exports-file", "/no/such/folder/x"], "--exports-file"),
        (["--vault-storage", "/dev/null/x"], "--vault-storage /dev/null/x: Not a directory"),
    ],
)
def test_a_mistake_is_one_clear_line_and_exit_2(arguments: list[str], words: str) -> None:
    done = run(*arguments)
    assert 2 == done.returncode
    line = done.stderr.splitlines()[-1]
    assert line.startswith("sandbox: ")
    assert words in line
    assert "Traceback" not in done.stderr
    assert "" == done.stdout


def test_a_missing_extra_says_how_to_get_it() -> None:
    hidden = "import sys; sys.modules['uvicorn'] = None; from pulumi_pinata.sandbox.__main__ import main; "
    done = subprocess.run(
        [sys.executable, "-c", hidden + "sys.exit(main(['--no-vault']))"],
        env=environment(),
        capture_output=True,
        text=True,
    )
    assert 2 == done.returncode
    assert "sandbox: uvicorn is not installed: pip install 'pulumi-pinata[sandbox]'\n" == done.stderr


def test_a_taken_port_is_told_plainly() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        done = run("--no-vault", "--port", str(taken.getsockname()[1]), "--exec", "true")
    assert 2 == done.returncode
    assert "choose another" in done.stderr
