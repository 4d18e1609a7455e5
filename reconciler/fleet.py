"""Manifest and services to a plan: observes every account and decides, side by side; reads only.

One account's failure is its row, and stops no other.
"""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from datetime import datetime
from threading import Event
from types import MappingProxyType

from pulumi_pinata.core.errors import PinataError
from pulumi_pinata.core.model import Adopt
from reconciler import findings
from reconciler.account import Survey
from reconciler.conditions import of_error
from reconciler.fleetplan import FAILURES, Condition, FleetPlan, Kind, Row
from reconciler.inventory import Entry, Home, home_of
from reconciler.ledger import Ledger
from reconciler.manifest.declared import Declared, Manifest
from reconciler.pool import each
from reconciler.upstreams import Access

STOPPED = "not looked at: the run was asked to stop"


def make_plan(
    manifest: Manifest,
    access: Access,
    *,
    workers: int,
    now: datetime,
    only: Collection[str] | None = None,
    resting: Mapping[str, Row] = MappingProxyType({}),
    changed_first: bool = False,
    deep: bool = False,
    stop: Event | None = None,
    seen: Callable[[Row], None] = lambda row: None,
    tick: Callable[[], object] = lambda: None,
) -> FleetPlan:
    """Observe and decide for all accounts, at most `workers` at a time; `seen` is told of each row as it comes.

    `only` restricts the plan to some declared accounts; `resting` are rows of such as are not to be looked at, as they
    were found before. With `changed_first`, those whose declaration was not yet applied in full come first. A `deep`
    look costs a call to Pinata more for each: see `account.look`.
    """
    stop = stop or Event()
    ledger = Ledger.read(manifest, access)
    chosen = [each for each in manifest.accounts if (only is None or each.name in only) and each.name not in resting]
    if changed_first:
        chosen.sort(key=lambda each: findings.is_applied(each, ledger.entry(each.name, home_of(each.settings))))
    survey = Survey(access, ledger.owners, now, deep)
    rows = [resting[each.name] for each in manifest.accounts if each.name in resting and only is None]

    def look(declared: Declared) -> Row:
        home = home_of(declared.settings)
        moved = ledger.elsewhere(declared.name, home)
        base = findings.blank(declared, ledger.entry(declared.name, home) or moved)
        return _guarded(lambda: _declared(base, declared, moved, manifest, ledger, survey), base)

    for declared, row in each(chosen, look, workers=workers, stop=stop, tick=tick):
        rows.append(row or Row(declared.name, Kind.ERROR, Condition.SUSPENDED, STOPPED, declared=declared))
        seen(rows[-1])
    rows = _rivals_refused(rows, _claims(manifest, ledger, resting))

    def part(gone: tuple[Home, Entry]) -> Row:
        home, entry = gone
        base = findings.blank(None, entry)
        made = _guarded(lambda: _undeclared(base, entry, manifest, rows, survey), base)
        # It may be another fleet's of that name, or be in a backup of long ago: only a person can tell.
        doubtful = home in ledger.former and made.outage
        return replace(made, foreign=f"what keeps its keys in {home}") if doubtful else made

    gone = [] if only is not None else list(_gone(manifest, ledger))
    for (_, entry), row in each(gone, part, workers=workers, stop=stop, tick=tick):
        rows.append(row or Row(entry.name, Kind.ERROR, Condition.SUSPENDED, STOPPED, entry=entry))
        seen(rows[-1])
    rows += [] if only is not None else [*_frozen(manifest, ledger), *_unread(manifest, ledger)]
    rows.sort(key=lambda row: row.name)
    return FleetPlan(
        manifest.fleet,
        manifest.digest,
        tuple(rows),
        inventories=ledger.inventories,
        problems=manifest.problems,
        declared=len(manifest.accounts),
        homes=frozenset(home_of(each.settings) for each in manifest.accounts),
    )


