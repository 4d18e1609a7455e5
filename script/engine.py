"""Gets the Pulumi engine: the `pulumi` CLI, its Python language host and its dynamic plugin.

A fitting `pulumi` on PATH is used as it is. Otherwise one of VERSION is kept in a cache outside the
clone, for all clones: downloaded by Pulumi's own installer or, without internet, built from Go modules.
Started by itself it prints the engine's folder. Does not belong here: the venv (setup.py), the
environment that commands get (script/run).
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

import exclusive
import progress

VERSION = "3.259.0"
OLDEST = (3, 216)  # what the project asks of the Python SDK, see pyproject.toml
PARTS = ("pulumi", "pulumi-language-python", "pulumi-resource-pulumi-python")
SCRATCH = "new-"  # how the names of folders that are being filled start

RECIPES = Path(__file__).resolve().parent / "engine"
SDK = "github.com/pulumi/pulumi/sdk/v3"
CLI = "github.com/pulumi/pulumi/pkg/v3/cmd/pulumi"
LANGUAGE_HOST = f"{SDK}/python/cmd/pulumi-language-python"


class NotThisWay(Exception):
    """This way to an engine is closed here; the message says why."""


class NoEngine(Exception):
    """Every way is closed; the message says what opens each."""


class Way(NamedTuple):
    """One way to fill a folder with `bin/` and the engine in it."""

    fetch: Callable[[Path], None]
    advice: str  # the one thing to do where this way is closed


def main() -> int:
    """Makes sure of an engine and prints its folder."""
    try:
        print(ensure(os.environ.get("PATH", ""), ways(Path(sys.executable))))
    except (NoEngine, OSError) as error:
        progress.say(f"script/engine.py: {error}")
        return 1
    return 0


def ways(python: Path) -> tuple[Way, ...]:
    """The ways to an engine of our own, the quicker one first; `python` has the Pulumi SDK."""
    return (
        Way(
            lambda folder: download(python, folder),
            f"let this machine reach the internet: Pulumi's own installer then brings {VERSION}",
        ),
        Way(build, f"install Go {go_needed()} or newer: the engine is then built from its Go modules"),
    )


def ensure(search_path: str, own: Sequence[Way]) -> Path:
    """The folder of an engine that fits: on PATH, in the cache, or brought into the cache now."""
    try:
        return on_path(search_path)
    except NotThisWay as error:
        on_path_reason = str(error)
    if shutil.which("pulumi", path=_without_cache(search_path)):
        progress.say(f"passing over the pulumi on PATH: {on_path_reason}")

    target = cache_folder() / "engine" / VERSION
    with exclusive.held(target.with_name(f"{VERSION}.lock"), "another run that brings the Pulumi engine"):
        if not complete(target / "bin"):
            for stale in target.parent.glob(f"{SCRATCH}*"):  # of a run that was killed
                shutil.rmtree(stale, ignore_errors=True)
            advice = f"install Pulumi {_dotted(OLDEST)} or newer 3.x, with its Python parts, on PATH"
            bring(target, own, closed=[(advice, on_path_reason)])
    return target / "bin"


def bring(target: Path, own: Sequence[Way], closed: list[tuple[str, str]]) -> None:
    """Tries way after way; `closed` has those tried before, as (advice, reason)."""
    for way in own:
        try:
            return place(way.fetch, target)
        except NotThisWay as error:
            progress.say(f"no engine this way: {str(error).splitlines()[-1]}")
            closed = [*closed, (way.advice, str(error))]
    raise NoEngine(_no_engine(closed))


def place(fetch: Callable[[Path], None], target: Path) -> None:
    """Fills a folder beside the target and renames it: what bears the target's name is always whole."""
    target.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(prefix=SCRATCH, dir=target.parent) as scratch:
        new = Path(scratch) / "engine"
        new.mkdir()
        fetch(new)
        if not complete(new / "bin"):
            raise NotThisWay(f"what came is not whole: {', '.join(_missing(new / 'bin'))} missing")
        if target.exists() and not complete(target / "bin"):
            target.rename(Path(scratch) / "broken")
        try:
            new.rename(target)
        except OSError:
            if not complete(target / "bin"):  # else another was quicker, and its engine is as good
                raise


# --- what is there already --------------------------------------------------------------------


def cache_folder() -> Path:
    """This project's folder in the user's cache."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "pulumi-pinata"


def complete(folder: Path) -> bool:
    """Whether the folder has every part of an engine."""
    return not _missing(folder)


def identity(folder: Path, search_path: str) -> str:
    """Changes when the engine in the folder does, or when PATH has another `pulumi` to look at."""
    first = shutil.which("pulumi", path=_without_cache(search_path))
    return "\n".join(_file_identity(Path(file)) for file in (folder / "pulumi", first) if file)


def on_path(search_path: str) -> Path:
    """The folder of the `pulumi` on PATH, when it fits and has its Python parts."""
    pulumi = shutil.which("pulumi", path=_without_cache(search_path))
    if pulumi is None:
        raise NotThisWay("no pulumi on PATH")
    version = _version_of([pulumi, "version"])
    if version[:1] != OLDEST[:1] or version < OLDEST:
        raise NotThisWay(f"{pulumi} is {_dotted(version)}, needed is {_dotted(OLDEST)} or newer 3.x")
    # Pulumi looks beside itself, where its links lead, and on PATH.
    around = os.pathsep.join([str(Path(pulumi).parent), str(Path(pulumi).resolve().parent), search_path])
    missing = [part for part in PARTS if shutil.which(part, path=around) is None]
    if missing:
        raise NotThisWay(f"{pulumi} has no {' and no '.join(missing)} beside it or on PATH")
    return Path(pulumi).parent


# --- the ways to an engine of our own ---------------------------------------------------------


def download(python: Path, folder: Path) -> None:
    """Pulumi's own installer, as its Python SDK runs it."""
    command = [str(python), "-E", "-s", str(RECIPES.with_name("download.py")), str(folder), VERSION]
    try:
        progress.run(f"downloading the Pulumi engine {VERSION} with its own installer", command, limit=600)
    except progress.StepFailed as error:
        raise NotThisWay(str(error)) from None


