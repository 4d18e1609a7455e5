"""The set-up, on machines that lack what it needs: an empty PATH, an old engine, two runs at once."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def engine(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> ModuleType:
    """script/engine.py, with a cache of the test's own and nothing on PATH."""
    monkeypatch.syspath_prepend(str(ROOT / "script"))
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    monkeypatch.setenv("PATH", str(tmp_path / "nothing-here"))
    # By its path: tests/pulumi has a module of that name too.
    spec = importlib.util.spec_from_file_location("script_engine", ROOT / "script" / "engine.py")
    assert spec is not None
    assert spec.loader is not None
    engine = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(engine)
    return engine


def program(file: Path, prints: str = "") -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(f"#!/bin/sh\necho '{prints}'\n")
    file.chmod(0o755)
    return file


def whole_engine(engine: ModuleType, folder: Path, version: str = "v3.259.0") -> None:
    for part in engine.PARTS:
        program(folder / part, version)


def unreachable(engine: ModuleType) -> tuple[object, ...]:
    """The real ways, the download replaced by one that finds no internet."""

    def fetch(folder: Path) -> None:
        raise engine.NotThisWay("the site cannot be reached")

    download, *others = engine.ways(Path(sys.executable))
    return (download._replace(fetch=fetch), *others)


def ensure(engine: ModuleType, ways: tuple[object, ...]) -> Path:
    folder = engine.ensure(os.environ["PATH"], ways)
    assert isinstance(folder, Path)
    return folder


def test_with_no_engine_no_internet_and_no_go_the_error_names_the_three_ways(engine: ModuleType) -> None:
    with pytest.raises(engine.NoEngine) as caught:
        ensure(engine, unreachable(engine))

    message = str(caught.value)
    assert "install Pulumi 3.216 or newer" in message
    assert "now: no pulumi on PATH" in message
    assert "reach the internet" in message
    assert "now: the site cannot be reached" in message
    assert f"install Go {engine.go_needed()} or newer" in message
    assert "now: no go on PATH" in message


def test_an_old_go_is_told_apart_from_none(engine: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(program(tmp_path / "bin" / "go", "go1.21.4").parent))

    with pytest.raises(engine.NoEngine, match=r"go is 1\.21\.4, needed is 1\.25"):
        ensure(engine, unreachable(engine))


