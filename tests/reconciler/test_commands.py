"""Every command on the real parts of the sandbox, a few accounts each."""

import json
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
import yaml
from sandbox_fleet import DEFAULTS, MakeFleet, SandboxFleet

from pulumi_pinata import properties
from pulumi_pinata.sandbox.policies import READER_POLICY
from reconciler import pulumi_format


@pytest.fixture
def fleet(fleet_of: MakeFleet) -> SandboxFleet:
    return fleet_of(2, timeout=2)


@pytest.fixture
def applied(fleet: SandboxFleet) -> SandboxFleet:
    assert 0 == fleet.apply().code
    return fleet


# --- plan, apply, status ------------------------------------------------------------------------------


@pytest.mark.parametrize("output", ["text", "json", "yaml", "markdown"])
def test_every_form_of_plan_status_and_apply_is_whole(fleet: SandboxFleet, output: str) -> None:
    shown = [
        fleet.plan("-o", output),
        fleet.apply("-o", output),
        fleet.run("status", str(fleet.manifests), "-o", output),
    ]

    assert [2, 0, 0] == [ran.code for ran in shown]
    for ran in shown:
        assert fleet.names[0] in ran.out
        if output == "json":
            json.loads(ran.out)
        if output == "yaml":
            yaml.safe_load(ran.out)


def test_an_apply_that_nobody_could_confirm_asks_for_yes(fleet: SandboxFleet) -> None:
    ran = fleet.run("apply", str(fleet.manifests))

    assert (64, set()) == (ran.code, fleet.on())
    assert "--yes" in ran.err


def test_an_apply_whose_input_is_closed_asks_for_yes_too(fleet: SandboxFleet) -> None:
    process = subprocess.run(
        ["sh", "-c", 'exec "$@" <&-', "sh", sys.executable, "-m", "reconciler", "apply", str(fleet.manifests)],
        env={**fleet.clean(), **fleet.env},
        capture_output=True,
        text=True,
    )

    assert (64, set(), True) == (process.returncode, fleet.on(), "--yes" in process.stderr), process.stderr


def test_one_bad_account_is_an_error_of_the_plan_and_leaves_the_apply_partly_done(fleet: SandboxFleet) -> None:
    del fleet.env[fleet.variable(fleet.names[0])]

    assert (1, 3) == (fleet.plan().code, fleet.apply().code)
    assert {fleet.names[1]} == fleet.on()


def test_an_apply_of_which_nothing_works_is_1(fleet: SandboxFleet) -> None:
    for name in fleet.names:
        del fleet.env[fleet.variable(name)]

    assert 1 == fleet.apply().code


