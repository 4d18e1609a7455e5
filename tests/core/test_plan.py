"""What is decided, over every combination: rules that must hold whatever the code looks like, and the written table."""

from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import get_args

import pytest
from decision_table import DOMAINS, OTHERS, OURS, Row, rows, table
from doubles import HERE, FakeStore, Gate, Killed, Reenable, Variant, World, wanted
from hypothesis import given, settings
from hypothesis import strategies as st

from pulumi_pinata.core import execute, judgment, observe, plan
from pulumi_pinata.core.actions import (
    Action,
    Await,
    Disable,
    Finish,
    Mint,
    Move,
    Nothing,
    Refuse,
    Relabel,
    Rewrite,
    Undelete,
)
from pulumi_pinata.core.errors import Ambiguous, PinataError
from pulumi_pinata.core.model import Adopt, Desired, Liveness, Location, Mode, OnDelete, OnLostKey

ROWS = list(rows())
WRITES = (Mint, Finish, Relabel, Rewrite, Undelete, Move, Disable)


def broken(rule: Callable[[Row], bool]) -> list[str]:
    """The rows that break a rule, the first few of them."""
    found = (row for row in ROWS if not rule(row))
    return [
        f"{dict(zip(DOMAINS, row.values, strict=True))} -> {row.action}"
        for row, _ in zip(found, range(3), strict=False)
    ]


def enabled(row: Row) -> bool:
    return row["declared"] is Mode.ENABLED


def open_intent(row: Row) -> bool:
    return str(row["intent"]).startswith("open")


def test_every_combination_gives_exactly_one_action() -> None:
    assert not broken(lambda row: isinstance(row.action, get_args(Action)))


def test_deciding_twice_gives_the_same() -> None:
    assert not broken(lambda row: row.action == row.action)


def test_nothing_is_done_where_inference_is_only_observed() -> None:
    assert not broken(lambda row: row["declared"] is not Mode.OBSERVED or row.action == Nothing())


def test_nothing_is_minted_unless_inference_is_declared_enabled() -> None:
    assert not broken(lambda row: enabled(row) or not isinstance(row.action, Mint))


def test_nothing_is_switched_off_for_good_unless_that_is_declared() -> None:
    assert not broken(lambda row: row["declared"] is Mode.DISABLED or not isinstance(row.action, Disable))


def test_while_somebody_holds_an_open_intent_all_there_is_to_do_is_wait() -> None:
    assert not broken(
        lambda row: (
            row["intent"] != "held"
            or row["declared"] is Mode.OBSERVED
            or (row["account of"] == OTHERS and row["adopt"] is Adopt.OBSERVE)
            or isinstance(row.action, Await)
        )
    )


def test_nobody_waits_for_an_intent_whose_holder_is_gone() -> None:
    assert not broken(lambda row: row["intent"] == "held" or not isinstance(row.action, Await))


def test_a_foreign_path_is_never_written() -> None:
    assert not broken(
        lambda row: (
            row["Vault copy"] != "foreign path"
            or not isinstance(row.action, WRITES)
            or (isinstance(row.action, Disable) and not row.action.ours)
        )
    )


def test_a_path_that_is_labelled_by_somebody_else_is_never_written() -> None:
    labelled = ("current", "deleted", "rolled back", "lost", "stale", "of the attempt")
    assert not broken(
        lambda row: (
            row["account of"] == OURS
            or row["Vault copy"] not in labelled
            or not isinstance(row.action, WRITES)
            or (isinstance(row.action, Disable) and not row.action.ours)
        )
    )


def test_a_lost_or_stale_key_is_not_replaced_where_that_is_not_allowed() -> None:
    assert not broken(
        lambda row: (
            not (
                enabled(row)
                and row["inference"] == "on"
                and row["intent"] != "open: mint"
                and row["on_lost_key"] is OnLostKey.FAIL
                and row["Vault copy"] in ("lost", "stale")
                and row["rotate"] == "no"
                and row["account of"] == OURS
                and isinstance(row.action, Mint)
            )
        )
    )


def test_a_free_path_and_inference_off_is_a_mint_that_disables_nothing() -> None:
    assert not broken(
        lambda row: (
            not (
                enabled(row)
                and row["inference"] == "off"
                and row["intent"] != "held"
                and row["account of"] == OURS
                and row["Vault copy"] != "foreign path"
            )
            or (isinstance(row.action, Mint) and not row.action.disable_first)
        )
    )


def test_a_mint_while_inference_is_on_always_disables_first() -> None:
    assert not broken(
        lambda row: not isinstance(row.action, Mint) or row.action.disable_first == (row["inference"] == "on")
    )


def test_a_copy_that_is_current_and_not_to_be_rotated_is_never_replaced() -> None:
    assert not broken(
        lambda row: (
            not (
                row["inference"] == "on"
                and row["Vault copy"] == "current"
                and row["intent"] != "open: mint"
                and row["rotate"] == "no"
                and isinstance(row.action, Mint)
            )
        )
    )


