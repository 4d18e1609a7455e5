"""Plans and results as text, data and Markdown; pure. A line that means an outage says so and names the Vault path."""

import json
from collections import Counter
from collections.abc import Sequence
from typing import Any

import yaml

from reconciler.fleetplan import CHANGES, Ending, FleetPlan, Kind, Result, Row
from reconciler.guards import Verdict

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


def plan_text(plan: FleetPlan, verdict: Verdict, *, all_rows: bool = False) -> str:
    """The plan in plain lines."""
    lines = [summary(plan)]
    for row in plan.rows:
        if row.kind is Kind.NONE and not all_rows:
            continue
        lines.append(f"  {SIGNS.get(row.kind, '~')} {row.kind.value:<8} {row.name}  {row.path}  {row.condition.value}")
        if row.reason:
            lines.append(f"      {row.reason}")
        if cut := outage(row):
            lines.append(f"      {cut}")
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
    for result in results:
        lines.append(f"  {result.ending.value:<11} {result.row.kind.value:<8} {result.row.name}  {_now(result)}")
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
    shown = [row for row in plan.rows if row.kind is not Kind.NONE or all_rows]
    if shown:
        lines += ["| | account | change | condition | Vault path | why |", "|---|---|---|---|---|---|"]
        lines += [_markdown_row(row) for row in shown[:_MOST_ROWS]]
        if len(shown) > _MOST_ROWS:
            lines.append(f"| … | and {len(shown) - _MOST_ROWS} more | | | | |")
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
    lines += [f"- **{_escaped(r.row.name)}**: {_escaped(str(r.error))}" for r in results if r.error]
    return "\n".join(lines)


def _markdown_row(row: Row) -> str:
    cells = (row.name, row.kind.value, row.condition.value, f"`{_escaped(row.path)}`" if row.path else "", row.reason)
    name, kind, condition, path, reason = cells
    sign = SIGNS.get(row.kind, "~").strip()
    return f"| `{sign or ' '}` | {_escaped(name)} | {kind} | {condition} | {path} | {_escaped(reason)} |"


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
