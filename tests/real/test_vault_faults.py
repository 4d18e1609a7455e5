"""A real Vault that fails at the worst moment: around the mint, when a key is in memory and nowhere else."""

import time
from collections.abc import Callable

from stage import (
    CALM,
    ENABLE,
    LEASE,
    OFF,
    ON,
    Gate,
    Stage,
    alongside,
    at_enable,
    call,
    check_healed,
    run,
    together,
)

from pulumi_pinata.sandbox.policies import PROVIDER_POLICY, TEXTS

Stages = Callable[[], Stage]
# --- the login -------------------------------------------------------------------------------------


@alongside
def test_a_key_whose_token_is_revoked_before_the_store_is_revoked_too(stages: Stages) -> None:
    stage = stages()
    at_enable(stage, lambda: stage.vault.revoke(stage.token))

    result = run(stage)

    assert ("Refused", False) == (result["error"], stage.enabled)
    stage.env["VAULT_TOKEN"] = stage.vault.make_token([PROVIDER_POLICY])
    check_healed(stage, 2, timeout=1)


def test_a_token_too_short_lived_mints_nothing(stage: Stage) -> None:
    # Twice the lease is what the preflight asks for (core/execute.py).
    stage.env["VAULT_TOKEN"] = stage.vault.make_token([PROVIDER_POLICY], ttl=int(2 * LEASE) - 1)

    result = stage.start().result()

    assert ("Refused", 0) == (result["error"], stage.mints)
    assert "storing a key safely needs 12 s" in result["message"]


@alongside
def test_a_token_that_runs_out_while_its_client_is_stopped_leaves_the_intent_open(stages: Stages) -> None:
    stage = stages()
    login = stage.folder / "token"
    gate = Gate(call(*ENABLE))
    stage.front.fault = gate
    auth = {"method": "token", "token": f"file:{login}"}
    stopped = stage.start(gate=True, timeout=1, vault={"auth": auth})
    stopped.await_ready()
    # Made at the last moment: the preflight asks for two leases of 3.5 s, and no test should wait for much more.
    token = stage.vault.make_token([PROVIDER_POLICY], ttl=10, renewable=False)
    login.write_text(token)
    stopped.go()
    gate.await_call()
    stopped.freeze()
    gate.open()
    while _is_good(stage, token):
        time.sleep(0.05)
    stopped.thaw()

    result = stopped.result()

    assert stage.promise_kept(), result
    stage.env["VAULT_TOKEN"] = stage.vault.make_token([PROVIDER_POLICY])
    check_healed(stage, 2, timeout=1)


def _is_good(stage: Stage, token: str) -> bool:
    try:
        stage.vault.api.with_token(token).call("GET", "auth/token/lookup-self")
    except Exception:
        return False
    return True


@alongside
def test_a_capability_withdrawn_after_the_preflight_loses_no_key(stages: Stages) -> None:
    def play(case: tuple[str, int]) -> None:
        withdrawn, mints = case
        stage = stages()
        api, policy = stage.vault.api, f"wavering-{stage.name}"
        denied = f'path "{withdrawn}" {{\n  capabilities = ["deny"]\n}}\n'
        whole = TEXTS[PROVIDER_POLICY]
        # The longest pattern decides, so a rule for the same one has to take its place.
        lacking = whole.replace(f'path "{withdrawn}" {{', 'path "unused/*" {') + denied
        api.call("PUT", f"sys/policies/acl/{policy}", {"policy": whole})
        stage.env["VAULT_TOKEN"] = stage.vault.make_token([policy])
        at_enable(stage, lambda: api.call("PUT", f"sys/policies/acl/{policy}", {"policy": lacking}))

        result = run(stage)

        assert "Refused" == result["error"]
        assert stage.promise_kept()
        assert (mints == 1) == stage.enabled
        api.call("PUT", f"sys/policies/acl/{policy}", {"policy": whole})
        check_healed(stage, mints, timeout=1)

    # The secret alone; secret and record; the label, which is written when the key is safe.
    together([("secret/data/pinata/*", 2), ("secret/data/*", 2), ("secret/metadata/*", 1)], play)


# --- the secret ------------------------------------------------------------------------------------


