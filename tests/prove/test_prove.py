"""A short slice of the proof, and its command; `script/prove` runs as much of it as one likes."""

import io
import re
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from prove import command
from prove.machine import Life
from prove.runner import run

ROOT = Path(__file__).parent.parent.parent
SLICE, SEED = 800, 7


def test_no_key_is_lost_in_a_slice_of_random_runs() -> None:
    part = command.prove(SEED, 0, SLICE)

    assert () == part.failures
    assert (0, 0, 0) == (part.tally.lost, part.tally.leaked, part.tally.left_open)


def test_the_slice_is_worth_its_time() -> None:
    tally = command.prove(SEED, 0, 100).tally

    assert tally.convergences >= 99
    for name in ("crashes", "lost_replies", "late_effects", "errors", "pauses", "rivals", "outages", "people"):
        assert getattr(tally, name) > 10, name


def test_a_run_is_a_function_of_its_seed() -> None:
    assert run("7/3") == run("7/3")
    assert run("7/3").events != run("7/4").events


def test_no_key_is_lost_in_stories_that_hypothesis_makes_up() -> None:
    profile = settings(
        max_examples=120,
        stateful_step_count=8,
        deadline=None,
        derandomize=True,
        database=None,
        suppress_health_check=list(HealthCheck),
    )

    run_state_machine_as_test(Life, settings=profile)


@pytest.mark.parametrize(
    ("arguments", "line"),
    [
        (["--runs", "0"], "script/prove: --runs must be 1 or more\n"),
        (["--runs", "many"], "script/prove: argument --runs: invalid int value: 'many'\n"),
        (["--jobs", "-1"], "script/prove: --jobs must be 1 or more\n"),
        (["--only", "-3"], "script/prove: --only must be 0 or more\n"),
        (["--fast"], "script/prove: unrecognized arguments: --fast\n"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(
    arguments: list[str], line: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as stopped:
        command.main(arguments)

    assert 2 == stopped.value.code
    assert line == capsys.readouterr().err


def test_one_run_is_told_line_by_line() -> None:
    out = io.StringIO()

    assert 0 == command.main(["--seed", "7", "--only", "3"], out)

    assert "up-1 starts" in out.getvalue()
    assert out.getvalue().endswith("run 3 of seed 7: all held\n")


def test_a_failure_is_reported_with_the_line_that_repeats_it() -> None:
    options = command.parse(["--seed", "7", "--runs", "20"])
    total = command.Total(failures=[(12, "key 1 is live, nowhere")])
    total.tally.runs, total.tally.lost = 20, 1

    lines = command.report(total, options, 1.0, finished=True)

    assert ["FAILED: key 1 is live, nowhere", "    script/prove --seed 7 --only 12"] == lines[-2:]
    assert any(re.fullmatch(r"keys lost +1", line) for line in lines)


def test_no_loss_is_reported_with_what_it_proves() -> None:
    total = command.Total()
    total.tally.runs = 3000

    lines = command.report(total, command.parse([]), 1.0, finished=True)

    assert any("upper bound 1.0e-03 a run" in line for line in lines)


def test_a_run_that_was_stopped_says_so() -> None:
    lines = command.report(command.Total(), command.parse(["--runs", "50"]), 1.0, finished=False)

    assert "(stopped; 50 were asked for)" in lines[0]
