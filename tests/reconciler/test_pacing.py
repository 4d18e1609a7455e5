"""How fast an upstream is asked, and when it is left alone; the clock is handed in."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from reconciler.pacing import Breaker, Bucket, Pause, full_jitter


def test_a_burst_goes_out_at_once_and_then_the_rate_holds() -> None:
    bucket = Bucket(rate=10, burst=20)
    for _ in range(20):
        assert 0 == bucket.wait(0.0)
        bucket.charge(0.0)

    assert 0.1 == pytest.approx(bucket.wait(0.0))
    assert 0 == bucket.wait(0.1)


def test_calls_in_the_middle_of_a_mint_go_into_debt_which_the_next_account_waits_for() -> None:
    bucket = Bucket(rate=10, burst=1)
    bucket.charge(0.0, 6)

    assert 0.6 == pytest.approx(bucket.wait(0.0))


def test_no_rate_means_no_wait() -> None:
    bucket = Bucket(rate=0, burst=1)
    bucket.charge(0.0, 1e6)

    assert 0 == bucket.wait(0.0)


@given(st.lists(st.tuples(st.floats(0, 5), st.floats(0, 5)), max_size=50))
def test_over_any_time_no_more_is_sent_than_rate_and_burst_allow(steps: list[tuple[float, float]]) -> None:
    bucket, now, sent = Bucket(rate=5, burst=10), 0.0, 0
    for pause, late in steps:
        now += pause + bucket.wait(now + pause) + late
        bucket.charge(now)
        sent += 1

    assert sent <= 5 * now + 10 + 1e-6


def test_a_clock_that_stands_or_goes_back_gives_no_tokens() -> None:
    bucket = Bucket(rate=10, burst=1)
    bucket.charge(5.0)

    assert 0.1 == pytest.approx(bucket.wait(4.0))


def test_the_breaker_opens_after_failures_in_a_row_and_lets_one_try_afterwards() -> None:
    breaker = Breaker(dice=lambda: 1.0, limit=3, base=4.0)
    for _ in range(2):
        breaker.failed(0.0)
    assert breaker.blocked(0.0) is None
    breaker.failed(0.0)

    assert 4.0 == breaker.blocked(0.0)
    assert breaker.blocked(4.0) is None  # the one that tries
    assert breaker.blocked(4.0) is not None  # the others
    breaker.failed(4.0)
    assert 8.0 == breaker.blocked(4.0)  # twice as long
    assert breaker.blocked(12.0) is None
    breaker.succeeded()
    assert (None, None) == (breaker.blocked(12.0), breaker.blocked(12.0))


def test_those_who_were_under_way_when_it_opened_do_not_make_it_wait_longer() -> None:
    breaker = Breaker(dice=lambda: 1.0, limit=3, base=4.0)
    for _ in range(16):
        breaker.failed(0.0)

    assert 4.0 == breaker.blocked(0.0)


def test_a_success_in_between_keeps_the_breaker_closed() -> None:
    breaker = Breaker(dice=lambda: 1.0, limit=2)
    for _ in range(10):
        breaker.failed(0.0)
        breaker.succeeded()

    assert breaker.blocked(0.0) is None


def test_a_try_that_tells_nothing_leaves_the_way_to_the_next() -> None:
    breaker = Breaker(dice=lambda: 0.0, limit=1)
    breaker.failed(0.0)
    assert breaker.blocked(1000.0) is None
    breaker.unsure()

    assert breaker.blocked(1000.0) is None


@given(st.integers(0, 1000), st.floats(0, 1))
def test_jitter_is_full_and_bounded(attempt: int, dice: float) -> None:
    wait = full_jitter(attempt, base=0.5, cap=30, dice=lambda: dice)

    assert 0 <= wait <= min(30, 0.5 * 2.0 ** min(attempt, 62))


def test_a_server_that_asks_for_hours_is_asked_again_after_a_minute() -> None:
    pause = Pause()
    pause.asked(0.0, 5.0)
    assert (5.0, 2.0, 0.0) == (pause.wait(0.0), pause.wait(3.0), pause.wait(9.0))
    pause.asked(0.0, 86400)

    assert 60.0 == pause.wait(0.0)