def test_a_fitting_pulumi_on_path_is_used_as_it_is(
    engine: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole_engine(engine, tmp_path / "users")
    monkeypatch.setenv("PATH", str(tmp_path / "users"))

    assert ensure(engine, ()) == tmp_path / "users"


@pytest.mark.parametrize(
    ("version", "reason"),
    [("v3.215.0", "is 3.215.0, needed is 3.216"), ("v4.0.0", "is 4.0.0, needed is 3.216")],
)
def test_a_pulumi_that_does_not_fit_is_passed_over_with_the_reason(
    engine: ModuleType,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    version: str,
    reason: str,
) -> None:
    whole_engine(engine, tmp_path / "users", version)
    monkeypatch.setenv("PATH", str(tmp_path / "users"))

    own = ensure(engine, (engine.Way(lambda folder: whole_engine(engine, folder / "bin"), "advice"),))

    assert own == engine.cache_folder() / "engine" / engine.VERSION / "bin"
    assert reason in capsys.readouterr().err


def test_a_pulumi_without_its_python_parts_is_passed_over_and_they_are_named(
    engine: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PATH", str(program(tmp_path / "users" / "pulumi", "v3.259.0").parent))

    with pytest.raises(engine.NoEngine, match="no pulumi-language-python and no pulumi-resource-pulumi-python"):
        ensure(engine, ())


def test_two_runs_at_once_end_with_one_whole_engine_fetched_once(
    engine: ModuleType, capsys: pytest.CaptureFixture[str]
) -> None:
    fetched: list[Path] = []
    second_may_start, second_waits = threading.Event(), threading.Event()
    say = engine.progress.say

    def listening(line: str) -> None:
        say(line)
        if "waiting" in line:
            second_waits.set()

    def fetch(folder: Path) -> None:
        fetched.append(folder)
        second_may_start.set()
        assert second_waits.wait(20)
        whole_engine(engine, folder / "bin")

    def second() -> Path:
        assert second_may_start.wait(20)
        return ensure(engine, ways)

    ways = (engine.Way(fetch, "advice"),)
    with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(2) as pool:
        patch.setattr(engine.progress, "say", listening)
        both = [pool.submit(ensure, engine, ways), pool.submit(second)]
        folders = {run.result() for run in both}

    assert 1 == len(fetched)
    (folder,) = folders
    assert engine.complete(folder)
    assert "another run that brings the Pulumi engine is at work" in capsys.readouterr().err
    assert not list(folder.parents[1].glob("new-*"))


def test_an_engine_that_another_run_placed_meanwhile_is_kept(engine: ModuleType, tmp_path: Path) -> None:
    target = tmp_path / "engine"

    def overtaken(folder: Path) -> None:
        whole_engine(engine, folder / "bin", "ours")
        whole_engine(engine, target / "bin", "theirs")

    engine.place(overtaken, target)

    assert "theirs" in (target / "bin" / "pulumi").read_text()


def test_a_fetch_that_fails_half_way_leaves_nothing_behind(engine: ModuleType) -> None:
    def half(folder: Path) -> None:
        program(folder / "bin" / "pulumi")

    with pytest.raises(engine.NoEngine, match="what came is not whole: pulumi-language-python"):
        ensure(engine, (engine.Way(half, "advice"),))

    assert [".lock"] == [file.suffix for file in (engine.cache_folder() / "engine").iterdir()]


def test_a_broken_engine_in_the_cache_is_replaced(engine: ModuleType) -> None:
    program(engine.cache_folder() / "engine" / engine.VERSION / "bin" / "pulumi")

    folder = ensure(engine, (engine.Way(lambda new: whole_engine(engine, new / "bin"), "advice"),))

    assert engine.complete(folder)


Script = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run_script(tmp_path: Path) -> Script:
    """script/run of this clone, called from a folder elsewhere."""

    def run(*arguments: str, **variables: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(ROOT / "script" / "run"), *arguments],
            cwd=tmp_path,
            env=os.environ | variables,
            capture_output=True,
            text=True,
            check=False,
        )

    return run


def test_script_run_without_a_command_prints_its_usage_and_exits_2(run_script: Script) -> None:
    done = run_script()

    assert (2, "") == (done.returncode, done.stdout)
    assert done.stderr.startswith("usage: script/run COMMAND")


def test_script_run_keeps_the_folder_the_arguments_and_the_exit_code(run_script: Script, tmp_path: Path) -> None:
    done = run_script("sh", "-c", 'pwd -P; echo "$1"; exit 7', "sh", "two  words")

    assert (7, "") == (done.returncode, done.stderr)
    assert done.stdout.splitlines() == [str(tmp_path.resolve()), "two  words"]


def test_script_run_names_a_command_that_is_not_there(run_script: Script) -> None:
    done = run_script("no-such-command")

    assert 127 == done.returncode
    assert "there is no command no-such-command" in done.stderr


def test_script_run_leaves_the_users_own_pulumi_settings_alone(run_script: Script) -> None:
    done = run_script("env", PULUMI_SKIP_UPDATE_CHECK="", PULUMI_PYTHON_CMD="mine", PULUMI_BACKEND_URL="file:///x")

    settings = done.stdout.splitlines()
    assert "PULUMI_SKIP_UPDATE_CHECK=" in settings
    assert "PULUMI_PYTHON_CMD=mine" in settings
    assert "PULUMI_BACKEND_URL=file:///x" in settings
    assert "PULUMI_DISABLE_AUTOMATIC_PLUGIN_ACQUISITION=true" in settings
    assert f"VIRTUAL_ENV={ROOT / '.venv'}" in settings


def test_without_a_python_the_message_says_what_to_install(tmp_path: Path) -> None:
    done = subprocess.run(
        ["/bin/sh", str(ROOT / "script" / "find-python")],
        env={"PATH": str(tmp_path)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert 1 == done.returncode
    assert "install Python 3.10 or newer" in done.stderr
