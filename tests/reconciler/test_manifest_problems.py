"""Bad manifests: each problem at its own place and in words, all in one go, and the accounts of the file frozen."""

from pathlib import Path

import pytest
from manifest_text import API, ENV, HEAD, problems, read

from reconciler.manifest import manifests as manifest

FORMS = "env:NAME, file:PATH or vault:MOUNT/PATH#FIELD"
JWT = "eyJhbGciOiJIUzI1NiJ9.eyJzZWNyZXQiOiJoZWxsbyJ9.c2lnbmF0dXJl"


# The spec begins on line 5 with `spec:`, so what follows is on line 6 and on.
SPECS = {
    "an unknown field": ("vualt: {}", "6:3: spec.vualt: no such field. Did you mean `vault`?"),
    "an unknown inner field": ("vault:\n    mont: kv", "7:5: spec.vault.mont: no such field. Did you mean `mount`?"),
    "a field like no other": (
        "rotation: {zzz: 1}",
        "6:14: spec.rotation.zzz: no such field. Known: maxAge, trigger, window.",
    ),
    "snake case": ("vault: {ca_cert: x}", "6:11: spec.vault.ca_cert: no such field. Did you mean `caCert`?"),
    "a number for text": ("account: 12", "6:12: spec.account: must be text, not a number. Quote it."),
    "a list for text": ("credentials: [x]", "6:16: spec.credentials: must be text, not a list."),
    "text for a switch": ('prune: "true"', "6:10: spec.prune: must be true or false, not text."),
    "text for a number": ('timeout: "20"', "6:12: spec.timeout: must be a number, not text."),
    "a value for a group": ("vault: secret", "6:10: spec.vault: must be a group of values, not text."),
    "a group for a value": ("drift: {heal: true}", "6:10: spec.drift: must be heal or report."),
    "a part for a whole": (
        "credits: {topUp: {threshold: 10, amount: 1.5}}",
        "6:44: spec.credits.topUp.amount: must be a whole number, not a number.",
    ),
    "too low a threshold": (
        "credits: {topUp: {threshold: 4, amount: 5}}",
        "6:32: spec.credits.topUp.threshold: must be 5 or more.",
    ),
    "half a top-up": ("credits: {topUp: {threshold: 10}}", "6:13: spec.credits.topUp.amount: missing."),
    "a negative alert": ("credits: {alertBelow: -1}", "6:25: spec.credits.alertBelow: must be 0 or more."),
    "an unknown mode": ("inference: on-call", "6:14: spec.inference: must be enabled, disabled or observed."),
    "the core's name of a policy": (
        "onDelete: soft_delete",
        "6:13: spec.onDelete: must be softDelete, destroy or retain.",
    ),
    "yes": ("prune: yes", "6:10: `yes` is true in YAML 1.1 and text in YAML 1.2. Write true or false, or quote it."),
    "off as text": (
        "vault: {customMetadata: {alarm: off}}",
        "6:35: `off` is false in YAML 1.1 and text in YAML 1.2. Write true or false, or quote it.",
    ),
    "an octal number": (
        "timeout: 010",
        "6:12: `010` is octal in YAML 1.1, decimal in YAML 1.2. Leave out the leading 0, or quote it.",
    ),
    "a switch as trigger": ("rotation: {trigger: true}", "6:23: spec.rotation.trigger: must be text or a number."),
    "a list as trigger": ("rotation: {trigger: [1]}", "6:23: spec.rotation.trigger: must be text or a number."),
    "an age without a unit": (
        "rotation: {maxAge: 90}",
        "6:22: spec.rotation.maxAge: must be text, not a number. Quote it.",
    ),
    "an age of another form": (
        "rotation: {maxAge: P90D}",
        "6:22: spec.rotation.maxAge: must be a number and a unit (m, h, d or w), such as 90d; at least 1h.",
    ),
    "too short an age": (
        "rotation: {maxAge: 59m}",
        "6:22: spec.rotation.maxAge: must be a number and a unit (m, h, d or w), such as 90d; at least 1h.",
    ),
    "an hour that is none": (
        'rotation: {window: {start: "24:00", end: "05:00"}}',
        '6:30: spec.rotation.window.start: must be a time of day from "00:00" to "23:59".',
    ),
    "half a window": ("rotation: {window: {start: 02:00}}", "6:14: spec.rotation.window.end: missing."),
    "a window of no length": (
        "rotation: {window: {start: 02:00, end: 02:00}}",
        "6:22: spec.rotation.window: start and end are the same. Leave out `window` for any time.",
    ),
    "an unknown day": (
        "rotation: {window: {start: 02:00, end: 03:00, days: [mon, funday]}}",
        "6:61: spec.rotation.window.days.1: must be mon, tue, wed, thu, fri, sat or sun.",
    ),
    "a day twice": (
        "rotation: {window: {start: 02:00, end: 03:00, days: [mon, mon]}}",
        "6:55: spec.rotation.window.days: must name one day or more, each once.",
    ),
    "a zone misspelt": (
        "rotation: {window: {start: 02:00, end: 03:00, timeZone: Europe/Wienna}}",
        "6:59: spec.rotation.window.timeZone: no such time zone. Did you mean Europe/Vienna?",
    ),
    "a zone that is a path": (
        "rotation: {window: {start: 02:00, end: 03:00, timeZone: ../../etc/passwd}}",
        "6:59: spec.rotation.window.timeZone: no such time zone. Write one as Europe/Vienna.",
    ),
    "a zone that is a folder": (
        "rotation: {window: {start: 02:00, end: 03:00, timeZone: America/Indiana}}",
        "6:59: spec.rotation.window.timeZone: no such time zone. Did you mean America/Indianapolis?",
    ),
    # What Pulumi's inputs say, at the value's place.
    "no reference": (
        "credentials: PINATA_JWT",
        f"6:16: spec.credentials: not a reference to a credential. Write {FORMS}.",
    ),
    "plain http": (
        "vault:\n    address: http://vault.test",
        "7:14: spec.vault.address: plain http to vault.test would send credentials unencrypted. "
        "Use https; plain http is accepted to this machine (127.0.0.1, localhost) only.",
    ),
    "a path with dots": (
        "vault: {path: a/../b}",
        "6:17: spec.vault.path: 'a/../b' is not a plain path. "
        "Write names joined by single slashes, such as pinata/prod; no spaces, `..`, `?`, `#` or `%`.",
    ),
    "no time at all": ("timeout: 0", "6:12: spec.timeout: must be a number of seconds from 1 to 300."),
    "endless time": ("timeout: 1e999", "6:12: spec.timeout: must be a finite number."),
    "empty text": ('account: ""', "6:12: spec.account: must be text, and not empty."),
    "a label of ours": (
        "vault: {customMetadata: {pinata-owner.x: me}}",
        "6:44: spec.vault.customMetadata.pinata-owner.x: "
        "the name must have 1 to 128 bytes and not start with `pinata-`.",
    ),
    "a login that lacks something": (
        "vault:\n    auth: {method: approle, roleId: x}",
        "7:5: spec.vault.auth.secretId: missing: the approle method needs it.",
    ),
    "another login's field": (
        "vault: {auth: {method: approle, roleId: x, secretId: 'env:S', jwt: 'env:J'}}",
        "6:70: spec.vault.auth.jwt: not for this method. Known: method, mount, roleId, secretId.",
    ),
    "a login's name that is a broken reference": (
        "vault: {auth: {method: userpass, username: 'env:a b', password: 'env:P'}}",
        f"6:46: spec.vault.auth.username: not a reference to a credential. Write {FORMS}.",
    ),
}