def build(folder: Path) -> None:
    """Both programs from Go modules; the two scripts beside them come with the modules."""
    go = find_go()
    bin_folder = folder / "bin"
    bin_folder.mkdir()
    cli, language_host = RECIPES / "cli", RECIPES / "langhost"
    go_build(go, cli, CLI, bin_folder, "building the Pulumi engine from its Go module (about 4 minutes)")
    go_build(go, language_host, LANGUAGE_HOST, bin_folder, "building its Python language host (about 30 s)")
    for recipe, script in (
        (cli, "python/dist/pulumi-resource-pulumi-python"),
        (language_host, "python/cmd/pulumi-language-python-exec"),
    ):
        copied = shutil.copyfile(sdk_source(go, recipe) / script, bin_folder / Path(script).name)
        copied.chmod(0o755)


def find_go() -> str:
    """A Go that is new enough."""
    go = shutil.which("go")
    if go is None:
        raise NotThisWay("no go on PATH")
    version = _version_of([go, "env", "GOVERSION"])
    if version < tuple(map(int, go_needed().split("."))):
        raise NotThisWay(f"{go} is {_dotted(version)}, needed is {go_needed()} or newer")
    return go


def go_needed() -> str:
    """The oldest Go that the engine's modules accept."""
    found = re.search(r"^go ([\d.]+)$", (RECIPES / "cli" / "go.mod").read_text(), re.MULTILINE)
    assert found, "go.mod names no Go version"
    return found[1]


def go_build(go: str, recipe: Path, package: str, into: Path, what: str) -> None:
    """One program, at exactly the versions of the recipe's go.sum."""
    flags = f"-s -w -X {SDK}/go/common/version.Version=v{VERSION}"
    command = [go, "build", "-mod=readonly", "-buildvcs=false", "-trimpath", "-ldflags", flags]
    try:
        progress.run(what, [*command, "-o", f"{into}/", package], env=_go_environment(), cwd=recipe)
    except progress.StepFailed as error:
        raise NotThisWay(str(error)) from None


def sdk_source(go: str, recipe: Path) -> Path:
    """Where Go keeps the SDK module at the recipe's version."""
    command = [go, "list", "-mod=readonly", "-m", "-f", "{{.Dir}}", SDK]
    return Path(subprocess.check_output(command, env=_go_environment(), cwd=recipe, text=True).strip())


def _go_environment() -> dict[str, str]:
    """The user's own proxy and caches, but none of the settings that would build something else."""
    unwanted = {"GOOS", "GOARCH", "GOEXPERIMENT", "GOBIN"}
    ours = {"GOTOOLCHAIN": "local", "GOFLAGS": "", "GOWORK": "off", "GO111MODULE": "on", "CGO_ENABLED": "0"}
    return {name: value for name, value in os.environ.items() if name not in unwanted} | ours


# --- small things -----------------------------------------------------------------------------


def _version_of(command: Sequence[str]) -> tuple[int, ...]:
    environment = os.environ | {"PULUMI_SKIP_UPDATE_CHECK": "true", "GOTOOLCHAIN": "local"}
    try:
        out = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=30, check=True).stdout
    except (OSError, subprocess.SubprocessError) as error:
        raise NotThisWay(f"`{' '.join(command)}` does not work: {error}") from None
    found = re.search(r"(\d+)\.(\d+)(?:\.(\d+))?", out)
    if found is None:
        raise NotThisWay(f"`{' '.join(command)}` names no version: {out.strip()[:80]}")
    return tuple(int(number) for number in found.groups("0"))


def _dotted(version: tuple[int, ...]) -> str:
    return ".".join(map(str, version))


def _missing(folder: Path) -> list[str]:
    return [part for part in PARTS if not os.access(folder / part, os.X_OK)]


def _file_identity(file: Path) -> str:
    status = file.stat()
    return f"{file} {status.st_size} {status.st_mtime_ns}"


def _without_cache(search_path: str) -> str:
    """PATH less our own engines: inside script/run they are on it, and are no engine of the user's."""
    ours = str(cache_folder())
    return os.pathsep.join(folder for folder in search_path.split(os.pathsep) if not folder.startswith(ours))


def _no_engine(closed: Iterable[tuple[str, str]]) -> str:
    lines = [f"  - {advice}\n      (now: {_indented(reason)})" for advice, reason in closed]
    return "\n".join(["no Pulumi engine can be had here. Do one of these, then run this again:", *lines])


def _indented(text: str) -> str:
    return text.replace("\n", "\n      ")


if __name__ == "__main__":
    sys.exit(main())
