"""The examples and the page's queries name metrics and labels that there are; Prometheus itself checks where it is."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from reconciler.fleetplan import Condition
from reconciler.listeners.metrics import Metrics
from reconciler.loop.board import Board

ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples" / "monitoring"
RUNBOOK = ROOT / "docs" / "runbook.md"
ALERTS = yaml.safe_load((FOLDER / "alerts.yaml").read_text())
SCRAPE = yaml.safe_load((FOLDER / "prometheus.yml").read_text())
DASHBOARD = json.loads((FOLDER / "grafana-dashboard.json").read_text())
RULES: list[dict[str, Any]] = [rule for group in ALERTS["groups"] for rule in group["rules"]]
PANELS: list[dict[str, Any]] = [panel for panel in DASHBOARD["panels"] if panel["type"] != "row"]
TARGETS = [(panel["title"], target) for panel in PANELS for target in panel["targets"]]

TARGET_LABELS = {"job", "instance"}  # Prometheus adds them to every series
FUNCTIONS = {
    "absent",
    "avg_over_time",
    "changes",
    "histogram_quantile",
    "increase",
    "label_values",
    "min_over_time",
    "rate",
    "sum",
    "time",
}
WORDS = {"and", "bool", "by", "group_left", "ignoring", "on", "or", "unless", "without"}


def series() -> dict[str, set[str]]:
    """The labels of every series that Prometheus has of a reconciler."""
    found = {"up": set(TARGET_LABELS)}
    for each in Metrics(Board()).described:
        labels = {*each.labels, *TARGET_LABELS}
        if each.type == "histogram":
            found |= {f"{each.name}_bucket": labels | {"le"}, f"{each.name}_sum": labels, f"{each.name}_count": labels}
        else:
            found[each.name] = labels
    process = re.findall(r"^(process_\w+) ", Metrics(Board()).render()[0].decode(), re.M)
    return found | {name: set(TARGET_LABELS) for name in process}


SERIES = series()


def problems(query: str) -> list[str]:
    """What is wrong with a PromQL expression, as far as names, labels and brackets tell."""
    bare = re.sub(r'"(?:[^"\\]|\\.)*"', '""', query)
    found = [] if _balanced(bare) else ["brackets"]
    groups = re.findall(r"\b(by|without|on|ignoring|group_left)\s*\(([^)]*)\)\s*(\()?", bare)
    grouped = {label.strip() for _, labels, _ in groups for label in labels.split(",") if label.strip()}
    for match in re.finditer(r"\b(?:by|without)\s*\(([^)]*)\)\s*\(", bare):
        inner = _inside(bare, match.end())
        for name in _names(inner):
            found += [f"{name} has no label {label}" for label in _list(match[1]) if label not in SERIES.get(name, ())]
    for name, matchers in re.findall(r"([a-z_]\w*)\s*\{([^}]*)\}", bare):
        labels = re.findall(r"(\w+)\s*(?:=~|!~|!=|=)", matchers)
        found += [f"{name} has no label {label}" for label in labels if label not in SERIES.get(name, ())]
    names = _names(bare)
    known = {label for name in names for label in SERIES.get(name, ())}
    found += [f"no metric {name}" for name in names if name not in SERIES]
    found += [f"no label {label}" for label in sorted(grouped - known)]
    return found + ([] if names else ["no metric at all"])


def _names(bare: str) -> list[str]:
    """What stands where a metric's name stands."""
    text = re.sub(r"\b(by|without|on|ignoring|group_left)\s*\([^)]*\)", " ", bare)
    text = re.sub(r"\{[^}]*\}|\[[^\]]*\]", " ", text)
    called = set(re.findall(r"([a-z_]\w*)\s*\(", text))
    unknown = sorted(called - FUNCTIONS - WORDS)
    return unknown + [word for word in re.findall(r"(?<![\w.])[a-z_]\w*", text) if word not in called | WORDS]


def _list(labels: str) -> list[str]:
    return [label.strip() for label in labels.split(",") if label.strip()]


def _inside(text: str, start: int) -> str:
    depth = 1
    for at in range(start, len(text)):
        depth += {"(": 1, ")": -1}.get(text[at], 0)
        if depth == 0:
            return text[start:at]
    return text[start:]


