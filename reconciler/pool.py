"""Many accounts at a time, and no more than so many; an end that was asked for begins no new one."""

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from queue import Empty, SimpleQueue
from threading import Event
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")

WORKERS = 25
"""Accounts at a time unless told otherwise: 100 calls a second, the default rate, of 0.25 s an account."""
TICK = 5.0


def each(
    items: Iterable[T],
    work: Callable[[T], R],
    *,
    workers: int,
    stop: Event,
    tick: Callable[[], object] = lambda: None,
) -> Iterator[tuple[T, R | None]]:
    """Items with the results of `work`, as they come; None for those that `stop` kept from being begun.

    `tick` is called every TICK seconds while none comes.
    """

    def begun(item: T) -> R | None:
        return None if stop.is_set() else work(item)

    executor = ThreadPoolExecutor(workers, thread_name_prefix="account")
    try:
        futures = {executor.submit(begun, item): item for item in items}
        done: SimpleQueue[Future[R | None]] = SimpleQueue()
        for future in futures:
            future.add_done_callback(done.put)
        while futures:
            try:
                future = done.get(timeout=TICK)
            except Empty:
                tick()
            else:
                yield futures.pop(future), future.result()
    finally:
        # What runs is never abandoned: it may be between a mint and its store.
        executor.shutdown(wait=True, cancel_futures=True)
