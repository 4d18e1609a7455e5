"""Many at a time: that time passes is told while one of them takes long."""

from threading import Event

import pytest

from reconciler.pool import each


def test_while_one_takes_long_it_is_told_that_time_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reconciler.pool.TICK", 0.01)
    told = Event()

    found = list(each(["slow"], lambda item: told.wait(30), workers=1, stop=Event(), tick=told.set))

    assert [("slow", True)] == found


def test_those_that_have_ended_are_given_while_others_still_take_long(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("reconciler.pool.TICK", 0.01)
    told, given = Event(), Event()

    def work(item: str) -> bool:
        return item == "quick" or (given.wait(30) and told.wait(30))

    def tick() -> None:
        if given.is_set():
            told.set()

    found = []
    for item, result in each(["slow", "quick"], work, workers=2, stop=Event(), tick=tick):
        given.set()
        found.append((item, result))

    assert [("quick", True), ("slow", True)] == found
