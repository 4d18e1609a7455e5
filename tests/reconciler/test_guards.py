"""What an apply refuses although it was planned."""

from dataclasses import replace

import pytest
from fake_fleet import declared

from reconciler.fleetplan import CHANGES, Condition, FleetPlan, Kind, Row
from reconciler.guards import Limits, Verdict, allowed, judge
from reconciler.inventory import Entry, Home, Inventory

HOME = Home("https://vault.example", None, "secret")
TODAY = "2026-11-24"


def plan_of(*rows: Row, kept: int = 0, declared: int = 1) -> FleetPlan:
    entries = {f"kept{n}": Entry(f"kept{n}", "", {"vault": {}}) for n in range(kept)}
    return FleetPlan("shop", "d", rows, inventories={HOME: Inventory(1, entries)}, declared=declared)


def rows(kind: Kind, count: int, **values: object) -> list[Row]:
    base = {"condition": Condition.READY, "reason": "", "path": "secret/a"}
    return [Row(f"{kind.value}{n}", kind, **{**base, **values}) for n in range(count)]  # type: ignore[arg-type]


def guards(plan: FleetPlan, limits: Limits | None = None) -> list[tuple[str | None, str]]:
    return [(held.name, held.guard) for held in judge(plan, limits or Limits(), today=TODAY).held]


def test_nothing_declared_is_refused_while_the_fleet_keeps_accounts() -> None:
    assert [(None, "empty")] == guards(plan_of(kept=1, declared=0))
    assert [] == guards(plan_of(kept=0, declared=0))


@pytest.mark.parametrize(("count", "kept", "refused"), [(3, 0, False), (4, 0, True), (10, 90, False), (11, 89, True)])
@pytest.mark.parametrize(
    ("kind", "guard"),
    [(Kind.DISABLE, "disables"), (Kind.PRUNE, "disables"), (Kind.REMINT, "remints"), (Kind.ROTATE, "remints")],
)
def test_more_than_three_and_more_than_a_tenth_is_refused(
    kind: Kind, guard: str, count: int, kept: int, refused: bool
) -> None:
    assert ([(None, guard)] if refused else []) == guards(plan_of(*rows(kind, count), kept=kept))


def test_creations_and_healing_are_not_counted_however_many() -> None:
    many = [*rows(Kind.CREATE, 100), *rows(Kind.RESTORE, 100), *rows(Kind.FORGET, 100)]

    assert [] == guards(plan_of(*many))


def test_what_is_off_already_is_no_outage_and_is_not_counted() -> None:
    assert [] == guards(plan_of(*rows(Kind.DISABLE, 50, condition=Condition.OFF)))


def test_disables_and_remints_are_counted_apart() -> None:
    assert [] == guards(plan_of(*rows(Kind.DISABLE, 3), *rows(Kind.REMINT, 3)))


@pytest.mark.parametrize("kind", sorted(CHANGES))
def test_a_protected_account_is_held_back_from_outages_only(kind: Kind) -> None:
    (row,) = rows(kind, 1, declared=declared("a", protect=True))

    assert ([(row.name, "protected")] if row.outage else []) == guards(plan_of(row))


def test_what_is_no_longer_declared_is_protected_as_it_was() -> None:
    (row,) = rows(Kind.PRUNE, 1, entry=Entry("a", "", {"vault": {}}, protect=True))

    assert [(row.name, "protected")] == guards(plan_of(row))


def test_a_takeover_from_another_owner_is_held_back() -> None:
    (row,) = rows(Kind.REMINT, 1, foreign="pulumi:org/shop/prod/a")

    assert [(row.name, "foreign")] == guards(plan_of(row))


@pytest.mark.parametrize(("day", "mints", "held"), [(TODAY, 4, False), (TODAY, 5, True), ("2026-11-23", 50, False)])
@pytest.mark.parametrize("kind", [Kind.CREATE, Kind.REMINT, Kind.ROTATE])
def test_an_account_is_minted_so_many_times_a_day_and_no_more(kind: Kind, day: str, mints: int, held: bool) -> None:
    (row,) = rows(kind, 1, entry=Entry("a", "", {"vault": {}}, day=day, mints=mints))

    assert ([(row.name, "mints")] if held else []) == guards(plan_of(row))


def test_an_account_guard_holds_back_that_account_and_a_fleet_guard_all_of_them() -> None:
    protected = rows(Kind.REMINT, 1, declared=declared("a", protect=True))
    plan = plan_of(*protected, *rows(Kind.CREATE, 2))
    mass = plan_of(*rows(Kind.DISABLE, 4), *rows(Kind.CREATE, 2))

    left = allowed(plan, judge(plan, Limits(), today=TODAY))
    none = allowed(mass, judge(mass, Limits(), today=TODAY))

    assert ["create0", "create1"] == [row.name for row in left.rows]
    assert () == none.rows


def test_an_acknowledgement_is_for_one_plan_only() -> None:
    plan = plan_of(*rows(Kind.DISABLE, 4))
    other = replace(plan, manifest="another")

    def judged(plan: FleetPlan, checksum: str) -> Verdict:
        return judge(plan, Limits(), today=TODAY, acknowledged=checksum)

    assert (True, False) == (
        judged(plan, plan.checksum).acknowledged,
        judged(plan, plan.checksum).refuses_all,
    )
    assert (False, True) == (
        judged(other, plan.checksum).acknowledged,
        judged(other, plan.checksum).refuses_all,
    )


def test_the_refusal_of_a_mass_change_carries_the_numbers() -> None:
    plan = plan_of(*rows(Kind.PRUNE, 60), kept=140)

    assert ("60 of 200 accounts would be switched off; at most 20 may be at once (3, or 10 %).",) == tuple(
        str(held) for held in judge(plan, Limits(), today=TODAY).held
    )
