"""docs/conditions.md and docs/runbook.md name all that there is, and nothing else."""

import re
from pathlib import Path

import pytest
import yaml

from reconciler import cli
from reconciler.fleetplan import CHANGES, Condition, Kind, Row

ROOT = Path(__file__).parents[2]
CONDITIONS = (ROOT / "docs" / "conditions.md").read_text()
RUNBOOK = (ROOT / "docs" / "runbook.md").read_text()
ALERTS = yaml.safe_load((ROOT / "examples" / "monitoring" / "alerts.yaml").read_text())["groups"][0]["rules"]
METRICS = (ROOT / "docs" / "metrics.md").read_text()


def section(page: str, title: str) -> str:
    """The text below a heading of the second level."""
    (found,) = re.findall(rf"^## {re.escape(title)}\n(.*?)(?=^## |\Z)", page, re.M | re.S)
    return found


def rows(text: str) -> list[str]:
    """The first cells of a table, without its head."""
    return [cell.strip("`") for cell in re.findall(r"^\| ([^|]+?) \|", text, re.M)[1:]]


def test_every_condition_has_a_heading_and_a_row_and_there_are_no_others() -> None:
    names = [each.value for each in Condition]
    overview = re.findall(r"^\| \[(\w+)\]\(#(\w+)\)", CONDITIONS, re.M)

    assert names == re.findall(r"^### (\w+)$", CONDITIONS, re.M)
    assert [(name, name.lower()) for name in names] == overview


def test_every_change_is_listed_and_those_that_cut_consumers_off_say_so() -> None:
    table = section(CONDITIONS, "Changes")
    cuts = {kind.value for kind in Kind if Row("a", kind, Condition.READY, "").outage}

    assert sorted(kind.value for kind in Kind) == sorted(rows(table))
    assert cuts == set(re.findall(r"^\| `(\w+)` \|.*\*\*outage\*\*", table, re.M))
    assert cuts < {kind.value for kind in CHANGES}


def test_every_exit_code_is_listed() -> None:
    codes = [cli.OK, cli.ERROR, cli.PENDING, cli.PARTLY, cli.USAGE, cli.INTERRUPTED]

    assert [str(code) for code in codes] == rows(section(CONDITIONS, "Exit codes"))


@pytest.mark.parametrize("page", [CONDITIONS, RUNBOOK], ids=["conditions", "runbook"])
def test_the_alerts_and_metrics_that_a_page_names_exist(page: str) -> None:
    alerts = {rule["alert"] for rule in ALERTS}
    metrics = set(re.findall(r"`(pinata_reconciler_\w+)`", METRICS))

    assert set() == set(re.findall(r"`(Pinata[A-Z]\w+)`", page)) - alerts
    assert set() == set(re.findall(r"\b(pinata_reconciler_\w+)", page)) - metrics


def test_every_alert_leads_to_a_place_in_the_runbook() -> None:
    anchors = set(re.findall(r'<a id="([\w-]+)"></a>', RUNBOOK))
    wanted = {rule["annotations"]["runbook_url"].removeprefix("docs/runbook.md#") for rule in ALERTS}

    assert set() == wanted - anchors


def test_every_place_that_the_pages_link_to_is_there() -> None:
    anchors = set(re.findall(r'<a id="([\w-]+)"></a>', RUNBOOK))

    assert set() == set(re.findall(r"runbook\.md#([\w-]+)", CONDITIONS)) - anchors
    assert set() == set(re.findall(r"\]\(#([\w-]+)\)", RUNBOOK)) - anchors


def test_every_command_of_the_runbook_is_one_that_there_is() -> None:
    blocks = "".join(re.findall(r"```sh\n(.*?)```", RUNBOOK, re.S))
    used = set(re.findall(r"^pinata-reconciler ([\w-]+)", blocks, re.M))

    assert {"plan", "apply", "doctor"} <= used
    assert set() == used - set(cli.COMMANDS)
