"""Plans and results as text, data and Markdown; pure. A line that means an outage says so and names the Vault path."""

import json
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from typing import Any, TypeVar

import yaml

from pulumi_pinata.core.errors import PinataError
from reconciler.fleetplan import CHANGES, FAILURES, Ending, FleetPlan, Kind, Result, Row
from reconciler.guards import Verdict

T = TypeVar("T")

SIGNS = {
    Kind.NONE: "=",
    Kind.CREATE: "+",
    Kind.REMINT: "!",
    Kind.ROTATE: "!",
    Kind.DISABLE: "-",
    Kind.PRUNE: "-",
    Kind.FORGET: "-",
    Kind.REPORT: "?",
    Kind.SKIP: " ",
    Kind.REFUSED: "x",
    Kind.ERROR: "x",
}
_MOST_NAMES = 3
_MOST_ROWS = 200  # of a Markdown table: a comment on GitHub ends at 65,536 characters


def outage(row: Row) -> str | None:
    """What the row means for those who use the key; None when they notice nothing."""
    if not row.outage:
        return None
    if row.kind in (Kind.DISABLE, Kind.PRUNE):
        return f"OUTAGE: the key at {row.path} dies, and whatever uses it fails for good"
    return f"OUTAGE: the present key dies, and whatever uses {row.path} fails until it reads the new one"


def summary(plan: FleetPlan) -> str:
    """The plan in a line."""
    counts = Counter(row.kind for row in plan.rows)
    parts = [f"{counts[Kind.NONE]} as declared"]
    parts += [f"{counts[kind]} {_counted(kind)}" for kind in Kind if counts[kind] and kind is not Kind.NONE]
    cut = sum(row.outage for row in plan.rows)
    if cut:
        parts.append(f"{cut} OUTAGE{'S' if cut > 1 else ''}")
    return f"fleet {plan.fleet}, {_accounts(len(plan.rows))}: {', '.join(parts)}"


def outcome(results: Sequence[Result]) -> str:
    """The results in a line."""
    counts = Counter(result.ending for result in results)
    return ", ".join(f"{counts[ending]} {ending.value}" for ending in Ending if counts[ending]) or "nothing to do"


def together(items: Iterable[T], key: Callable[[T], Hashable | None]) -> list[list[T]]:
    """Those of one key as one, at the place of the first of them; what has no key (None) stands alone."""
    groups: dict[Hashable, list[T]] = {}
    for number, item in enumerate(items):
        found = key(item)
        groups.setdefault((number,) if found is None else ("", found), []).append(item)
    return list(groups.values())


def names(found: Sequence[str], *, most: int = _MOST_NAMES) -> str:
    """The first of the names, and how many more there are."""
    more = f" and {len(found) - most} more" if len(found) > most else ""
    return f"{', '.join(found[:most])}{more}"


def shown(plan: FleetPlan, *, all_rows: bool) -> list[list[Row]]:
    """The rows to show a person: what is not as declared, or all; those that one thing has stopped are one."""
    return together((row for row in plan.rows if row.kind is not Kind.NONE or all_rows), _stopped_by)


def title(rows: Sequence[Row]) -> str:
    """The name of a row, or how many accounts it stands for and the first of them."""
    return rows[0].name if len(rows) == 1 else f"{_accounts(len(rows))}: {names([row.name for row in rows])}"


def row_lines(rows: Sequence[Row]) -> list[str]:
    """What a row says: its head, then a line each for why and for what it cuts off."""
    row = rows[0]
    path = f"  {row.path}" if len(rows) == 1 else ""
    head = f"{SIGNS.get(row.kind, '~')} {row.kind.value:<8} {title(rows)}{path}  {row.condition.value}"
    return [head, *(part for part in (row.reason, outage(row)) if part)]


def plan_text(plan: FleetPlan, verdict: Verdict, *, all_rows: bool = False) -> str:
    """The plan in plain lines."""
    lines = [summary(plan)]
    for rows in shown(plan, all_rows=all_rows):
        head, *why = row_lines(rows)
        lines += [f"  {head}", *(f"      {line}" for line in why)]
    return "\n".join([*lines, *footer(plan, verdict)])


def footer(plan: FleetPlan, verdict: Verdict) -> list[str]:
    """What stands below the accounts: problems, guards, and the checksum that acknowledges them."""
    lines = [f"problem: {problem}" for problem in plan.problems]
    lines += [f"guard {held.guard}: {held}" for held in verdict.held]
    if verdict.held and not verdict.acknowledged:
        lines.append(f"To do it all the same, once: apply --acknowledge {plan.checksum}")
    return lines


def results_text(results: Sequence[Result]) -> str:
    """What an apply came to, in plain lines."""
    lines = []
    for alike in together(results, _failed_by):
        result, named = alike[0], title([each.row for each in alike])
        lines.append(f"  {result.ending.value:<11} {result.row.kind.value:<8} {named}  {_now(result)}")
        if result.error:
            lines.append(f"      {result.error}")
    return "\n".join([*lines, outcome(results)])


def plan_data(plan: FleetPlan, verdict: Verdict) -> dict[str, Any]:
    """The plan as JSON values."""
    return {
        "fleet": plan.fleet,
        "summary": summary(plan),
        "checksum": plan.checksum,
        "changes": len(plan.changes),
        "accounts": [_row_data(row) for row in plan.rows],
        "problems": [str(problem) for problem in plan.problems],
        "guards": [{"guard": held.guard, "account": held.name, "message": held.message} for held in verdict.held],
        "acknowledged": verdict.acknowledged,
    }