def _declared(
    base: Row, declared: Declared, moved: Entry | None, manifest: Manifest, ledger: Ledger, survey: Survey
) -> Row:
    home = home_of(declared.settings)
    if declared.name in manifest.frozen:
        return replace(base, reason="its manifest has errors, so it is left as it is")
    if declared.suspend:
        known = survey.access.identity(declared.settings)  # so that what is gone from the manifests is not taken for it
        return replace(base, account=known, reason="suspended: nothing is looked at or done")
    if home in ledger.failures:
        return findings.failed(base, ledger.failures[home])
    taken = declared.settings.adopt is Adopt.REMINT
    unread = [error for at, error in ledger.failures.items() if taken or at in ledger.former]
    if base.entry is None and unread:
        # It may be kept where nothing can be read now: it would be taken for a new one, or for somebody else's.
        return findings.failed(base, unread[0])
    return survey.declared(base, declared, moved)


def _undeclared(base: Row, entry: Entry, manifest: Manifest, rows: list[Row], survey: Survey) -> Row:
    if manifest.problems:
        return replace(base, reason="no longer declared, but the manifests have errors, so it is left as it is")
    heir = next((row for row in rows if row.account == entry.account and row.account), None)
    if heir and heir.kind in FAILURES:
        return replace(base, reason=f"declared as {heir.name} now, which has to be put right first")
    if heir:
        return replace(base, kind=Kind.FORGET, condition=heir.condition, reason=f"declared as {heir.name} now")
    unknown = sorted(row.name for row in rows if row.account is None and row.entry is None)
    if unknown:
        return replace(base, reason=f"no longer declared, but it may be {unknown[0]} now, whose account is not known")
    if not entry.prune:
        return replace(
            base, kind=Kind.FORGET, reason="no longer declared, and `prune` is off: it stays on, and is let go of"
        )
    return survey.gone(base, entry)


def _gone(manifest: Manifest, ledger: Ledger) -> Iterator[tuple[Home, Entry]]:
    declared = {each.name for each in manifest.accounts} | manifest.frozen
    seen = set()
    for home, entry in ledger.all():
        if entry.name not in declared and entry.name not in seen:
            seen.add(entry.name)
            yield home, entry


def _frozen(manifest: Manifest, ledger: Ledger) -> list[Row]:
    known = {each.name for each in manifest.accounts}
    entries = {entry.name: entry for _, entry in ledger.all()}
    why = "its manifest has errors, so it is left as it is"
    return [
        replace(findings.blank(None, entries.get(name)), name=name, reason=why)
        for name in sorted(manifest.frozen - known)
    ]


def _claims(manifest: Manifest, ledger: Ledger, resting: Mapping[str, Row]) -> dict[str, str]:
    """Accounts of those that are declared and may not be looked at now: as last applied, or as last seen."""
    declared = {each.name for each in manifest.accounts} | manifest.frozen
    applied = {entry.name: entry.account for _, entry in ledger.all() if entry.name in declared and entry.account}
    return {**applied, **{name: row.account for name, row in resting.items() if row.account and name in declared}}


def _rivals_refused(rows: list[Row], claims: Mapping[str, str]) -> list[Row]:
    """Two names for one account would fight over its one key; only the credentials' fingerprints show it."""
    names: dict[str, list[str]] = {}
    for name, claimed in {**claims, **{row.name: row.account for row in rows if row.account}}.items():
        names.setdefault(claimed, []).append(name)
    return [
        replace(
            row,
            kind=Kind.REFUSED,
            condition=Condition.CONFLICT,
            reason=f"{' and '.join(sorted(names[row.account or '']))} are one account by their credentials. "
            "Declare each account once.",
        )
        if row.account and len(names[row.account]) > 1
        else row
        for row in rows
    ]


def _unread(manifest: Manifest, ledger: Ledger) -> list[Row]:
    """Homes that nothing declared is at, and whose inventory cannot be read: what they hold cannot be judged."""
    declared = {home_of(each.settings) for each in manifest.accounts}
    return [
        Row(str(home), Kind.ERROR, of_error(error), f"its inventory cannot be read. {error}", error=error)
        for home, error in ledger.failures.items()
        if home not in declared
    ]


def _guarded(look: Callable[[], Row], base: Row) -> Row:
    try:
        return look()
    except PinataError as error:
        return findings.failed(base, error)
    except Exception as error:
        # A defect of ours in one account must not keep the others from being healed; its text may quote anything.
        return findings.failed(base, PinataError(f"an unexpected {type(error).__name__} came up.", hint="Report it."))
