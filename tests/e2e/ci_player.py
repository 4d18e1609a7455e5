"""Plays what a CI system would do with a workflow: which steps run, with what environment, in a real shell.

As much of GitHub's and GitLab's language as the examples use; anything else is an error, not a guess.
"""

import os
import re
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import yaml

# What an example names but a test cannot do: their arguments go to a file.
_RECORDER = """#!/bin/sh
for each in "$@"; do printf '%s\\n' "$each"; done >> "$(dirname "$0")/$(basename "$0").log"
{more}
"""
_TOKEN = re.compile(r"\s*(?:(?P<text>'[^']*'|\"[^\"]*\")|(?P<sign>&&|\|\||==|!=|\(|\))|(?P<name>\$?[A-Za-z_][\w.]*))")
_SIGNS = {"&&": " and ", "||": " or "}


def truth(expression: str, known: Callable[[str], object]) -> object:
    """Evaluate an `if:`; both systems' operators are the same in the examples. `known` gives a name's value."""
    made, place = "", 0
    while place < len(expression.rstrip()):
        match = _TOKEN.match(expression, place)
        assert match, f"cannot read {expression[place:]!r}"
        text, sign, name = match.group("text", "sign", "name")
        made += _SIGNS.get(sign, sign) if sign else repr(text[1:-1]) if text else repr(known(name.lstrip("$")))
        place = match.end()
    return eval(made, {"__builtins__": {}})  # made of literals and six operators


@dataclass
class Played:
    """What came of it: the names of steps or jobs that ran, and the exit code of the last."""

    ran: list[str] = field(default_factory=list)
    code: int = 0
    out: str = ""


class Machine:
    """A runner: a folder with the programs that it has, and an environment in which ours are on PATH."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.programs = folder / "bin"
        self.programs.mkdir(parents=True)
        self.program("pip")
        clean = {k: v for k, v in os.environ.items() if not k.startswith(("PINATA_", "VAULT_", "GIT", "CI"))}
        path = os.pathsep.join((str(self.programs), str(Path(sys.prefix, "bin")), os.environ["PATH"]))
        self.env = {**clean, "PATH": path}

    def program(self, name: str, more: str = "") -> None:
        (self.programs / name).write_text(_RECORDER.format(more=more))
        (self.programs / name).chmod(0o755)

    def said(self, program: str) -> list[str]:
        """The arguments of all calls of a program, one after the other."""
        log = self.programs / f"{program}.log"
        return log.read_text().splitlines() if log.exists() else []

    def shell(self, script: str, where: Path, env: Mapping[str, str], *options: str) -> tuple[int, str]:
        done = subprocess.run(
            ["bash", *options, "-c", script],
            cwd=where,
            env={**self.env, **env},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            timeout=120,
        )
        return done.returncode, done.stdout


def github(machine: Machine, checkout: Path, context: Mapping[str, Any], env: Mapping[str, str]) -> Played:
    """Play the one workflow in `checkout` for an event. `context` is what expressions see, `env` the runner's own."""
    (file,) = (checkout / ".github/workflows").iterdir()
    workflow = yaml.safe_load(file.read_text())
    (job,) = workflow["jobs"].values()
    later = machine.folder / "github_env"
    later.write_text("")

    def known(name: str) -> object:
        value: Any = context
        for part in name.split("."):
            value = value.get(part, "") if isinstance(value, dict) else ""
        return value

    def filled(values: Mapping[str, object]) -> dict[str, str]:
        return {
            name: re.sub(r"\$\{\{(.*?)\}\}", lambda match: str(truth(match[1], known)), str(value))
            for name, value in values.items()
        }

    played = Played()
    for step in job["steps"]:
        if "uses" in step or not truth(step.get("if", "'yes'"), known):
            continue
        set_before = dict(line.split("=", 1) for line in later.read_text().splitlines())
        own = {**filled(workflow.get("env", {})), **set_before, **filled(step.get("env", {}))}
        given = {**env, **own, "GITHUB_ENV": str(later)}
        played.ran.append(step["name"])
        played.code, out = machine.shell(step["run"], checkout, given, "-e")
        played.out += out
        if played.code:
            break
    return played


def gitlab(machine: Machine, checkout: Path, variables: Mapping[str, str], tokens: Mapping[str, str]) -> Played:
    """Play the pipeline of `checkout`. `variables` are those of project and pipeline; `tokens` are by audience."""
    pipeline = yaml.safe_load((checkout / ".gitlab-ci.yml").read_text())
    default, everywhere = pipeline.pop("default"), pipeline.pop("variables", {})

    def holds(rules: list[dict[str, str]]) -> bool:
        return any(truth(rule["if"], lambda name: variables.get(name, "")) for rule in rules)

    played = Played()
    failed: set[str] = set()
    if not holds(pipeline.pop("workflow")["rules"]):
        return played
    for name, job in pipeline.items():
        whole = {**default, **pipeline.get(job.get("extends"), {}), **job}
        if name.startswith(".") or ("rules" in whole and not holds(whole["rules"])):
            continue
        if failed & set(whole.get("needs", ())):
            continue
        signed = {key: tokens[each["aud"]] for key, each in whole.get("id_tokens", {}).items()}
        env = {**everywhere, **whole.get("variables", {}), **variables, **signed}
        played.ran.append(name)
        code, out = machine.shell(
            "\n".join([*whole["before_script"], *whole["script"]]), checkout, env, "-eo", "pipefail"
        )
        played.out += out
        played.code = played.code or code
        failed |= {name} if code else set()
    return played