def change(stage: Stage, what: str) -> None:
    """What an administrator or another tool may do to the secret."""
    api, path = stage.vault.api, stage.path
    if what == "rolled back":
        old = api.data("GET", f"secret/data/{path}?version=1")["data"]
        api.call("POST", f"secret/data/{path}", {"data": old})
    if what == "deleted":
        api.call("DELETE", f"secret/data/{path}")
    if what == "destroyed":
        newest = api.data("GET", f"secret/metadata/{path}")["current_version"]
        api.call("PUT", f"secret/destroy/{path}", {"versions": list(range(1, int(str(newest)) + 1))})
    if what == "wiped":
        api.call("DELETE", f"secret/metadata/{path}")
    if what == "trimmed":
        api.call("POST", f"secret/metadata/{path}", {"max_versions": 1})
    if what == "covered":
        data = api.data("GET", f"secret/data/{path}")["data"]
        api.call("POST", f"secret/data/{path}", {"data": {**dict(data), "NOTE": "by hand"}})  # type: ignore[call-overload]
    if what == "trimmed and rolled back":
        old = api.data("GET", f"secret/data/{path}?version=1")["data"]
        api.call("POST", f"secret/metadata/{path}", {"max_versions": 1})
        api.call("POST", f"secret/data/{path}", {"data": old})


# After one rotation, the mints that it takes to be whole again: none while the live key is still somewhere.
DAMAGE = {
    "rolled back": 0,
    "deleted": 0,
    "covered": 0,
    "trimmed": 0,
    "destroyed": 1,
    "wiped": 1,
    "trimmed and rolled back": 1,
}


@alongside
def test_a_secret_damaged_between_two_runs_is_restored_or_minted_anew(stages: Stages) -> None:
    def play(what: str) -> None:
        stage = stages()
        for trigger in ("1", "2"):
            assert "error" not in stage.converge(rotation_trigger=trigger, timeout=CALM)
        change(stage, what)

        result = stage.start(rotation_trigger="2", timeout=CALM).result()

        assert (ON, 2 + DAMAGE[what]) == (stage.settled(), stage.mints), result
        again = stage.converge(rotation_trigger="2", timeout=CALM)
        assert (result["fingerprint"], 2 + DAMAGE[what]) == (again["fingerprint"], stage.mints)

    together(list(DAMAGE), play)


@alongside
def test_a_secret_changed_between_enable_and_store_of_a_rotation_still_gets_the_new_key(stages: Stages) -> None:
    def play(what: str) -> None:
        stage = stages()
        for trigger in ("1", "2"):
            assert "error" not in stage.converge(rotation_trigger=trigger, timeout=CALM)
        at_enable(stage, lambda: change(stage, what))

        result = stage.start(rotation_trigger="3", timeout=CALM).result()

        assert (ON, 3) == (stage.settled(), stage.mints), result
        stage.clear()
        again = stage.converge(rotation_trigger="3", timeout=CALM)
        assert (result["fingerprint"], 3) == (again["fingerprint"], stage.mints)

    together(list(DAMAGE), play)


def test_a_secret_that_somebody_puts_at_the_path_during_the_mint_is_left_alone_and_the_key_revoked(
    stage: Stage,
) -> None:
    theirs = {"password": "not ours"}
    at_enable(stage, lambda: stage.vault.api.call("POST", stage.data_path, {"data": theirs}))

    result = run(stage)

    assert ("Refused", OFF, theirs) == (result["error"], stage.settled(), stage.vault_data())
    assert "was just taken by somebody else" in result["message"]
    stage.vault.api.call("DELETE", f"secret/metadata/{stage.path}")
    check_healed(stage, 2)


@alongside
def test_a_record_that_loses_its_history_during_the_mint_loses_no_key(stages: Stages) -> None:
    def play(what: str) -> None:
        stage = stages()
        record = stage.record_path
        api = stage.vault.api
        acts: dict[str, Callable[[], object]] = {
            "trimmed": lambda: api.call("POST", record.replace("/data/", "/metadata/"), {"max_versions": 1}),
            "deleted": lambda: api.call("DELETE", record),
            "wiped": lambda: api.call("DELETE", record.replace("/data/", "/metadata/")),
        }
        at_enable(stage, acts[what])

        result = run(stage)

        assert stage.promise_kept(), result
        stage.clear()
        result = stage.converge(timeout=1)
        assert (True, 1) == (stage.key_safe(), stage.mints)
        # Without record and label nothing says that the secret is ours: a person has to (import-file --adopt-key).
        assert ("Refused" if what == "wiped" else None) == result.get("error")

    together(["trimmed", "deleted", "wiped"], play)
