"""Ports that report each of their calls: which, how it ended, how long it took; and that ask again where told to."""

import time
from collections.abc import Callable
from typing import Any, TypeVar, cast

from pulumi_pinata.core.errors import Ambiguous, Conflict, PinataError, Transient

T = TypeVar("T")

OK = "ok"


Called = Callable[[str, float, PinataError | None], None]
"""Hears of a call that has ended: its name, how long it took in seconds, and its error where it failed."""


def metered(port: T, called: Called, again: Callable[[str, int, PinataError], bool] = lambda *_: False) -> T:
    """`port`, with each call of a method reported; `close` is none.

    `again(operation, attempt, error)` decides whether a call that failed is sent once more (attempts from 0); it has
    waited by then. Each sending is reported.
    """
    return cast("T", _Metered(port, called, again))


def result_of(error: PinataError | None) -> str:
    """How a call ended, in a word: ok, transient, ambiguous, conflict or refused."""
    if error is None:
        return OK
    for kind in (Transient, Ambiguous, Conflict):
        if isinstance(error, kind):
            return kind.__name__.lower()
    return "refused"


class _Metered:
    def __init__(self, port: object, called: Called, again: Callable[[str, int, PinataError], bool]) -> None:
        self._port = port
        self._called = called
        self._again = again

    def __getattr__(self, operation: str) -> Any:
        method = getattr(self._port, operation)
        if operation == "close":
            return method

        def call(*args: Any, **kwargs: Any) -> Any:
            attempt = 0
            while True:
                begun = time.monotonic()
                try:
                    found = method(*args, **kwargs)
                except PinataError as error:
                    self._called(operation, time.monotonic() - begun, error)
                    if not self._again(operation, attempt, error):
                        raise
                    attempt += 1
                else:
                    self._called(operation, time.monotonic() - begun, None)
                    return found

        return call
