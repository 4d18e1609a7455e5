"""What runs that are cut off, slow, or by an earlier commit leave behind, and the next one mends."""

import threading

from sandbox_fleet import MakeFleet, SandboxFleet


def test_an_account_that_another_run_let_go_of_before_it_was_minted_is_not_left_on(fleet_of: MakeFleet) -> None:
    # A slow run by an earlier commit would mint what a run by a later one has just forgotten as "off".
    fleet = fleet_of(4)
    last = fleet.names[-1]
    lock, left = threading.Lock(), [1]

    def rival(method: str, path: str) -> None:
        with lock:
            now = left[0] and method == "POST" and path.startswith("secret/data/pinata-inference/intents/")
            left[0] -= bool(now)
        if now:  # the slow run has the inventory written, and is at its first account
            fleet.remove(last)
            process = fleet.start("apply", str(fleet.manifests), "--yes", "--workers", "1")
            process.communicate(timeout=60)

    fleet.proxy.fault = rival
    fleet.apply("--workers", "1")
    fleet.proxy.fault = lambda method, path: None

    for _ in range(2):
        fleet.apply()
    assert set(fleet.names) - {last} == fleet.on()


def kill_at_the_deletion_of(name: str, fleet: SandboxFleet) -> None:
    """An apply that is killed when it deletes the account's Vault copy: its label is gone by then."""
    path = f"secret/data/fleets/{fleet.name}/{name}"

    def cut(method: str, called: str) -> int | None:
        if (method, called) == ("DELETE", path) or (method == "POST" and called == path.replace("data", "delete", 1)):
            process.kill()
            return 503
        return None

    fleet.proxy.fault = cut
    process = fleet.start("apply", str(fleet.manifests), "--yes")
    process.communicate(timeout=60)
    assert -9 == process.returncode
    fleet.proxy.fault = lambda method, called: None


def test_a_prune_that_is_cut_off_after_it_let_go_of_the_label_is_finished(fleet_of: MakeFleet) -> None:
    fleet = fleet_of(3, timeout=2)
    fleet.apply()
    last = fleet.names[-1]
    fleet.remove(last)
    kill_at_the_deletion_of(last, fleet)

    for _ in range(2):
        fleet.apply()
    data = fleet.bao.api
    intents = data.data("LIST", "secret/metadata/pinata-inference/intents")["keys"]
    records = [data.data("GET", f"secret/data/pinata-inference/intents/{each}")["data"] for each in intents]
    mine = [record for record in records if fleet.name in record.get("owner", "")]  # other tests spoil theirs
    assert ["closed"] * 3 == [record["state"] for record in mine]
    assert last not in fleet.on()
    assert fleet.key(last) in (None, "None")  # the dead key is deleted, as onDelete says


def test_a_disable_that_is_cut_off_after_it_let_go_of_the_label_is_finished(fleet_of: MakeFleet) -> None:
    fleet = fleet_of(2, timeout=2)
    fleet.apply()
    last = fleet.names[-1]
    fleet.declare(last, inference="disabled")
    kill_at_the_deletion_of(last, fleet)
    for _ in range(2):
        fleet.apply()
    assert fleet.key(last) in (None, "None")


def test_an_inventory_that_cannot_be_written_at_the_end_does_not_hide_what_was_applied(fleet_of: MakeFleet) -> None:
    fleet = fleet_of(3)
    writes = [0]

    def fault(method: str, path: str) -> int | None:
        if method == "POST" and path.startswith("secret/data/pinata-inference/fleets/"):
            writes[0] += 1
            return 403 if writes[0] > 1 else None
        return None

    fleet.proxy.fault = fault
    ran = fleet.apply()
    fleet.proxy.fault = lambda method, path: None

    assert set(fleet.names) == fleet.on()

    assert (True, True) == ("3 done" in ran.out, ran.code != 1), (ran.code, ran.out, ran.err)


def test_a_rename_that_fails_at_first_is_carried_out_later(fleet_of: MakeFleet) -> None:
    fleet = fleet_of(2, timeout=2)
    fleet.apply()
    old = fleet.names[-1]
    new = f"{old}-renamed"
    fleet.remove(old)
    text = (fleet.manifests / f"{fleet.names[0]}.yaml").read_text()
    text = text.replace(fleet.variable(fleet.names[0]), fleet.variable(old))
    text = text.replace(f"name: {fleet.names[0]}", f"name: {new}").replace(f"/{fleet.names[0]}}}", f"/{old}}}")
    fleet.write(new, text)

    # Vault may not be written for a moment: but for the inventory, which is written first and last.
    fleet.proxy.fault = lambda method, path: 403 if method == "POST" and "intents/" in path else None
    first = fleet.apply()
    fleet.proxy.fault = lambda method, path: None
    second = fleet.apply()

    assert 0 == second.code, f"{first.out}\n{first.err}\n---\n{second.out}{second.err}"
    assert fleet.safe(old)


def test_a_suspended_newcomer_does_not_keep_the_fleet_from_pruning(fleet_of: MakeFleet) -> None:
    fleet = fleet_of(3)
    fleet.apply()
    fleet.add(f"{fleet.name}-new", suspend="true")
    gone = fleet.names[-1]
    fleet.remove(gone)
    ran = fleet.apply()
    assert gone not in fleet.on(), f"{ran.code}\n{ran.out}"
