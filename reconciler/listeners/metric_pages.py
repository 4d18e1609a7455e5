"""The table of docs/metrics.md, from the metrics; `python -m reconciler.listeners.metric_pages` writes it."""

from pathlib import Path

from reconciler.listeners.metrics import Metrics
from reconciler.loop.board import Board

PAGE = Path(__file__).parents[2] / "docs" / "metrics.md"
START, END = "<!-- metrics: made by `python -m reconciler.listeners.metric_pages` -->", "<!-- metrics: end -->"


def table() -> str:
    """All metrics as Markdown."""
    rows = [
        f"| `{each.name}` | {each.type} | {', '.join(f'`{label}`' for label in each.labels)} | {each.meaning} |"
        for each in Metrics(Board()).described
    ]
    return "\n".join([START, "", "| metric | type | labels | meaning |", "|---|---|---|---|", *rows, "", END])


def main() -> None:
    """Write the table into the page."""
    text = PAGE.read_text(encoding="utf-8")
    before, after = text.partition(START)[0], text.partition(END)[2]
    PAGE.write_text(before + table() + after, encoding="utf-8")


if __name__ == "__main__":
    main()
