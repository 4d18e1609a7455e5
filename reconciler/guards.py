"""What an apply refuses to do although it was planned, unless a person acknowledges that very plan; pure.

Fleet guards refuse the whole apply, account guards hold back one account.
"""

from dataclasses import dataclass, replace

from reconciler.fleetplan import MINTS, FleetPlan, Kind, Row


@dataclass(frozen=True)
class Limits:
    """How much may happen at once: at least so many, or so much of the fleet (percent); and mints a day and account."""

    disables: int = 3
    disables_percent: float = 10.0
    remints: int = 3
    remints_percent: float = 10.0
    mints_a_day: int = 5


@dataclass(frozen=True)
class Held:
    """A refusal: of one account by name, or of the whole apply (None)."""

    name: str | None
    guard: str
    message: str

    def __str__(self) -> str:
        return f"{self.name}: {self.message}" if self.name else self.message


@dataclass(frozen=True)
class Verdict:
    """What the guards say. `acknowledged` tells that the plan's checksum was given, so that nothing is held."""

    held: tuple[Held, ...] = ()
    acknowledged: bool = False

    @property
    def refuses_all(self) -> bool:
        """Whether nothing may be done."""
        return not self.acknowledged and any(each.name is None for each in self.held)

    @property
    def names(self) -> frozenset[str]:
        """The accounts that are held back."""
        return frozenset() if self.acknowledged else frozenset(each.name for each in self.held if each.name)


def judge(plan: FleetPlan, limits: Limits, *, today: str, acknowledged: str | None = None) -> Verdict:
    """Hold the plan against the guards. `today` is a date, `acknowledged` the checksum that a person has given."""
    held = [*_empty(plan), *_too_many(plan, limits)]
    for row in plan.changes:
        held += _of_account(row, limits, today)
    return Verdict(tuple(held), acknowledged=acknowledged is not None and acknowledged == plan.checksum)


def allowed(plan: FleetPlan, verdict: Verdict) -> FleetPlan:
    """The plan without what is held back."""
    if verdict.refuses_all:
        return replace(plan, rows=())
    return replace(plan, rows=_kept(plan, tuple(row for row in plan.rows if row.name not in verdict.names)))


def healing(plan: FleetPlan, verdict: Verdict) -> FleetPlan:
    """What a loop does: what is allowed; where that is nothing, it still heals what was agreed on before.

    That is drift, mended where nobody is cut off by it: a commit that removes too much must not keep the other accounts
    from being healed until a person has come.
    """
    if not verdict.refuses_all:
        return allowed(plan, verdict)
    held = verdict.names
    rows = (row for row in plan.rows if row.drifted and not row.outage and row.name not in held)
    return replace(plan, rows=tuple(rows))


def _kept(plan: FleetPlan, rows: tuple[Row, ...]) -> tuple[Row, ...]:
    """Without the former names of accounts that are held back: by those, their marks in Vault are known as ours."""
    names = {row.name for row in rows}
    back = {row.account for row in plan.rows if row.declared and row.account and row.name not in names}
    return tuple(row for row in rows if not (row.kind is Kind.FORGET and row.entry and row.entry.account in back))


def _empty(plan: FleetPlan) -> list[Held]:
    kept = sum(len(inventory.entries) for inventory in plan.inventories.values())
    if plan.declared or not kept:
        return []
    return [
        Held(
            None,
            "empty",
            f"nothing is declared, but fleet {plan.fleet} keeps {kept} account(s): "
            "a wrong path or an empty checkout looks just so.",
        )
    ]


def _too_many(plan: FleetPlan, limits: Limits) -> list[Held]:
    held = []
    off = [row for row in plan.changes if row.outage and row.kind in (Kind.DISABLE, Kind.PRUNE)]
    anew = [row for row in plan.changes if row.kind in (Kind.REMINT, Kind.ROTATE)]
    for rows, guard, what, most, percent in (
        (off, "disables", "switched off", limits.disables, limits.disables_percent),
        (anew, "remints", "given a new key in place of the present one", limits.remints, limits.remints_percent),
    ):
        bound = max(most, int(plan.managed * percent / 100))
        if len(rows) > bound:
            held.append(
                Held(
                    None,
                    guard,
                    f"{len(rows)} of {plan.managed} accounts would be {what}; "
                    f"at most {bound} may be at once ({most}, or {percent:g} %).",
                )
            )
    return held


def _of_account(row: Row, limits: Limits, today: str) -> list[Held]:
    held = []
    if row.protected and row.outage:
        held.append(Held(row.name, "protected", f"it is protected, and {row.kind.value} would cut off {row.path}."))
    if row.foreign:
        held.append(Held(row.name, "foreign", f"it is managed by {row.foreign}, whose key would die."))
    entry = row.entry
    if row.kind in MINTS and entry and entry.day == today and entry.mints >= limits.mints_a_day:
        held.append(
            Held(
                row.name,
                "mints",
                f"its key was minted {entry.mints} times today, at most {limits.mints_a_day} are allowed: "
                "something else keeps switching it off or on.",
            )
        )
    return held
