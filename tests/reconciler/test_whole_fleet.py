"""Two hundred accounts on the real parts: what the command promises, end to end."""

import json
import re
import signal
import time

from sandbox_fleet import MakeFleet

SIZE = 200


def test_two_hundred_accounts_are_planned_applied_healed_guarded_and_pruned(fleet_of: MakeFleet) -> None:
    fleet = fleet_of(SIZE)

    assert 2 == fleet.plan("--rate", "0").code
    assert set() == fleet.on()  # a plan changes nothing

    applied = fleet.apply("--rate", "0")
    assert (0, []) == (applied.code, fleet.unsafe()), applied.out + applied.err
    assert (0, "") == (fleet.plan().code, fleet.plan().err)

    # Steady state: one status call and one read of metadata an account; one inventory and one login in all.
    fleet.clear()
    assert 0 == fleet.plan("--rate", "0").code
    calls = [(call.method, call.path) for call in fleet.pinata.calls()]
    assert [("GET", "/v0/llm/status")] * SIZE == calls
    metadata = [call for call in fleet.proxy.calls if call.startswith("GET secret/metadata/")]
    assert (SIZE, SIZE) == (len(metadata), len(set(metadata)))
    others = sorted(call for call in fleet.proxy.calls if call not in set(metadata))
    assert [f"GET secret/data/pinata-inference/fleets/{fleet.name}", "POST auth/approle/login"] == others

    # Drift: found, named, healed, and nobody else's key is touched.
    before = fleet.mints()
    for name in fleet.names[:10]:
        fleet.pinata.disable_out_of_band(name)
    drifted = json.loads(fleet.plan("-o", "json").out)
    found = {row["name"] for row in drifted["accounts"] if row["condition"] == "Drifted"}
    assert set(fleet.names[:10]) == found
    assert 0 == fleet.apply().code
    assert [] == fleet.unsafe()
    assert set(fleet.names[:10]) == set(fleet.mints() - before)

    # Sixty are removed: refused, and not one is switched off; acknowledged, they are.
    gone, kept = fleet.names[:60], fleet.names[60:]
    fleet.remove(*gone)
    refused = fleet.apply()
    assert (1, SIZE) == (refused.code, len(fleet.on()))
    assert "60 of 200 accounts would be switched off" in refused.out
    assert f"OUTAGE: the key at secret/fleets/{fleet.name}/{gone[0]} dies" in refused.out
    checksum = re.search(r"--acknowledge ([0-9a-f]{64})", refused.out)
    assert checksum
    assert 1 == fleet.apply("--acknowledge", "0" * 64).code
    assert SIZE == len(fleet.on())
    assert 0 == fleet.apply("--acknowledge", checksum[1]).code
    assert set(kept) == fleet.on()
    assert 0 == fleet.plan().code


def test_an_apply_that_is_killed_in_the_middle_loses_no_key(fleet_of: MakeFleet) -> None:
    fleet = fleet_of(60, timeout=3)
    process = fleet.start("apply", str(fleet.manifests), "--yes")
    end = time.monotonic() + 60
    while len(fleet.on()) < 20:
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.01)
    process.send_signal(signal.SIGKILL)
    process.communicate(timeout=30)
    assert 20 <= len(fleet.on()) < 60

    again = fleet.apply("--workers", "32")

    assert (0, []) == (again.code, fleet.unsafe()), again.out + again.err
    assert 0 == fleet.plan().code
    assert max(fleet.mints().values()) <= 2  # at most one extra mint for the kill


def test_an_apply_that_is_asked_to_stop_finishes_what_it_has_begun_and_begins_nothing(fleet_of: MakeFleet) -> None:
    fleet = fleet_of(60)
    process = fleet.start("apply", str(fleet.manifests), "--yes", "--workers", "4")
    end = time.monotonic() + 60
    while len(fleet.on()) < 10:
        assert process.poll() is None
        assert time.monotonic() < end
        time.sleep(0.01)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=60)

    on = sorted(fleet.on())
    assert 3 == process.returncode
    assert "other is begun" in err
    assert len(on) < 60
    assert [] == fleet.unsafe(*on)
    assert f"{len(on)} done, {60 - len(on)} not started" in out
    fleet.assert_no_secret(out + err)


def test_two_applies_at_once_lose_no_key_and_mint_no_more_than_they_must(fleet_of: MakeFleet) -> None:
    fleet = fleet_of(24)
    rivals = [fleet.start("apply", str(fleet.manifests), "--yes") for _ in range(2)]
    ended = [(each.communicate(timeout=60), each.returncode) for each in rivals]

    assert [] == fleet.unsafe(), ended
    assert {1} == set(fleet.mints().values())
    assert (0, 0) == (fleet.apply().code, fleet.plan().code)
    assert {1} == set(fleet.mints().values())