def _balanced(text: str) -> bool:
    pairs, expected = {"(": ")", "[": "]", "{": "}"}, []
    for each in text:
        if each in pairs:
            expected.append(pairs[each])
        elif each in pairs.values() and (not expected or expected.pop() != each):
            return False
    return not expected and '"' not in text.replace('""', "")


def conditions(query: str) -> set[str]:
    """The conditions that a query asks for."""
    return {each for value in re.findall(r'condition=~?"([^"]*)"', query) for each in value.split("|")}


def page_queries() -> list[str]:
    return re.findall(r"^```promql\n(.*?)^```$", (ROOT / "docs" / "metrics.md").read_text(), re.M | re.S)


def all_queries() -> Iterator[str]:
    yield from (rule["expr"] for rule in RULES)
    yield from (target["expr"] for _, target in TARGETS)
    yield from page_queries()
    yield from (each["expr"] for each in DASHBOARD["annotations"]["list"])


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("sum(rate(pinata_reconciler_mints_total[5m])", ["brackets"]),
        ('pinata_reconciler_mints_total{kind="create}', ["brackets"]),
        ("rate(pinata_reconciler_mint_total[5m])", ["no metric pinata_reconciler_mint_total"]),
        ("pinata_reconciler_pass_duration_seconds", ["no metric pinata_reconciler_pass_duration_seconds"]),
        ('pinata_reconciler_accounts{kind="x"}', ["pinata_reconciler_accounts has no label kind"]),
        ("quantil(pinata_reconciler_accounts)", ["no metric quantil"]),
        ("1 + time()", ["no metric at all"]),
        (
            "sum by (kind) (pinata_reconciler_accounts) / sum by (kind) (pinata_reconciler_mints_total)",
            ["pinata_reconciler_accounts has no label kind"],
        ),
        ("pinata_reconciler_accounts / on (nobody) pinata_reconciler_open_intents", ["no label nobody"]),
        ("sum by (le) (rate(pinata_reconciler_pass_duration_seconds_bucket[5m])) > 0.5", []),
    ],
)
def test_mistakes_in_a_query_are_seen(query: str, expected: list[str]) -> None:
    assert expected == problems(query)


@pytest.mark.parametrize("query", list(all_queries()))
def test_a_query_names_metrics_and_labels_that_there_are(query: str) -> None:
    assert [] == problems(query)
    assert conditions(query) <= {condition.value for condition in Condition}


def test_the_page_has_a_query_for_each_service_level() -> None:
    levels = (ROOT / "docs" / "metrics.md").read_text().partition("## Service levels")[2].split("\n**")[1:]

    assert 10 <= len(levels)
    assert [] == [level for level in levels if "```promql" not in level]


# --- alerts -----------------------------------------------------------------------------------


def test_the_alerts_that_were_promised_are_there() -> None:
    promised = [
        "NoGoodPass",
        "KeyLost",
        "KeyStale",
        "CredentialsInvalid",
        "DriftUnhealed",
        "SourceFailing",
        "GuardHeld",
        "ManifestProblems",
        "CreditsLow",
        "UpstreamErrors",
        "MintStorm",
        "NotificationsFailing",
        "IntentsOpen",
        "ReconcilerDown",
        "ReconcilerStuck",
    ]

    assert sorted(f"Pinata{name}" for name in promised) == sorted(rule["alert"] for rule in RULES)


@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_an_alert_waits_a_while_and_says_what_it_is_and_where_to_read_on(rule: dict[str, Any]) -> None:
    assert re.fullmatch(r"\d+[mh]", rule["for"])
    assert rule["labels"]["severity"] in ("critical", "warning")
    assert {"summary", "description", "runbook_url"} == set(rule["annotations"])
    words = re.findall(r"[A-Z][a-z]+", rule["alert"])[1:]
    assert f"docs/runbook.md#{'-'.join(words).lower()}" == rule["annotations"]["runbook_url"]
    labels = {label for name in _names(re.sub(r'"[^"]*"', '""', rule["expr"])) for label in SERIES[name]}
    assert set(re.findall(r"\$labels\.(\w+)", str(rule["annotations"]))) <= labels