@pytest.mark.parametrize("case", SPECS)
def test_a_wrong_spec_is_told_with_its_place(tmp_path: Path, case: str) -> None:
    spec, expected = SPECS[case]

    found = read(tmp_path, f"{HEAD}spec:\n  {spec}\n")

    assert [f"bad.yaml:{expected}"] == [str(problem) for problem in found.problems]
    assert (frozenset({"a"}), ()) == (found.frozen, found.accounts)


def test_all_problems_are_told_in_one_go_and_in_order(tmp_path: Path) -> None:
    text = f"{HEAD}spec:\n  credentials: x\n  timeout: yes\n  prune: 3\n  colour: red\n---\n{API}kind: Other\n"

    assert [
        f"bad.yaml:6:16: spec.credentials: not a reference to a credential. Write {FORMS}.",
        "bad.yaml:7:12: `yes` is true in YAML 1.1 and text in YAML 1.2. Write true or false, or quote it.",
        "bad.yaml:8:10: spec.prune: must be true or false, not a number.",
        "bad.yaml:9:3: spec.colour: no such field. Known: account, adopt, apiUrl, credentials, credits, drift, "
        "inference, lostKey, onDelete, protect, prune, rotation, suspend, timeout, vault.",
        "bad.yaml:12:7: kind: must be Inference or InferenceDefaults.",
    ] == problems(tmp_path, text)