@pytest.mark.parametrize("copy", ["deleted", "rolled back", "elsewhere"])
def test_a_copy_that_can_be_brought_back_is_never_replaced(copy: str) -> None:
    assert not broken(
        lambda row: (
            not (
                row["inference"] == "on"
                and row["Vault copy"] == copy
                and row["intent"] == "none"
                and row["account of"] == OURS
                and row["rotate"] == "no"
                and row["key tried"] is not Liveness.DEAD
                and isinstance(row.action, Mint)
            )
        )
    )


def test_a_key_of_the_open_attempt_that_is_in_vault_is_only_to_be_finished() -> None:
    assert not broken(
        lambda row: (
            not (
                enabled(row)
                and row["inference"] == "on"
                and row["intent"] == "open: mint"
                and row["Vault copy"] == "of the attempt"
                and row["account of"] == OURS
                and row["key tried"] is not Liveness.DEAD
            )
            or row.action == Finish()
        )
    )


def test_an_open_mint_is_never_left_as_it_is() -> None:
    assert not broken(
        lambda row: (
            not (
                row["intent"] == "open: mint" and enabled(row) and row["account of"] == OURS and row.action == Nothing()
            )
        )
    )


def test_a_wanted_rotation_is_a_mint_wherever_the_key_is_ours_and_on() -> None:
    assert not broken(
        lambda row: (
            not (
                enabled(row)
                and row["inference"] == "on"
                and row["intent"] == "none"
                and row["rotate"] == "yes"
                and row["account of"] == OURS
                and row["Vault copy"] not in ("nothing", "foreign path")
            )
            or isinstance(row.action, Mint)
        )
    )


@pytest.mark.parametrize("adopt", [Adopt.REFUSE, Adopt.OBSERVE])
def test_what_somebody_else_manages_is_left_alone_unless_it_may_be_taken_over(adopt: Adopt) -> None:
    assert not broken(
        lambda row: (
            not (
                row["account of"] == OTHERS
                and row["adopt"] is adopt
                and row["Vault copy"] not in ("nothing", "foreign path")
                and isinstance(row.action, WRITES)
            )
        )
    )


def test_taking_over_from_somebody_else_always_mints_a_key_of_ones_own() -> None:
    assert not broken(
        lambda row: (
            not (
                enabled(row)
                and row["account of"] == OTHERS
                and row["inference"] == "on"
                and isinstance(row.action, (Move, Finish, Rewrite, Relabel, Undelete))
            )
        )
    )


def test_inference_that_is_not_ours_is_refused_observed_or_taken_over_as_declared() -> None:
    expected = {Adopt.REFUSE: Refuse, Adopt.OBSERVE: Nothing, Adopt.REMINT: Mint}
    assert not broken(
        lambda row: (
            not (
                enabled(row)
                and row["inference"] == "on"
                and row["intent"] == "none"
                and row["Vault copy"] in ("nothing", "elsewhere")
                and (row["account of"] == OTHERS or row["Vault copy"] == "nothing")
            )
            or isinstance(row.action, expected[row["adopt"]])
        )
    )


def test_a_finish_always_has_a_key_to_finish_with() -> None:
    assert not broken(
        lambda row: (
            row.action != Finish()
            or judgment.known(row.desired, row.actual) is not None
            or row.actual.content is not None
        )
    )


def test_an_interrupted_run_of_ours_is_never_taken_for_somebody_else() -> None:
    # A move without a key of ours is an interrupted `import-file --adopt-key`: that key is a person's.
    assert not broken(
        lambda row: (
            not (
                enabled(row)
                and open_intent(row)
                and row["account of"] == OURS
                and row["Vault copy"] == "nothing"
                and row["intent"] != "open: move"
                and isinstance(row.action, Refuse)
            )
        )
    )


def test_a_disable_that_may_take_over_does_as_the_refusal_advises() -> None:
    assert not broken(
        lambda row: (
            not (
                row["declared"] is Mode.DISABLED
                and row["inference"] == "on"
                and row["intent"] == "none"
                and row["adopt"] is Adopt.REMINT
                and row["Vault copy"] == "nothing"
                and isinstance(row.action, Refuse)
                and "adopt" in str(row.action.hint)
                and "remint" in str(row.action.hint)
            )
        )
    )


def test_every_refusal_says_which_input_it_is_about_and_what_to_do() -> None:
    assert not broken(lambda row: not isinstance(row.action, Refuse) or bool(row.action.about and row.action.hint))


def test_the_written_table_is_current() -> None:
    page = Path(__file__).parents[2] / "docs" / "decision-table.md"

    assert table() == page.read_text(), "run: python -m tests.core.decision_table > docs/decision-table.md"


# --- carrying out what was decided -----------------------------------------------------------------

