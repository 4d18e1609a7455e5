"""Processes in virtual time: threads of which one runs at any moment, so that a run is a function of its seed."""

import heapq
import random
import threading
from collections.abc import Callable
from typing import Any

from doubles import Killed


class Task:
    """One simulated process: `body` runs until it waits for the first time, and on when its time has come."""

    def __init__(self, name: str, body: Callable[[], None]) -> None:
        self.name = name
        self.body = body
        self.baton = threading.Lock()
        self.baton.acquire()


class Simulation:
    """A queue of what happens when; ties are broken by the seed."""

    def __init__(self, rng: random.Random) -> None:
        self.now = 1000.0
        self.stopped = False
        self._rng = rng
        self._queue: list[tuple[float, float, int, Task | Callable[[], object]]] = []
        self._count = 0
        self._main = Task("main", lambda: None)
        self._current: Task = self._main
        self._failure: BaseException | None = None

    @property
    def current(self) -> Task:
        """Whoever runs now."""
        return self._current

    def at(self, seconds: float, what: Task | Callable[[], object]) -> None:
        """Let `what` happen in `seconds` from now."""
        self._count += 1
        heapq.heappush(self._queue, (self.now + seconds, self._rng.random(), self._count, what))

    def spawn(self, name: str, body: Callable[[], None], delay: float = 0.0) -> None:
        """Start a process in `delay` seconds."""
        task = Task(name, body)
        thread = threading.Thread(target=self._live, args=(task,), daemon=True)
        thread.start()
        self.at(delay, task)

    def wait(self, seconds: float) -> None:
        """Let the calling process, and nobody else, wait; others run meanwhile."""
        me = self._current
        self.at(0.0 if self.stopped else seconds, me)
        self._hand_over(me)
        if self.stopped:
            raise Killed

    def run(self) -> None:
        """Until nobody is left and nothing is to happen any more."""
        if self._queue:
            self._hand_over(self._main)
        if self._failure:
            failure, self._failure = self._failure, None
            raise failure

    def _hand_over(self, me: Task) -> None:
        upcoming = self._next()
        if upcoming is me:
            return
        self._current = upcoming
        upcoming.baton.release()
        me.baton.acquire()
        self._current = me

    def _next(self) -> Task:
        while self._queue:
            due, _, _, what = heapq.heappop(self._queue)
            self.now = max(self.now, due)
            if isinstance(what, Task):
                return what
            what()
        return self._main

    def _live(self, me: Task) -> None:
        me.baton.acquire()
        self._current = me
        try:
            me.body()
        except BaseException as failure:  # a mistake of the prover itself: shown by `run`
            self._failure = self._failure or failure
            self.stopped = True
        upcoming = self._next()
        self._current = upcoming
        upcoming.baton.release()


class OwnClock:
    """The clock of one process: as fast as everybody's, but a day or more apart from it."""

    def __init__(self, simulation: Simulation, offset: float) -> None:
        self._simulation = simulation
        self._offset = offset

    def monotonic(self) -> float:
        return self._simulation.now + self._offset

    def sleep(self, seconds: float) -> None:
        self._simulation.wait(seconds)


class Port:
    """A port whose every call goes through `through(name, effect)`."""

    def __init__(self, port: object, kind: str, through: Callable[[str, Callable[[], Any]], Any]) -> None:
        self._port, self._kind, self._through = port, kind, through

    def __repr__(self) -> str:
        return f"<{self._kind} {self._port!r}>"

    def __getattr__(self, name: str) -> Callable[..., Any]:
        method = getattr(self._port, name)
        return lambda *args, **kwargs: self._through(f"{self._kind}.{name}", lambda: method(*args, **kwargs))
