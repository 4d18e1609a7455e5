"""One at a time, across processes: a lock that the kernel lets go when its holder dies.

Does not belong here: what is done under the lock.
"""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import progress


@contextmanager
def held(file: Path, other: str) -> Iterator[None]:
    """Holds the lock; when another holds it, says so (`other` is at work) and waits."""
    file.parent.mkdir(parents=True, exist_ok=True)
    # The file stays: removing it would let two runs hold locks on two files of the same name.
    with file.open("w") as handle:
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            progress.say(f"{other} is at work; waiting for it (some minutes at most) …")
            fcntl.flock(handle, fcntl.LOCK_EX)
        yield
