"""Putting off SIGTERM and Ctrl-C while a fresh key is in memory and nowhere else."""

import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

_PUT_OFF = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def shielded() -> Iterator[None]:
    """Deliver SIGINT and SIGTERM at the end of the block instead of in it; the block's own timeouts bound the wait.

    Python lets only the main thread have handlers. In another one (Pulumi's provider works in such) Ctrl-C ends the
    main thread alone and the interpreter waits for the others, so that nothing need be done; SIGTERM kills, and the
    open intent is what repairs that.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    arrived: list[int] = []

    def note(number: int, _frame: FrameType | None) -> None:
        arrived.append(number)

    before = {number: signal.signal(number, note) for number in _PUT_OFF}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        for late in dict.fromkeys(arrived):
            signal.raise_signal(late)
