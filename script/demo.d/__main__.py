"""Plays the story on the stage, and sums it up."""

from __future__ import annotations

import os
import signal
import sys
import time
from collections.abc import Callable

from screen import Screen
from stage import ACCOUNTS, Stage, opened
from story import STEPS, Unexpected

ABOUT = "about a minute"


def main() -> int:
    """Returns 0 when every step held, 1 when one did not, 130 after Ctrl-C, 141 when nobody reads on."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # so that everything is ended and tidied up
    screen = Screen()
    screen.heading("pulumi-pinata: Pinata Inference as declared state, its keys in Vault")
    screen.tell("Pulumi's engine and the Vault server (OpenBao) are real; Pinata is a stand-in on this machine.")
    screen.tell(f"{len(STEPS)} steps, {ABOUT}. No account, no money; nothing is left behind.")
    try:
        with opened(screen) as stage:
            return play(stage)
    except KeyboardInterrupt:
        screen.failed("stopped; everything that was started is ended")
        return 130
    except BrokenPipeError:  # script/demo | head
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # else Python complains once more at its end
        return 141


def play(stage: Stage) -> int:
    """All steps until one fails, then the table."""
    began = time.monotonic()
    rows = [["", "step", "result", *(f"mints {name}" for name in ACCOUNTS), "keys lost", "seconds"]]
    lost = 0
    for number, (title, step) in enumerate(STEPS, 1):
        stage.screen.title(number, title)
        step_began = time.monotonic()
        held = holds(stage, step)
        lost_now = sum(map(stage.is_lost, ACCOUNTS))
        lost += lost_now
        mints = [str(stage.mints(name)) for name in ACCOUNTS]
        seconds = f"{time.monotonic() - step_began:.1f}"
        rows.append([str(number), title, "✓" if held else "✗", *mints, str(lost_now), seconds])
        if not held:
            break
    stage.screen.heading("\nSummary")
    stage.screen.table(rows)
    done = sum(row[2] == "✓" for row in rows)
    seconds = f"{time.monotonic() - began:.0f} s"
    stage.screen.heading(f"\n{done} of {len(STEPS)} steps ✓, keys lost {lost}, {len(stage.keys)} mints, {seconds}")
    return 0 if done == len(STEPS) and not lost else 1


def holds(stage: Stage, step: Callable[[Stage], None]) -> bool:
    """Whether the step saw what it had to; if not, it says so."""
    try:
        step(stage)
    except (Unexpected, TimeoutError) as error:
        stage.screen.failed(str(error))
        return False
    return True


if __name__ == "__main__":
    sys.exit(main())
