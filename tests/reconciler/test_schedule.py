from fake_fleet import settings

from pulumi_pinata.core.errors import PinataError, Refused, Transient
from reconciler.fleetplan import Condition
from reconciler.loop.schedule import Waiting, after_failure, jittered

HERE, IN_VAULT = settings("a"), settings("a", credentials="vault:kv/a#jwt")


def failure(
    previous: Waiting | None = None,
    *,
    condition: Condition = Condition.UPSTREAM_UNAVAILABLE,
    error: PinataError | None = None,
    where: object = HERE,
    dice: float = 1.0,
    now: float = 100.0,
) -> Waiting:
    return after_failure(
        previous,
        where,  # type: ignore[arg-type]
        condition,
        error,
        declared="d",
        content="c",
        now=now,
        longest=300.0,
        dice=lambda: dice,
    )


def test_each_failure_in_a_row_doubles_the_wait_up_to_the_longest() -> None:
    waits, waiting = [], None
    for _ in range(8):
        waiting = failure(waiting)
        waits.append(waiting.at - 100.0)

    assert [5, 10, 20, 40, 80, 160, 300, 300] == waits


def test_chance_takes_up_to_half_of_the_wait() -> None:
    assert [102.5, 105.0] == [failure(dice=0.0).at, failure(dice=1.0).at]


def test_a_server_that_asks_for_a_longer_wait_gets_it_within_bounds() -> None:
    asked = [failure(error=Transient("busy", retry_after=seconds)).at for seconds in (1.0, 60.0, 9999.0)]

    assert [105.0, 160.0, 400.0] == asked


def test_a_refused_jwt_is_tried_again_once_a_day_however_often_it_was_refused() -> None:
    waiting = failure(condition=Condition.CREDENTIALS_INVALID, error=Refused("401"), dice=0.5)
    again = failure(waiting, condition=Condition.CREDENTIALS_INVALID, error=Refused("401"), dice=0.5)

    assert (100.0 + 86400, 100.0 + 86400) == (waiting.at, again.at)


def test_a_refused_jwt_is_tried_again_once_another_stands_in_its_place() -> None:
    waiting = failure(condition=Condition.CREDENTIALS_INVALID)

    assert [True, True] == [waiting.is_over(100.0, "d", "new"), waiting.is_over(100.0, "d", None)]


def test_a_jwt_that_is_kept_in_vault_is_looked_up_again_at_a_slow_pace() -> None:
    assert 700.0 == failure(condition=Condition.CREDENTIALS_INVALID, where=IN_VAULT).at


def test_a_changed_declaration_ends_the_wait() -> None:
    waiting = failure()

    assert [False, True, True] == [
        waiting.is_over(104.9, "d", "c"),
        waiting.is_over(105.0, "d", "c"),
        waiting.is_over(100.0, "other", "c"),
    ]


def test_an_interval_is_a_tenth_more_or_less() -> None:
    assert [270.0, 300.0, 330.0] == [round(jittered(300.0, iter([dice]).__next__), 6) for dice in (0.0, 0.5, 1.0)]