def test_a_saved_plan_is_applied_without_a_question(fleet: SandboxFleet, tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    assert 2 == fleet.plan("--out", str(file)).code
    fleet.assert_no_secret(file.read_text())

    assert 0 == fleet.run("apply", str(file)).code
    assert [] == fleet.unsafe()
    again = fleet.run("apply", str(file))
    assert (1, True) == (again.code, "what the plan relied on has moved; nothing was changed" in again.err)


def test_a_saved_plan_is_not_applied_once_a_manifest_has_changed(fleet: SandboxFleet, tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    fleet.plan("--out", str(file))
    fleet.declare(fleet.names[0], onDelete="retain")

    ran = fleet.run("apply", str(file))

    assert (1, set(), True) == (ran.code, fleet.on(), "the manifests have changed" in ran.err)


def test_a_saved_plan_that_was_edited_is_not_applied(fleet: SandboxFleet, tmp_path: Path) -> None:
    file = tmp_path / "plan.json"
    fleet.plan("--out", str(file))
    file.write_text(file.read_text().replace('"create"', '"none"', 1))

    ran = fleet.run("apply", str(file))

    assert (1, set(), True) == (ran.code, fleet.on(), "was changed after it was made" in ran.err)


def test_an_empty_folder_is_refused_while_the_fleet_keeps_accounts(applied: SandboxFleet) -> None:
    applied.remove(*applied.names)
    applied.env["VAULT_TOKEN"] = applied.bao.make_token(["pinata-provider"])

    ran = applied.apply()

    assert (1, set(applied.names)) == (ran.code, applied.on())
    assert "nothing is declared, but fleet" in ran.out
    checksum = re.search(r"--acknowledge ([0-9a-f]{64})", ran.out)
    assert checksum
    assert 0 == applied.apply("--acknowledge", checksum[1]).code
    assert set() == applied.on()


def test_a_file_with_an_error_freezes_its_account_and_prunes_nothing(applied: SandboxFleet) -> None:
    first, second = applied.names
    applied.write(first, "kind: Inference\n\tmetadata: {}")
    applied.remove(second)

    assert 1 == applied.plan().code
    assert 1 == applied.apply().code
    assert set(applied.names) == applied.on()


def test_a_protected_account_is_not_switched_off(applied: SandboxFleet) -> None:
    first, second = applied.names
    applied.declare(first, protect="true")
    applied.apply()
    applied.declare(first, protect="true", inference="disabled")
    applied.declare(second, inference="disabled")

    ran = applied.apply()

    assert (3, {first}) == (ran.code, applied.on())
    assert f"guard protected: {first}: it is protected" in ran.out


def test_a_sealed_vault_is_the_condition_of_its_accounts(applied: SandboxFleet) -> None:
    applied.proxy.fault = lambda method, path: 503

    ran = applied.run("status", str(applied.manifests), "-o", "json")

    assert 1 == ran.code
    assert {"StoreUnavailable"} == {row["condition"] for row in json.loads(ran.out)["accounts"]}


def test_credits_are_set_as_declared(applied: SandboxFleet) -> None:
    applied.declare(applied.names[0], credits="{topUp: {threshold: 10, amount: 50}}")

    assert (2, 0, 0) == (applied.plan().code, applied.apply().code, applied.plan().code)
    topup = applied.pinata._account(applied.names[0]).credits.topup
    assert (10.0, 50) == (topup.threshold, topup.amount)


# --- validate ------------------------------------------------------------------------------------------


def test_validate_asks_nobody_and_names_the_place_of_a_problem(fleet: SandboxFleet) -> None:
    path = str(fleet.manifests)
    assert 0 == fleet.run("validate", path).code
    del fleet.env[fleet.variable(fleet.names[0])]

    ran = fleet.run("validate", path)
    data = json.loads(fleet.run("validate", path, "-o", "json").out)
    del fleet.env["VAULT_ADDR"]  # what asks nobody need not know where Vault is
    offline = fleet.run("validate", path, "--offline")

    assert (1, 0) == (ran.code, offline.code)
    assert re.search(rf"{fleet.names[0]}\.yaml:\d+:\d+: .*is not set", ran.out)
    assert (2, 1) == (data["accounts"], len(data["problems"]))
    assert [] == fleet.proxy.calls


# --- rotate, adopt ---------------------------------------------------------------------------------------


def test_rotate_replaces_one_key_once_and_says_that_it_is_an_outage(applied: SandboxFleet) -> None:
    name, other = applied.names
    before, untouched = applied.key(name), applied.key(other)

    ran = applied.run("rotate", name, str(applied.manifests), "--yes")

    assert (0, 2, []) == (ran.code, applied.mints()[name], applied.unsafe())
    assert before != applied.key(name)
    assert untouched == applied.key(other)
    assert f"OUTAGE: the present key dies, and whatever uses secret/fleets/{applied.name}/{name} fails" in ran.out
    assert 0 == applied.plan().code


def test_rotate_refuses_what_is_unknown_off_or_protected(applied: SandboxFleet) -> None:
    first, second = applied.names
    applied.pinata.disable_out_of_band(first)
    applied.declare(second, protect="true")

    refused = [applied.run("rotate", name, str(applied.manifests), "--yes") for name in ("nobody", first, second)]

    assert [1, 1, 1] == [ran.code for ran in refused]
    assert "no account of this name is declared" in refused[0].err
    assert "Run apply first" in refused[1].err
    assert "it is protected" in refused[2].out
    assert 1 == applied.mints()[second]


def test_an_unknown_name_comes_with_the_first_that_are_known_and_how_many_more(fleet_of: MakeFleet) -> None:
    fleet = fleet_of(12)

    ran = fleet.run("rotate", "nobody", str(fleet.manifests), "--yes")

    assert f"there are: {', '.join(fleet.names[:10])} and 2 more." in ran.err


def test_a_key_that_a_person_stored_is_adopted_as_it_is(fleet: SandboxFleet) -> None:
    name = fleet.names[0]
    fleet.pinata.enable_out_of_band(name)
    (key,) = fleet.pinata.minted_keys(name)
    path = f"secret/data/fleets/{fleet.name}/{name}"
    fleet.bao.api.call("POST", path, {"data": {"PINATA_LLM_KEY": key}})
    assert 3 == fleet.apply().code  # refused: it is somebody's

    ran = fleet.run("adopt", name, str(fleet.manifests))

    assert (0, 1, True) == (ran.code, fleet.mints()[name], fleet.safe(name)), ran.out + ran.err
    told = f"{name}: adopted: the key at secret/fleets/{fleet.name}/{name}, version 2, is now the fleet's"
    assert told == ran.out.splitlines()[0]
    assert 0 == fleet.plan().code
    again = fleet.run("adopt", name, str(fleet.manifests))
    assert (1, True) == (again.code, "the fleet has this account in its keeping already" in again.err)


def test_what_is_adopted_is_told_beside_a_report_for_programs(fleet: SandboxFleet) -> None:
    name = fleet.names[0]
    fleet.pinata.enable_out_of_band(name)
    (key,) = fleet.pinata.minted_keys(name)
    fleet.bao.api.call("POST", f"secret/data/fleets/{fleet.name}/{name}", {"data": {"PINATA_LLM_KEY": key}})

    ran = fleet.run("adopt", name, str(fleet.manifests), "-o", "json")

    assert (0, True) == (ran.code, "is now the fleet's" in ran.err), ran.err
    assert name == json.loads(ran.out)["accounts"][0]["name"]


def test_an_account_that_somebody_switched_on_comes_with_the_command_that_keeps_its_key(fleet: SandboxFleet) -> None:
    name = fleet.names[0]
    fleet.pinata.enable_out_of_band(name)
    (key,) = fleet.pinata.minted_keys(name)
    path = f"fleets/{fleet.name}/{name}"

    lost = fleet.plan().out
    fleet.bao.api.call("POST", f"secret/data/{path}", {"data": {"PINATA_LLM_KEY": key}})
    stored = fleet.plan().out

    assert f"store it in secret/{path}, field PINATA_LLM_KEY, then `pinata-reconciler adopt NAME`" in lost
    assert "If it is the key in use, `pinata-reconciler adopt NAME` takes it as it is" in stored


def test_an_account_of_another_owner_comes_with_the_command_that_takes_it_over(applied: SandboxFleet) -> None:
    name, mints = applied.names[0], applied.mints()
    applied.write("defaults", DEFAULTS.format(fleet=f"{applied.name}x", timeout=applied.timeout))
    owner = f"reconciler:{applied.name}/{name}"

    planned = applied.plan()
    plain = applied.run("adopt", name, str(applied.manifests))
    taken = applied.run("adopt", name, str(applied.manifests), "--take-over")

    assert f"held by {owner}. Once its owner lets go of it, `pinata-reconciler adopt NAME --take-over`" in planned.out
    assert (1, True) == (plain.code, f"is managed by {owner} already" in plain.err), plain.err
    assert "--take-over takes it with the same key" in plain.err
    assert (0, mints, True) == (taken.code, applied.mints(), applied.safe(name)), taken.out + taken.err


def test_an_account_that_another_owner_keeps_elsewhere_is_told_where(applied: SandboxFleet) -> None:
    name = applied.names[0]
    applied.write("defaults", DEFAULTS.format(fleet=f"{applied.name}x", timeout=applied.timeout))
    there = f"secret/fleets/{applied.name}/{name}"
    manifest = applied.manifests / f"{name}.yaml"
    manifest.write_text(manifest.read_text().replace(f"fleets/{applied.name}/{name}", f"fleets/{applied.name}/else"))

    planned = applied.plan()
    plain = applied.run("adopt", name, str(applied.manifests))

    assert f"declare `vault.path` as at {there}, then `pinata-reconciler adopt NAME --take-over`" in planned.out
    assert 1 == plain.code
    applied.bao.api.call("POST", f"secret/data/fleets/{applied.name}/else", {"data": {"PINATA_LLM_KEY": "x"}})
    plain = applied.run("adopt", name, str(applied.manifests))
    assert f"is managed by reconciler:{applied.name}/{name} already, with its key at {there}." in plain.err


def test_a_reference_that_is_none_comes_with_the_forms_that_are_taken_here(fleet: SandboxFleet) -> None:
    for reference in ("https://hooks.test/secret", "vault:secret/hook#url", "vault:nothing"):
        ran = fleet.run("run", str(fleet.manifests), "--notify", reference)

        assert 1 == ran.code
        assert "write env:NAME or file:PATH." in ran.err
        assert reference not in ran.err


def test_a_key_that_is_lost_is_adopted_by_a_new_one(fleet: SandboxFleet) -> None:
    name = fleet.names[0]
    fleet.pinata.enable_out_of_band(name)
    nothing = fleet.run("adopt", name, str(fleet.manifests))
    assert (1, True) == (nothing.code, "--remint" in nothing.err)

    ran = fleet.run("adopt", name, str(fleet.manifests), "--remint", "--yes")

    assert (0, True) == (ran.code, fleet.safe(name)), ran.out + ran.err


# --- doctor ------------------------------------------------------------------------------------------------


def test_doctor_finds_nothing_in_the_way_of_a_sound_fleet(applied: SandboxFleet) -> None:
    before = applied.mints()

    ran = applied.run("doctor", str(applied.manifests))

    assert (0, before) == (ran.code, applied.mints()), ran.out
    assert "0 of them in the way" in ran.out


def test_doctor_says_what_is_in_the_way_and_what_to_do(applied: SandboxFleet) -> None:
    del applied.env[applied.variable(applied.names[0])]

    findings = json.loads(applied.run("doctor", str(applied.manifests), "-o", "json").out)

    (bad,) = [finding for finding in findings if finding["level"] == "bad"]
    assert (applied.names[0], True) == (bad["subject"], "is not set" in bad["message"])
    assert bad["todo"]


def test_doctor_says_whose_jwt_stands_in_the_place_of_another(applied: SandboxFleet) -> None:
    first, second = applied.names
    applied.env[applied.variable(second)] = applied.env[applied.variable(first)]

    ran = applied.run("doctor", str(applied.manifests))
    planned = applied.plan()

    told = f"credentials: these credentials are those of {first}: they speak for account "
    assert (1, 1) == (ran.code, planned.code)
    assert f"bad      {second}: {told}" in ran.out
    assert told in planned.out
    assert f"ok       {second}" not in ran.out
    assert f"ok       {first}: JWT accepted" in ran.out


def test_doctor_finds_two_names_with_one_jwt_before_anything_is_applied(fleet: SandboxFleet) -> None:
    first, second = fleet.names
    fleet.env[fleet.variable(second)] = fleet.env[fleet.variable(first)]

    ran = fleet.run("doctor", str(fleet.manifests))

    assert 1 == ran.code
    assert f"bad      {first}: {first} and {second} are one account by their credentials." in ran.out


def test_doctor_tells_of_a_service_that_is_down_once_and_programs_of_every_account(fleet_of: MakeFleet) -> None:
    fleet = fleet_of(5)
    fleet.pinata.add_fault("status", status=503, path="/v0/llm/status", times=999)

    ran = fleet.run("doctor", str(fleet.manifests))
    findings = json.loads(fleet.run("doctor", str(fleet.manifests), "-o", "json").out)

    (bad,) = [line for line in ran.out.splitlines() if line.startswith("bad ")]
    assert bad.startswith(f"bad      {', '.join(fleet.names[:3])} and 2 more (5): ")
    assert fleet.names == [finding["subject"] for finding in findings if finding["level"] == "bad"]


def test_a_vault_that_is_down_is_told_once(fleet_of: MakeFleet) -> None:
    fleet = fleet_of(5)
    fleet.proxy.fault = lambda method, path: 503

    planned, ran = fleet.plan(), fleet.run("doctor", str(fleet.manifests), "--workers", "1")

    assert f"5 accounts: {', '.join(fleet.names[:3])} and 2 more  StoreUnavailable" in planned.out
    assert 1 == planned.out.count("Vault is sealed")
    assert f"{', '.join(fleet.names[:3])} and 2 more (5): vault.address: Vault is sealed" in ran.out


def test_doctor_names_the_capability_that_a_vault_login_lacks(applied: SandboxFleet) -> None:
    applied.env["ROLE_ID"] = applied.logins.reader.role_id
    applied.env["SECRET_ID"] = applied.logins.reader.secret_id

    ran = applied.run("doctor", str(applied.manifests))

    assert (1, True) == (ran.code, "may not read" in ran.out), (READER_POLICY, ran.out)


def test_doctor_finds_an_open_intent_and_a_sealed_key(applied: SandboxFleet, tmp_path: Path) -> None:
    name = applied.names[0]
    (tmp_path / "sealed").mkdir()
    (tmp_path / "sealed" / "abc-1.age").write_text("sealed")
    applied.env["PINATA_ESCROW_DIRECTORY"] = str(tmp_path / "sealed")
    # Cut off between the mint and its store.
    applied.pinata.disable_out_of_band(name)
    applied.proxy.fault = lambda method, path: (
        503 if method != "GET" and path.startswith("secret/data/fleets/") else None
    )
    applied.pinata.add_fault("status", status=503, path="/v0/llm/disable", times=99)
    assert applied.apply().code in (1, 3)
    applied.proxy.fault = lambda method, path: None
    applied.pinata.clear_faults()

    ran = applied.run("doctor", str(applied.manifests))

    assert 0 == ran.code, ran.out
    assert "an intent is open: mint" in ran.out
    assert "a sealed key, of account abc" in ran.out


# --- import-file, escrow -------------------------------------------------------------------------------------


def test_the_import_file_is_what_pulumi_pinata_itself_would_write(
    applied: SandboxFleet, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pulumi_pinata import import_file

    name = applied.names[0]
    ours = json.loads(applied.run("import-file", name, str(applied.manifests), "--as", "prod").out)
    inputs = {key: value for key, value in ours["resources"][0]["inputs"].items() if key not in ("__provider", "owner")}
    with applied.environment():
        theirs = import_file.build("prod", f"reconciler:{applied.name}/{name}", inputs, take_over=False, adopt=False)

    assert json.loads(json.dumps(theirs)) == ours
    assert (pulumi_format.TYPE, pulumi_format.PROVIDER) == (
        import_file.TYPE,
        theirs["resources"][0]["inputs"]["__provider"],
    )
    assert properties.SCHEMA_VERSION == ours["resources"][0]["outputs"]["schema_version"]


def test_an_account_without_a_key_is_not_handed_over(fleet: SandboxFleet) -> None:
    ran = fleet.run("import-file", fleet.names[0], str(fleet.manifests))

    assert (1, True) == (ran.code, "there is no live key to hand over (condition Off)" in ran.err)


def test_a_key_from_escrow_is_put_into_vault(fleet: SandboxFleet, tmp_path: Path) -> None:
    pyrage = pytest.importorskip("pyrage")
    identity = pyrage.x25519.Identity.generate()
    (tmp_path / "identity").write_text(f"{identity}\n")
    fleet.env["PINATA_ESCROW_RECIPIENT"] = str(identity.to_public())
    fleet.env["PINATA_ESCROW_DIRECTORY"] = str(tmp_path / "sealed")
    name = fleet.names[0]
    fleet.remove(fleet.names[1])
    fleet.proxy.fault = lambda method, path: 503 if method != "GET" and "data/fleets/" in path else None
    assert 1 == fleet.apply().code
    fleet.proxy.fault = lambda method, path: None
    (sealed,) = (tmp_path / "sealed").glob("*.age")

    given = ("escrow", "import", str(sealed), name, str(fleet.manifests), "--identity", str(tmp_path / "identity"))
    unnoted = fleet.run(*given, "--audit-log", str(tmp_path / "nowhere" / "audit.jsonl"))
    assert (1, None) == (unnoted.code, fleet.key(name))  # what cannot be noted is not done

    ran = fleet.run(*given, "--audit-log", str(tmp_path / "audit.jsonl"))

    assert (0, True, 1) == (ran.code, fleet.safe(name), fleet.mints()[name]), ran.err
    assert "version 1 holds the key" in ran.out
    begin, end = (json.loads(line) for line in (tmp_path / "audit.jsonl").read_text().splitlines())
    assert [("begin", "escrow-import", name)] == [tuple(begin[key] for key in ("entry", "change", "account"))]
    assert [("end", "done", 1)] == [tuple(end[key] for key in ("entry", "ending", "version"))]
    assert fleet.apply().code == 0
    assert 1 == fleet.mints()[name]


# --- init, schema -------------------------------------------------------------------------------------------


def test_what_init_writes_is_valid_can_be_applied_and_is_not_written_over(fleet: SandboxFleet, tmp_path: Path) -> None:
    folder = tmp_path / "starter"
    ran = fleet.run("init", str(folder), "--fleet", f"{fleet.name}x", "--account", "shop-prod")
    assert 0 == ran.code, ran.err
    fleet.env["PINATA_JWT_SHOP_PROD"] = fleet.env[fleet.variable(fleet.names[0])]
    fleet.env["VAULT_TOKEN"] = fleet.bao.make_token(["pinata-provider"])
    manifests = str(folder / "manifests")

    assert ran.out.rstrip().endswith(f"next: pinata-reconciler doctor {manifests}")
    codes = [
        fleet.run(*command, manifests).code for command in (["validate"], ["doctor"], ["plan"], ["apply", "--yes"])
    ]
    assert [0, 0, 2, 0] == codes
    text = (folder / "README.md").read_text()
    again = fleet.run("init", str(folder))
    assert (1, text) == (again.code, (folder / "README.md").read_text())


def test_the_workflow_of_init_is_yaml_that_runs_commands_which_exist(fleet: SandboxFleet, tmp_path: Path) -> None:
    fleet.run("init", str(tmp_path / "starter"))
    workflow = yaml.safe_load((tmp_path / "starter/.github/workflows/pinata.yml").read_text())

    steps = workflow["jobs"]["pinata"]["steps"]
    lines = [line.strip() for step in steps for line in step.get("run", "").splitlines()]
    commands = [shlex.split(line) for line in lines if line.startswith("pinata-reconciler")]
    assert {"validate", "plan", "apply"} == {command[1] for command in commands}
    for command in commands:
        assert 0 == fleet.run(command[1], "--help").code


def test_the_schema_is_printed_as_it_is_published(fleet: SandboxFleet) -> None:
    schema = json.loads(fleet.run("schema").out)

    assert "$schema" in schema
