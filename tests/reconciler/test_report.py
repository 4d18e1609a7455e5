"""Plans as text, data and Markdown: an outage says so and names the Vault path."""

import json

import pytest
import yaml
from fake_fleet import FakeFleet, declared, manifest, refused
from rich.console import Console

from reconciler import report, terminal
from reconciler.fleetplan import FleetPlan
from reconciler.guards import Limits, Verdict, judge
from reconciler.manifest.declared import Place, Problem


@pytest.fixture
def plan() -> FleetPlan:
    fleet = FakeFleet()
    before = manifest(*(declared(name, prune=True) for name in "abcd"))
    fleet.apply(before)
    fleet.pinata("b").remint_out_of_band()
    fleet.broken["c"] = refused("credentials", "a | in *it* <b>.")
    return fleet.plan(manifest(declared("b"), declared("c"), declared("d"), declared("e")))


def test_the_plain_text_names_changes_reasons_and_outages_and_leaves_out_what_is_in_order(plan: FleetPlan) -> None:
    expected = """\
fleet shop, 5 accounts: 1 as declared, 1 to create, 1 to remint, 1 to prune, 1 failed, 2 OUTAGES
  - prune    a  secret/pinata/a  Ready
      no longer declared, and `prune` is on
      OUTAGE: the key at secret/pinata/a dies, and whatever uses it fails for good
  ! remint   b  secret/pinata/b  KeyStale
      the live key was minted by somebody else
      OUTAGE: the present key dies, and whatever uses secret/pinata/b fails until it reads the new one
  x error    c  secret/pinata/c  CredentialsInvalid
      credentials: a | in *it* <b>.
  + create   e  secret/pinata/e  Off
      inference is off"""

    assert expected == report.plan_text(plan, Verdict())


def test_what_the_guards_refuse_is_said_with_the_way_to_do_it_all_the_same(plan: FleetPlan) -> None:
    verdict = judge(plan, Limits(disables=0, disables_percent=0), today="2026-11-24")
    text = report.plan_text(plan, verdict)

    assert "guard disables: 1 of 5 accounts would be switched off; at most 0 may be at once (0, or 0 %)." in text
    assert text.endswith(f"once: apply --acknowledge {plan.checksum}")


def test_json_and_yaml_say_the_same(plan: FleetPlan) -> None:
    data = report.plan_data(plan, judge(plan, Limits(), today="2026-11-24"))

    assert data == json.loads(report.as_json(data)) == yaml.safe_load(report.as_yaml(data))
    row = next(row for row in data["accounts"] if row["name"] == "b")
    assert ("remint", True, "KeyStale", "secret/pinata/b", "b.yaml:1:1") == (
        row["change"],
        row["pending"],
        row["condition"],
        row["path"],
        row["declaredAt"],
    )
    assert "secret/pinata/b" in row["outage"]


def test_the_markdown_starts_with_the_summary_warns_of_outages_and_cannot_be_broken_by_names(plan: FleetPlan) -> None:
    lines = report.plan_markdown(plan, Verdict()).splitlines()

    assert "### Pinata inference: 3 change(s)" == lines[0]
    assert "2 OUTAGES" in lines[2]
    assert (
        "> ⚠️ **b**: OUTAGE: the present key dies, and whatever uses secret/pinata/b fails until it reads the new one"
    ) in lines
    assert (
        "| `x` | c | error | CredentialsInvalid | `secret/pinata/c` | credentials: a \\| in \\*it\\* &lt;b&gt;. |"
    ) in lines
    assert f"<sub>checksum `{plan.checksum}`</sub>" == lines[-1]


def test_the_markdown_of_a_thousand_changes_fits_into_a_comment() -> None:
    fleet = FakeFleet()
    plan = fleet.plan(manifest(*(declared(f"account_{n}") for n in range(1000))), workers=2)

    text = report.plan_markdown(plan, Verdict())

    assert len(text) < 65_536
    assert "and 800 more" in text


def test_problems_of_the_manifests_stand_below(plan: FleetPlan) -> None:
    fleet = FakeFleet()
    broken = fleet.plan(manifest(problems=(Problem(Place("a.yaml", 3, 7), "no such field.", "Did you mean `spec`?"),)))

    assert "problem: a.yaml:3:7: no such field. Did you mean `spec`?" in report.plan_text(broken, Verdict())


def test_results_name_the_version_that_holds_the_new_key_and_the_errors() -> None:
    fleet = FakeFleet()
    wanted = manifest(declared("a"), declared("b"))
    plan = fleet.plan(wanted)
    fleet.broken["b"] = refused("vault.auth", "this Vault login may not write.")
    from fake_fleet import NOW

    from reconciler.apply import apply

    results = apply(plan, fleet, workers=1, now=NOW)

    assert (
        "  done        create   a  Ready, secret/pinata/a version 1\n"
        "  failed      create   b  StoreUnavailable\n"
        "      vault.auth: this Vault login may not write.\n"
        "1 done, 1 failed"
    ) == report.results_text(results)
    assert ["done", "failed"] == [row["ending"] for row in report.results_data(results)]
    assert "| b | create | failed | secret/pinata/b | StoreUnavailable |" in report.results_markdown(results)


def test_a_terminal_gets_a_table_and_no_colour_where_that_is_not_wanted(
    plan: FleetPlan, monkeypatch: pytest.MonkeyPatch
) -> None:
    for no_color in (False, True):
        if no_color:
            monkeypatch.setenv("NO_COLOR", "1")
        console = Console(force_terminal=True, width=200, record=True)
        with console.capture() as shown:
            terminal.show(plan, Verdict(), console=console)
        assert "OUTAGE: the key at secret/pinata/a dies" in shown.get()
        assert no_color == ("\x1b[31m" not in shown.get())
