"""Plans as text, data and Markdown: an outage says so and names the Vault path."""

import io
import json

import pytest
import yaml
from fake_fleet import NOW, FakeFleet, declared, manifest, refused
from rich.console import Console

from pulumi_pinata.core.errors import Transient
from reconciler import report, terminal
from reconciler.apply import apply
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


# --- what stops many at once --------------------------------------------------------------------------------


def down(seconds: int) -> Transient:
    return Transient("Vault does not answer.", about="vault.address", hint=f"It is tried again in {seconds} s.")


@pytest.fixture
def stopped() -> FleetPlan:
    fleet = FakeFleet()
    fleet.broken = {name: down(number) for number, name in enumerate("abcdef")}
    fleet.broken["d"] = refused("credentials", "the JWT is expired.")
    return fleet.plan(manifest(*(declared(name) for name in "abcdefg")))


def test_accounts_that_one_thing_has_stopped_are_one_line(stopped: FleetPlan) -> None:
    expected = """\
fleet shop, 7 accounts: 0 as declared, 1 to create, 6 failed
  x error    5 accounts: a, b, c and 2 more  StoreUnavailable
      vault.address: Vault does not answer. It is tried again in 0 s.
  x error    d  secret/pinata/d  CredentialsInvalid
      credentials: the JWT is expired.
  + create   g  secret/pinata/g  Off
      inference is off"""

    assert expected == report.plan_text(stopped, Verdict())


def test_accounts_that_one_thing_has_stopped_are_one_row_of_markdown(stopped: FleetPlan) -> None:
    rows = [line for line in report.plan_markdown(stopped, Verdict()).splitlines() if line.startswith("| `")]

    assert [
        "| `x` | 5 accounts: a, b, c and 2 more | error | StoreUnavailable |  | "
        "vault.address: Vault does not answer. It is tried again in 0 s. |",
        "| `x` | d | error | CredentialsInvalid | `secret/pinata/d` | credentials: the JWT is expired. |",
        "| `+` | g | create | Off | `secret/pinata/g` | inference is off |",
    ] == rows


def test_programs_are_told_of_every_account(stopped: FleetPlan) -> None:
    accounts = report.plan_data(stopped, Verdict())["accounts"]

    assert ["It is tried again in 4 s." in account["reason"] for account in accounts if account["name"] == "e"] == [
        True
    ]
    assert list("abcdefg") == [account["name"] for account in accounts]


def test_changes_are_told_one_by_one_whatever_they_have_in_common() -> None:
    text = report.plan_text(FakeFleet().plan(manifest(*(declared(name) for name in "abc"))), Verdict())

    assert 3 == text.count("inference is off")


def test_results_that_one_thing_has_stopped_are_one_line() -> None:
    fleet = FakeFleet()
    plan = fleet.plan(manifest(*(declared(name) for name in "abc")))
    fleet.broken = {"a": down(3), "c": down(4)}

    results = apply(plan, fleet, workers=1, now=NOW)

    assert (
        "  failed      create   2 accounts: a, c  StoreUnavailable\n"
        "      vault.address: Vault does not answer. It is tried again in 3 s.\n"
        "  done        create   b  Ready, secret/pinata/b version 1\n"
        "1 done, 2 failed"
    ) == report.results_text(sorted(results, key=lambda result: result.row.name))
    told = [line for line in report.results_markdown(results).splitlines() if line.startswith("- ")]
    assert ["- **2 accounts: a, c**: vault.address: Vault does not answer. It is tried again in 3 s."] == told


@pytest.mark.parametrize("width", [60, 80, 109])
def test_a_narrow_terminal_gets_why_below_the_account_in_its_whole_width(plan: FleetPlan, width: int) -> None:
    console = Console(file=io.StringIO(), width=width)
    with console.capture() as shown:
        terminal.show(plan, Verdict(), console=console)
    lines = [line.rstrip() for line in shown.get().splitlines()]

    at = lines.index("! remint   b  secret/pinata/b  KeyStale")
    assert "    the live key was minted by somebody else" == lines[at + 1]
    assert lines[at + 2].startswith("    OUTAGE: the present key dies, and whatever uses")
    assert max(len(line) for line in lines) <= width
    assert not any("Vault path" in line for line in lines)


def test_a_table_too_names_those_that_one_thing_has_stopped_once(stopped: FleetPlan) -> None:
    console = Console(file=io.StringIO(), width=160)
    with console.capture() as shown:
        terminal.show(stopped, Verdict(), console=console)

    assert 1 == shown.get().count("Vault does not answer.")
    assert "5 accounts: a, b, c and 2 more" in shown.get()
