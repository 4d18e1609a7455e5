"""Makes a clone ready to work in: `.venv` as locked, the project in it, the Pulumi engine beside it.

Started by `script/setup`, which finds the Python. Two files in `.venv` say what is there: `setup-stamp`
(compared on every start, so that nothing is done twice) and `engine-bin` (the engine's folder).
Does not belong here: how an engine is had (engine.py), what commands get to see (script/run).
"""

from __future__ import annotations

import hashlib
import os
import signal
import sys
from pathlib import Path

import engine
import exclusive
import progress

ROOT = Path(__file__).resolve().parent.parent
VENV = ROOT / ".venv"
VENV_PYTHON = VENV / "bin" / "python"
MADE_FOR = VENV / "made-for"
STAMP = VENV / "setup-stamp"
ENGINE_BIN = VENV / "engine-bin"
LOCK_FILE = ROOT / "constraints.txt"


def main() -> int:
    """Does what is still to be done, one run at a time."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that a step's processes are ended too
    if is_done():
        return 0
    clone = hashlib.sha256(os.fsencode(ROOT)).hexdigest()[:16]
    try:
        with exclusive.held(engine.cache_folder() / f"setup-{clone}.lock", f"another set-up of {ROOT}"):
            if not is_done():
                set_up()
    except (progress.StepFailed, engine.NoEngine, OSError) as error:
        progress.say(f"script/setup: {error}")
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def is_done() -> bool:
    """Whether the last complete run left exactly what this one would."""
    try:
        return STAMP.read_text() == stamp(Path(ENGINE_BIN.read_text().rstrip("\n")))
    except OSError:
        return False


def stamp(engine_bin: Path) -> str:
    """What the set-up depends on: lock, project file, this clone's place, and the engine as it is now."""
    digest = hashlib.sha256()
    for file in (LOCK_FILE, ROOT / "pyproject.toml"):
        digest.update(file.read_bytes())
    return f"{digest.hexdigest()}\n{ROOT}\n{engine.identity(engine_bin, os.environ.get('PATH', ''))}\n"


def set_up() -> None:
    """Each step finds by itself what an earlier, interrupted run has done already."""
    STAMP.unlink(missing_ok=True)
    make_venv()
    install_locked()
    install_project()
    engine_bin = engine.ensure(os.environ.get("PATH", ""), engine.ways(VENV_PYTHON))
    ENGINE_BIN.write_text(f"{engine_bin}\n")
    STAMP.write_text(stamp(engine_bin))
    progress.say(f"ready: {VENV} and the Pulumi engine in {engine_bin}")


def make_venv() -> None:
    """A venv that this clone made and that still starts is kept."""
    if sys.prefix == str(VENV):  # script/setup starts it only when it is this clone's own
        return
    # --clear: what is there was made for another place, or by something else, or its Python is gone.
    command = [sys.executable, "-m", "venv", "--clear", str(VENV)]
    try:
        progress.run(f"making .venv with Python {sys.version.split()[0]}", command)
    except progress.StepFailed as error:
        raise progress.StepFailed(f"{error}\nDebian, Ubuntu: install python3-venv, then run this again") from None
    MADE_FOR.write_text(f"{ROOT}\n")


def install_locked() -> None:
    """Everything but the project itself, build backend included, only as hashed in the lock."""
    pip("installing the locked packages", "install", "--require-hashes", "-r", str(LOCK_FILE))


def install_project() -> None:
    """The project, editable, with nothing fetched; then whether the lock still has all that it asks for."""
    pip("installing the project", "install", "--no-deps", "--no-build-isolation", "-e", str(ROOT))
    try:
        pip("checking that the lock has all that the project needs", "check")
    except progress.StepFailed as error:
        raise progress.StepFailed(
            f"{error}\nwhen pyproject.toml has changed: remake constraints.txt with script/lock"
        ) from None


def pip(what: str, *arguments: str) -> None:
    """One pip command in the venv; the user's index settings hold, "install for the user" does not."""
    environment = os.environ | {"PIP_USER": "0", "PIP_DISABLE_PIP_VERSION_CHECK": "1"}
    command = [str(VENV_PYTHON), "-E", "-s", "-m", "pip", "--no-input", "--quiet", *arguments]
    progress.run(what, command, env=environment, cwd=ROOT)


if __name__ == "__main__":
    sys.exit(main())
