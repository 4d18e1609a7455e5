"""When a key is due by its age, in every form in which Pinata may name its birth."""

from datetime import datetime, timedelta, timezone

import pytest

from reconciler.manifest.declared import Rotation, Window
from reconciler.rotation import created, due_at, is_due, is_open

BORN = datetime(2026, 3, 1, 12, 30, 15, tzinfo=timezone.utc)


@pytest.mark.parametrize(
    "text",
    [
        "2026-03-01T12:30:15Z",
        "2026-03-01T12:30:15z",
        "2026-03-01T12:30:15.0Z",
        "2026-03-01T12:30:15.000000000Z",
        "2026-03-01T13:30:15+01:00",
        "2026-03-01 12:30:15",
        "1772368215",
        "1772368215000",
        " 1772368215.0 ",
    ],
)
def test_every_form_of_a_moment_is_read(text: str) -> None:
    assert BORN == created(text)


@pytest.mark.parametrize("text", [None, "", "yesterday", "nan", "inf", "1e400", "2026-13-01", "-9e99", ".", "T.Z"])
def test_what_names_no_moment_is_of_unknown_age_and_never_due(text: str | None) -> None:
    assert created(text) is None
    assert not is_due(Rotation(max_age=timedelta(hours=1)), text, BORN)


def test_a_key_is_due_at_its_age_and_not_before() -> None:
    rotation = Rotation(max_age=timedelta(days=30))
    due = BORN + timedelta(days=30)

    assert due == due_at(rotation, "2026-03-01T12:30:15Z")
    assert [False, True] == [is_due(rotation, "2026-03-01T12:30:15Z", at) for at in (due - timedelta(seconds=1), due)]


def test_without_an_age_nothing_is_due_and_a_birth_in_the_future_is_not_either() -> None:
    assert not is_due(Rotation(), "2026-03-01T12:30:15Z", BORN + timedelta(days=9999))
    assert not is_due(Rotation(max_age=timedelta(hours=1)), "9999-12-31T23:59:59Z", BORN)


@pytest.mark.parametrize(
    ("moment", "open_"),
    [
        ("2026-11-28T01:59", False),  # a Saturday
        ("2026-11-28T02:00", True),
        ("2026-11-28T04:59", True),
        ("2026-11-28T05:00", False),
        ("2026-11-27T03:00", False),
    ],
)
def test_a_window_is_open_from_its_start_to_its_end_on_its_days(moment: str, open_: bool) -> None:
    window = Window(frozenset({5}), 2 * 60, 5 * 60, "UTC")

    assert open_ == is_open(window, datetime.fromisoformat(moment).replace(tzinfo=timezone.utc))


@pytest.mark.parametrize(
    ("moment", "open_"),
    [
        ("2026-11-28T21:59", False),
        ("2026-11-28T22:00", True),
        ("2026-11-29T03:59", True),  # of the Saturday before
        ("2026-11-29T04:00", False),
        ("2026-11-28T03:00", False),  # of a Friday
        ("2026-11-29T22:00", False),
    ],
)
def test_a_window_past_midnight_belongs_to_the_day_on_which_it_opened(moment: str, open_: bool) -> None:
    window = Window(frozenset({5}), 22 * 60, 4 * 60, "UTC")

    assert open_ == is_open(window, datetime.fromisoformat(moment).replace(tzinfo=timezone.utc))


def test_a_window_is_in_its_own_time_zone() -> None:
    window = Window(frozenset(range(7)), 2 * 60, 3 * 60, "America/New_York")

    assert is_open(window, datetime(2026, 7, 1, 6, 30, tzinfo=timezone.utc))  # summer: UTC-4
    assert is_open(window, datetime(2026, 12, 1, 7, 30, tzinfo=timezone.utc))  # winter: UTC-5
    assert not is_open(window, datetime(2026, 12, 1, 6, 30, tzinfo=timezone.utc))


def test_a_due_key_waits_for_the_window() -> None:
    rotation = Rotation(timedelta(hours=1), Window(frozenset({5}), 0, 60, "UTC"))

    assert not is_due(rotation, "2026-03-01T12:30:15Z", datetime(2026, 11, 24, 0, 30, tzinfo=timezone.utc))
    assert is_due(rotation, "2026-03-01T12:30:15Z", datetime(2026, 11, 28, 0, 30, tzinfo=timezone.utc))
