"""The exhaustive part: every scenario and variant of tests/core/test_crash_sweep.py, broken at every call."""

from doubles import Variant
from test_crash_sweep import SCENARIOS, VARIANTS, Scenario, _crashing, _failing, broken_runs, calls_of

CASES = tuple((scenario, variant) for scenario in range(len(SCENARIOS)) for variant in range(len(VARIANTS)))


def sweep(scenario: int, variant: int) -> tuple[int, list[str]]:
    """How many runs were broken, and what went wrong in them."""
    which, how = SCENARIOS[scenario], VARIANTS[variant]
    stories = [*_crashing(calls_of(which, how)), *_failing(calls_of(which, how))]
    problems = broken_runs(which, how, stories)
    return len(stories), [f"{name(which, how)}: {problem}" for problem in problems]


def name(scenario: Scenario, variant: Variant) -> str:
    return f"{scenario} ({variant})"