def test_what_is_missing_is_told_at_the_nearest_group_around_it(tmp_path: Path) -> None:
    missing = "spec.vault.address: no Vault address. Set `vault.address` or VAULT_ADDR."

    assert [f"bad.yaml:1:1: {missing}"] == problems(tmp_path, HEAD, {})
    assert [f"bad.yaml:5:1: {missing}"] == problems(tmp_path, f"{HEAD}spec: {{}}\n", {})
    assert [f"bad.yaml:6:3: {missing}"] == problems(tmp_path, f"{HEAD}spec:\n  vault: {{mount: kv}}\n", {})


def test_a_pasted_jwt_is_refused_and_quoted_nowhere(tmp_path: Path) -> None:
    found = read(tmp_path, f"{HEAD}spec:\n  credentials: {JWT}\n  timeout: {JWT}\n  drift: {JWT}\n  vault: {JWT}\n")

    assert (
        "bad.yaml:6:16: spec.credentials: this is a JWT itself; it would be readable by all who read this file. "
        "Put it into an environment variable and write env:PINATA_JWT here."
    ) == str(found.problems[0])
    assert 4 == len(found.problems)
    assert JWT not in repr(found)


def test_local_problems_stand_where_the_references_do(tmp_path: Path) -> None:
    spec = "  credentials: env:NOT_SET\n  vault:\n    caCert: /no/such.pem\n    auth: {token: 'file:/no/such-token'}\n"
    found = read(tmp_path, f"{HEAD}spec:\n{spec}")

    assert () == found.problems
    assert [
        "bad.yaml:6:16: spec.credentials: the environment variable NOT_SET is not set. Set NOT_SET, then run again.",
        "bad.yaml:8:13: spec.vault.caCert: there is no file '/no/such.pem'. Name a PEM bundle of CA certificates.",
        "bad.yaml:9:11: spec.vault.auth: there is no file '/no/such-token'. Check the path.",
    ] == [str(problem) for problem in manifest.local_problems(found, ENV)]


def test_a_reference_that_is_a_default_is_told_at_the_accounts_name(tmp_path: Path) -> None:
    found = manifest.local_problems(read(tmp_path, HEAD), {**ENV, "VAULT_TOKEN": "t"})

    assert [
        "bad.yaml:4:9: spec.credentials: the environment variable PINATA_JWT is not set. "
        "Set PINATA_JWT, then run again."
    ] == [str(problem) for problem in found]


def test_what_is_wrong_with_the_machine_is_told_once(tmp_path: Path) -> None:
    other = HEAD.replace("name: a", "name: b") + "spec: {credentials: env:B}\n"
    env = {**ENV, "VAULT_TOKEN": "t", "PINATA_ESCROW_RECIPIENT": "nonsense"}

    found = manifest.local_problems(read(tmp_path, f"{HEAD}---\n{other}"), env)

    assert 1 == len([problem for problem in found if "PINATA_ESCROW_RECIPIENT" in problem.message])