@pytest.mark.skipif(not RUNBOOK.exists(), reason="the runbook is not there")
@pytest.mark.parametrize("rule", RULES, ids=lambda rule: rule["alert"])
def test_the_runbook_has_the_place_that_an_alert_points_to(rule: dict[str, Any]) -> None:
    anchor = rule["annotations"]["runbook_url"].partition("#")[2]
    headings = re.findall(r"^#+ (.*)$", RUNBOOK.read_text(), re.M)
    explicit = re.findall(r'<a (?:id|name)="([^"]+)">', RUNBOOK.read_text())

    assert anchor in [*explicit, *(re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-") for heading in headings)]


def test_the_scrape_has_the_job_that_the_alerts_ask_for() -> None:
    (job,) = SCRAPE["scrape_configs"]
    asked = {job for query in all_queries() for job in re.findall(r'job="([^"]*)"', query)}

    assert {job["job_name"]} == asked
    assert "/metrics" == job["metrics_path"]
    assert [True] == [(FOLDER / name).exists() for name in SCRAPE["rule_files"]]


@pytest.mark.skipif(not shutil.which("promtool"), reason="there is no promtool here")
@pytest.mark.parametrize("arguments", [("rules", "alerts.yaml"), ("config", "prometheus.yml")], ids=str)
def test_prometheus_takes_the_examples(arguments: tuple[str, str]) -> None:
    done = subprocess.run(["promtool", "check", *arguments], cwd=FOLDER, capture_output=True, text=True, timeout=60)

    assert 0 == done.returncode, done.stdout + done.stderr


# --- the dashboard ----------------------------------------------------------------------------


def test_the_dashboard_can_be_imported_anywhere() -> None:
    variables = {each["name"]: each for each in DASHBOARD["templating"]["list"]}
    sources = [each["datasource"]["uid"] for panel in PANELS for each in (panel, *panel["targets"])]

    assert ["datasource", "fleet", "instance"] == list(variables)
    assert "datasource" == variables["datasource"]["type"]
    assert {"${datasource}"} == {*sources, *(variables[name]["datasource"]["uid"] for name in ("fleet", "instance"))}
    assert "id" not in DASHBOARD


def test_the_variables_ask_for_labels_that_there_are() -> None:
    for each in DASHBOARD["templating"]["list"][1:]:
        query, label = re.fullmatch(r"label_values\((.*), (\w+)\)", each["query"]["query"]).groups()  # type: ignore[union-attr]
        assert [] == problems(query)
        assert {label} <= SERIES[query.partition("{")[0]]


@pytest.mark.parametrize(
    ("title", "target"), TARGETS, ids=lambda each: each if isinstance(each, str) else each["refId"]
)
def test_a_legend_names_labels_that_its_query_leaves(title: str, target: dict[str, Any]) -> None:
    bare = re.sub(r'"[^"]*"', '""', target["expr"])
    by = re.search(r"sum by \(([^)]*)\)", bare)
    left = set(_list(by[1])) if by else {label for name in _names(bare) for label in SERIES[name]}

    assert set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"])) <= left, title
    assert 'instance=~"$instance"' in target["expr"]


def test_every_panel_says_what_it_shows_in_which_unit_and_overlaps_no_other() -> None:
    taken: dict[tuple[int, int], str] = {}
    for panel in DASHBOARD["panels"]:
        grid = panel["gridPos"]
        for cell in (
            (x, y) for x in range(grid["x"], grid["x"] + grid["w"]) for y in range(grid["y"], grid["y"] + grid["h"])
        ):
            assert cell not in taken, (panel["title"], taken.get(cell))
            assert cell[0] < 24
            taken[cell] = panel["title"]
    for panel in PANELS:
        assert panel["description"].endswith("."), panel["title"]
        assert panel["fieldConfig"]["defaults"]["unit"], panel["title"]
    assert len(DASHBOARD["panels"]) == len({panel["id"] for panel in DASHBOARD["panels"]})


def test_the_dashboard_shows_what_is_measured() -> None:
    shown = " ".join(target["expr"] for _, target in TARGETS)
    # Said by another panel in other words, or of use in a query only.
    left_out = {"fleet_info", "last_pass_timestamp_seconds", "next_pass_timestamp_seconds", "credits_low_accounts"}
    left_out |= {"source_fetch_duration_seconds"}

    missing = [each.name for each in Metrics(Board()).described if each.name not in shown]
    assert {f"pinata_reconciler_{name}" for name in left_out} == set(missing)


def test_the_readme_names_every_file() -> None:
    text = (FOLDER / "README.md").read_text()

    assert [] == [path.name for path in FOLDER.iterdir() if path.name != "README.md" and f"`{path.name}`" not in text]