PEOPLE: dict[str, Callable[[World], object]] = {
    "remint": lambda world: world.pinata.remint_out_of_band(),
    "enable": lambda world: world.pinata.enable(),
    "disable": lambda world: world.pinata.disable(),
    "soft-delete": lambda world: world.vault.soft_delete(HERE),
    "destroy": lambda world: world.vault.entry(HERE) and world.vault.destroy_version(HERE),
    "wipe": lambda world: world.vault.wipe(HERE),
    "unlabel": lambda world: world.vault.entry(HERE) and world.vault.unlabel(HERE),
    "typo": lambda world: world.vault.entry(HERE) and world.vault.put(HERE, {"PINATA_LLM_KEY": "typo"}),
}

declarations = st.builds(
    lambda mode, path, trigger, field, team, on_delete, lost: wanted(
        mode=mode,
        location=Location("secret", path),
        trigger=trigger,
        field=field,
        labels={"team": team},
        on_delete=on_delete,
        on_lost_key=lost,
        adopt=Adopt.REMINT,
    ),
    st.sampled_from([Mode.ENABLED, Mode.ENABLED, Mode.DISABLED]),
    st.sampled_from(["pinata/prod", "pinata/other"]),
    st.sampled_from([None, "1", "2"]),
    st.sampled_from(["PINATA_LLM_KEY", "OPENAI_API_KEY"]),
    st.sampled_from(["search", "ads"]),
    st.sampled_from(OnDelete),
    st.just(OnLostKey.REMINT),
)
variants = st.builds(Variant, st.sampled_from(Reenable), st.booleans(), st.integers(0, 2), st.booleans(), st.booleans())
broken_runs = st.tuples(declarations, st.integers(1, 30), st.sampled_from(["crash", "lose"]))
histories = st.lists(st.one_of(st.sampled_from(sorted(PEOPLE)), broken_runs), max_size=5)


def _live_through(world: World, history: list[str | tuple[Desired, int, str]]) -> None:
    for step in history:
        if isinstance(step, str):
            PEOPLE[step](world)
            world.pinata.settle()
            continue
        want, call, how = step
        gate = Gate()
        gate = gate.crash(call, after=True) if how == "crash" else gate.fail(call, Ambiguous("lost"), after=True)
        with suppress(Killed, PinataError):
            world.run(want, gate)


def _until_nothing_is_left(world: World, want: Desired) -> list[str]:
    done: list[str] = []
    gone: frozenset[int] = frozenset()
    ports = world.ports()
    for _ in range(6):
        actual = observe.account(want, ports, resume=gone)
        action = plan.decide(want, actual)
        done.append(type(action).__name__)
        if isinstance(action, (Nothing, Refuse)):
            break
        if isinstance(action, Await):
            gone |= {action.version}
            continue
        with suppress(PinataError):
            execute.carry_out(action, want, actual, ports)
    return done


@settings(max_examples=400, deadline=None, derandomize=True)
@given(variant=variants, history=histories, want=declarations)
def test_whatever_happened_before_carrying_out_what_is_decided_ends_with_nothing_to_do(
    variant: Variant, history: list[str | tuple[Desired, int, str]], want: Desired
) -> None:
    world = World(variant)
    _live_through(world, history)

    done = _until_nothing_is_left(world, want)

    if want.mode is Mode.DISABLED and done[-1] == "Refuse":
        return  # switched on by a person: it stays so
    stored = FakeStore(world.vault).stat(want.location)
    if done[-1] == "Refuse" and stored.label is None and stored.version:
        return  # deleted or written over before it was labelled: nobody can tell whose it was
    assert "Nothing" == done[-1], done
    if want.mode is Mode.ENABLED:
        assert FakeStore(world.vault).stat(want.location).described
    else:
        assert world.pinata.live is None


def test_a_create_and_a_destroy_that_were_both_killed_do_not_block_the_next_create() -> None:
    world = World()
    on, off = wanted(), wanted(mode=Mode.DISABLED)
    with suppress(Killed):
        world.run(on, Gate().on("pinata.enable", Killed(), after=True))
    with suppress(Killed):
        world.run(off, Gate().on("pinata.disable", Killed()))

    world.run(on)

    assert world.pinata.live == world.key_at()


def test_a_create_and_a_destroy_that_were_both_killed_do_not_block_an_observer() -> None:
    world = World()
    with suppress(Killed):
        world.run(wanted(), Gate().on("pinata.enable", Killed(), after=True))
    with suppress(Killed):
        world.run(wanted(mode=Mode.DISABLED), Gate().on("pinata.disable", Killed()))

    world.run(wanted(adopt=Adopt.OBSERVE))

    assert not world.record.open


def test_a_create_that_was_killed_before_its_label_and_then_destroyed_by_a_person_can_go_on() -> None:
    world = World()
    with suppress(Killed):
        world.run(wanted(), Gate().on("store.write", Killed(), after=True))
    world.vault.destroy_version(HERE)

    world.run(wanted())

    assert world.pinata.live == world.key_at()


def test_an_open_intent_is_closed_even_where_the_label_says_that_all_is_in_order() -> None:
    world = World()
    world.run(wanted())
    with suppress(Killed):
        world.run(wanted(mode=Mode.DISABLED), Gate().on("pinata.disable", Killed()))

    world.run(wanted())

    assert not world.record.open