def results_data(results: Sequence[Result]) -> list[dict[str, Any]]:
    """What an apply came to, as JSON values."""
    return [
        {
            "name": result.row.name,
            "change": result.row.kind.value,
            "ending": result.ending.value,
            "condition": result.condition.value,
            "path": result.row.path,
            "version": result.version or None,
            "fingerprint": result.fingerprint,
            "error": str(result.error) if result.error else None,
        }
        for result in results
    ]


def as_json(data: object) -> str:
    """JSON for programs and people."""
    return json.dumps(data, indent=2, ensure_ascii=False)


def as_yaml(data: object) -> str:
    """YAML for people and programs."""
    return yaml.safe_dump(data, sort_keys=False, allow_unicode=True, width=120).rstrip("\n")


def plan_markdown(plan: FleetPlan, verdict: Verdict, *, all_rows: bool = False) -> str:
    """The plan as a comment on a pull request."""
    lines = [f"### Pinata inference: {len(plan.changes)} change(s)", "", _escaped(summary(plan)), ""]
    cuts = [(row, cut) for row in plan.rows if (cut := outage(row))]
    for row, cut in cuts[:_MOST_ROWS]:
        lines.append(f"> ⚠️ **{_escaped(row.name)}**: {_escaped(cut)}")
        lines.append(">")
    if cuts:
        lines[-1] = ""
    groups = shown(plan, all_rows=all_rows)
    if groups:
        lines += ["| | account | change | condition | Vault path | why |", "|---|---|---|---|---|---|"]
        lines += [_markdown_row(rows) for rows in groups[:_MOST_ROWS]]
        if len(groups) > _MOST_ROWS:
            lines.append(f"| … | and {sum(map(len, groups[_MOST_ROWS:]))} more | | | | |")
        lines.append("")
    for line in footer(plan, verdict):
        lines.append(f"- {_escaped(line)}")
    lines += ["", f"<sub>checksum `{plan.checksum}`</sub>"]
    return "\n".join(lines)


def results_markdown(results: Sequence[Result]) -> str:
    """What an apply came to, as a comment."""
    lines = [f"### Pinata inference: {_escaped(outcome(results))}", ""]
    if results:
        lines += ["| account | change | ending | Vault path | now |", "|---|---|---|---|---|"]
        for result in results[:_MOST_ROWS]:
            cells = (result.row.name, result.row.kind.value, result.ending.value, result.row.path, _now(result))
            lines.append(f"| {' | '.join(_escaped(cell) for cell in cells)} |")
    for alike in together((result for result in results if result.error), _failed_by):
        lines.append(f"- **{_escaped(title([each.row for each in alike]))}**: {_escaped(str(alike[0].error))}")
    return "\n".join(lines)


def _stopped_by(row: Row) -> Hashable | None:
    if row.kind in FAILURES or row.kind is Kind.SKIP:
        return row.kind, row.condition, _without_hint(row.reason, row.error)
    return None


def _failed_by(result: Result) -> Hashable | None:
    if result.error is None or result.version:
        return None
    return result.ending, result.row.kind, result.condition, _without_hint(str(result.error), result.error)


def _without_hint(text: str, error: PinataError | None) -> str:
    # Which may say in how many seconds it is tried again: not the same for any two of them.
    return text.removesuffix(error.hint or "") if error else text


def _markdown_row(rows: Sequence[Row]) -> str:
    row = rows[0]
    path = f"`{_escaped(row.path)}`" if row.path and len(rows) == 1 else ""
    cells = (_escaped(title(rows)), row.kind.value, row.condition.value, path, _escaped(row.reason))
    return f"| `{SIGNS.get(row.kind, '~').strip() or ' '}` | {' | '.join(cells)} |"


def _escaped(text: str) -> str:
    for each in "\\`*_<>|[]":
        text = text.replace(each, f"\\{each}" if each not in "<>" else {"<": "&lt;", ">": "&gt;"}[each])
    return " ".join(text.split())


def _row_data(row: Row) -> dict[str, Any]:
    return {
        "name": row.name,
        "change": row.kind.value,
        "pending": row.kind in CHANGES,
        "condition": row.condition.value,
        "reason": row.reason or None,
        "outage": outage(row),
        "path": row.path or None,
        "account": row.account,
        "version": row.version or None,
        "fingerprint": row.fingerprint,
        "createdAt": row.created_at,
        "rotatesAt": row.rotates_at.isoformat() if row.rotates_at else None,
        "declaredAt": str(row.declared.place) if row.declared else None,
    }


def _now(result: Result) -> str:
    version = f", {result.row.path} version {result.version}" if result.version else ""
    return f"{result.condition.value}{version}"


def _counted(kind: Kind) -> str:
    words = {
        Kind.REFUSED: "refused",
        Kind.ERROR: "failed",
        Kind.REPORT: "drifted and left",
        Kind.SKIP: "skipped",
        Kind.CREDITS: "to set credits of",
        Kind.FORGET: "to let go of",
    }
    return words.get(kind, f"to {kind.value}")


def _accounts(count: int) -> str:
    return f"{count} account{'' if count == 1 else 's'}"
