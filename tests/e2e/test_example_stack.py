"""The commands in examples/stack/README.md, run as they stand there."""

import os
import re
import subprocess
from pathlib import Path

ROOT = Path(__file__).parents[2]
README = ROOT / "examples" / "stack" / "README.md"


def test_the_commands_in_the_readme_of_the_example_do_what_it_says(tmp_path: Path) -> None:
    (commands,) = re.findall(r"```sh\n(.*?)```", README.read_text(), re.DOTALL)
    sandbox = [ROOT / "script" / "run", "python", "-m", "pulumi_pinata.sandbox", "--exec"]
    # A person says yes where the test cannot.
    answers = {"PULUMI_SKIP_CONFIRMATIONS": "true", "PULUMI_HOME": str(tmp_path / "pulumi")}
    outer = {name: value for name, value in os.environ.items() if not name.startswith("PULUMI_")}

    done = subprocess.run(
        [*sandbox, "sh", "-eu", "-c", commands],
        cwd=ROOT,
        env=outer | answers | {"HOME": str(tmp_path), "XDG_CACHE_HOME": cache_folder()},
        capture_output=True,
        text=True,
        timeout=300,
    )

    assert 0 == done.returncode, done.stdout + done.stderr
    assert 2 == done.stdout.count("This is the Pinata sandbox. You sent 3 words.\n")
    assert "whatever uses secret/pinata/prod fails until it reads the new one" in done.stdout
    assert "- 4 deleted" in done.stdout
    assert "pnk_" not in done.stdout + done.stderr


def cache_folder() -> str:
    """Where the engine is, though the test gives HOME another value."""
    return os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
