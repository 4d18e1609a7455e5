"""The account's state machine, without HTTP, on a clock that the test moves."""

import hashlib
from collections.abc import Callable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pulumi_pinata.sandbox.accounts import Account, Rejected
from pulumi_pinata.sandbox.credits import Balance, Credits, TopUp
from pulumi_pinata.sandbox.variants import Variants


def an_account(clock: Callable[[], float] = lambda: 1_800_000_000.0, **variants: object) -> Account:
    return Account(clock=clock, variants=Variants().changed(variants))


def test_a_key_is_one_header_safe_line_and_is_the_live_one() -> None:
    account = an_account()
    key = account.enable()
    assert key is not None
    assert key.startswith("pnk_")
    assert key.isascii()
    assert set() == set(key) - set("abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_")
    assert account.accepts(key)
    assert hashlib.sha256(key.encode()).hexdigest() == account.snapshot().live_key_sha256


def test_enable_after_disable_mints_a_new_key_and_a_new_created_at() -> None:
    account = an_account()
    first, created_at = account.enable(), account.status()
    account.disable()
    second = account.enable()
    assert first is not None
    assert second is not None
    assert first != second
    assert created_at != account.status()
    assert (False, True) == (account.accepts(first), account.accepts(second))
    assert (2, 1) == (account.snapshot().mints, account.snapshot().disables)


def test_reenable_rotate_kills_the_old_key() -> None:
    account = an_account(reenable="rotate")
    first, created_at = account.enable(), account.status()
    second = account.enable()
    assert first is not None
    assert second is not None
    assert (False, True) == (account.accepts(first), account.accepts(second))
    assert created_at != account.status()


def test_reenable_rotate_may_keep_created_at() -> None:
    account = an_account(reenable="rotate", created_at_on_reenable="stays")
    first, created_at = account.enable(), account.status()
    assert first != account.enable()
    assert created_at == account.status()


def test_reenable_same_gives_the_same_key_again() -> None:
    account = an_account(reenable="same")
    assert account.enable() == account.enable()
    assert 1 == account.snapshot().mints


def test_reenable_no_key_succeeds_without_a_key_and_leaves_the_live_one() -> None:
    account = an_account(reenable="no_key")
    key = account.enable()
    assert key is not None
    assert account.enable() is None
    assert account.accepts(key)


def test_reenable_conflict_is_409_and_leaves_the_live_one() -> None:
    account = an_account(reenable="conflict")
    key = account.enable()
    assert key is not None
    with pytest.raises(Rejected) as caught:
        account.enable()
    assert 409 == caught.value.status
    assert account.accepts(key)


@pytest.mark.parametrize(("variant", "status"), [("not_found", 404), ("conflict", 409)])
def test_disable_when_off_may_be_refused(variant: str, status: int) -> None:
    account = an_account(disable_when_off=variant)
    with pytest.raises(Rejected) as caught:
        account.disable()
    assert status == caught.value.status


def test_disable_when_off_may_be_a_success_that_counts_for_nothing() -> None:
    account = an_account(disable_when_off="ok")
    account.disable()
    assert 0 == account.snapshot().disables


def test_status_lags_behind_every_change_in_order() -> None:
    now = [1_800_000_000.0]
    account = an_account(lambda: now[0], status_lag=5)
    account.enable()
    assert account.status() is None
    now[0] += 3
    account.disable()
    now[0] += 3
    assert account.status() is not None
    now[0] += 3
    assert account.status() is None
    assert not account.snapshot().enabled


def test_two_mints_in_one_millisecond_have_two_created_ats() -> None:
    account = an_account()
    seen = set()
    for _ in range(20):
        account.enable()
        seen.add(account.status())
    assert 20 == len(seen)


@settings(deadline=None)
@given(st.text())
def test_a_strangers_text_is_never_a_live_key(text: str) -> None:
    account = an_account()
    account.enable()
    assert not account.accepts(text)
    assert not account.accepts(f"pnk_{text}")


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(1, 500), st.integers(0, 800)), max_size=20))
def test_credits_are_never_overdrawn_and_holds_are_given_back(draws: list[tuple[int, int]]) -> None:
    credits = Credits(0.002)
    for wanted, used in draws:
        held = credits.hold(wanted)
        if held is not None:
            credits.settle(held=held, used=used)
    balance = credits.balance()
    assert 0.0 == balance.loaned
    assert 0 <= balance.available <= 0.002


def test_a_hold_is_loaned_until_it_is_settled() -> None:
    credits = Credits(1)
    held = credits.hold(500_000)
    assert Balance(total=1.0, loaned=0.5, available=0.5) == credits.balance()
    credits.settle(held=held or 0, used=200_000)
    assert Balance(total=0.8, loaned=0.0, available=0.8) == credits.balance()


def test_auto_top_up_fires_below_its_threshold() -> None:
    credits = Credits(10)
    credits.topup = TopUp(10, 50)
    held = credits.hold(1_000_000)
    credits.settle(held=held or 0, used=1_000_000)
    assert 59.0 == credits.balance().available


@pytest.mark.parametrize(
    "changes",
    [{"reenable": "maybe"}, {"nonsense": 1}, {"enable_status": 204}, {"status_lag": -1}, {"status_lag": "x"}],
)
def test_a_bad_variant_is_named(changes: dict[str, object]) -> None:
    with pytest.raises(ValueError, match=next(iter(changes))):
        Variants().changed(changes)
