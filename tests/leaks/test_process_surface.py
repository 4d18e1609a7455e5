"""What other processes of the machine can see: arguments, environments, temporary files, modes."""

import os
import stat
import subprocess
import sys
import time
import zlib
from contextlib import suppress
from pathlib import Path

from engine import Engine
from leaks import Scanner
from world import World

from pulumi_pinata.sandbox import exports
from pulumi_pinata.sandbox.openbao import OpenBao


def descendants(root: int) -> set[int]:
    parents: dict[int, int] = {}
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit():
            with suppress(OSError, IndexError):
                parents[int(entry.name)] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
    found = {root}
    while more := {pid for pid, parent in parents.items() if parent in found} - found:
        found |= more
    return found


def unpacked(content: bytes) -> bytes:
    """As far as it goes: the engine's own log is read while it is written."""
    with suppress(zlib.error):
        return zlib.decompressobj(31).decompress(content)
    return content


def test_no_argument_no_environment_and_no_passing_file_holds_a_key_and_no_argument_a_login(
    world: World, tmp_path: Path
) -> None:
    engine = Engine(tmp_path / "engine", world.env)
    (engine.folder / "tmp").mkdir()
    engine.env["TMPDIR"] = str(engine.folder / "tmp")
    engine.declare({"name": world.name, "inputs": {}})
    for path in ("/v0/llm/status", "/v0/llm/enable"):
        world.pinata.add_fault("latency", path=path, seconds=0.4, times=None)
    arguments: dict[str, bytes] = {}
    environments: dict[str, bytes] = {}
    files: dict[str, bytes] = {}

    process = engine.start("up")
    while process.poll() is None:
        for pid in descendants(process.pid):
            with suppress(OSError):
                command = Path(f"/proc/{pid}/cmdline").read_bytes()
                arguments[f"{pid}"] = command
                environments[command.replace(b"\0", b" ").decode()[:60]] = Path(f"/proc/{pid}/environ").read_bytes()
        for path in engine.folder.rglob("*"):
            with suppress(OSError):
                if path.is_file():
                    files[str(path)] = unpacked(path.read_bytes())
        time.sleep(0.03)
    assert 0 == process.returncode, (engine.folder / "background.log").read_text()

    keys = Scanner(world.pinata.minted_keys(world.name))
    logins = Scanner([*world.jwts, world.token])
    assert 1 == len(world.pinata.minted_keys(world.name))
    assert len(arguments) > 2
    assert [] == [pid for pid, text in arguments.items() if keys.is_in(text) or logins.is_in(text)]
    assert [] == [name for name, text in environments.items() if keys.is_in(text)]
    assert [] == [name for name, text in files.items() if keys.is_in(text) or logins.is_in(text)]


def test_the_sandboxs_own_server_gets_nothing_of_the_environment(bao: OpenBao) -> None:
    names = [line.partition(b"=")[0] for line in Path(f"/proc/{bao.pid}/environ").read_bytes().split(b"\0") if line]
    command = Path(f"/proc/{bao.pid}/cmdline").read_bytes()

    assert [b"HOME", b"PATH"] == sorted(names)
    assert bao.root_token.encode() not in command


def test_the_sandboxs_files_are_private_whatever_the_umask(tmp_path: Path) -> None:
    before = os.umask(0)
    try:
        exports.write_file(tmp_path / "exports", {"VAULT_TOKEN": "t"})
        with OpenBao(storage=tmp_path / "store") as kept:
            folder = kept._folder()
            private = [tmp_path / "exports", *(tmp_path / "store").glob("*.*"), folder / "config.hcl"]
            modes = {path.name: oct(stat.S_IMODE(path.stat().st_mode)) for path in private}
            folders = {oct(stat.S_IMODE(path.stat().st_mode)) for path in (tmp_path / "store", folder)}
    finally:
        os.umask(before)

    assert {"exports": "0o600", "seal.key": "0o600", "init.json": "0o600", "config.hcl": "0o600"} == modes
    assert {"0o700"} == folders


def test_the_sandbox_keeps_real_credentials_from_its_command(tmp_path: Path) -> None:
    code = "import os; print(sorted(n for n, v in os.environ.items() if 'outer' in v))"
    done = subprocess.run(
        [sys.executable, "-m", "pulumi_pinata.sandbox", "--exec", sys.executable, "-c", code],
        env={**os.environ, "PINATA_JWT": "outer", "VAULT_TOKEN": "outer", "BAO_TOKEN": "outer", "OTHER": "outer"},
        capture_output=True,
        text=True,
        timeout=60,
    )

    assert "['OTHER']\n" == done.stdout


def test_nothing_here_asks_for_core_dumps_and_none_is_left_by_an_abort_under_the_limit(tmp_path: Path) -> None:
    """Accepted: memory limits are the runner's (`ulimit -c 0`); a library does not change those of its host."""
    code = "import resource, os; resource.setrlimit(resource.RLIMIT_CORE, (0, 0)); os.abort()"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, capture_output=True)

    assert [] == list(tmp_path.iterdir())
