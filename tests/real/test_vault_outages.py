"""A real Vault that is sealed, stopped, restarted or frozen as a whole, around the mint."""

import threading
import time

from stage import CALM, ON, SLOW, Stage, at_enable, call, check_healed, once, run

from pulumi_pinata.sandbox.openbao import OpenBao


def test_nothing_is_minted_when_vault_is_found_sealed_by_the_preflight(stage: Stage, vault: OpenBao) -> None:
    stage.proxy.fault = once(lambda method, path: "capabilities" in path, vault.seal)

    result = stage.start(timeout=CALM).result()  # the call waits while Vault is being sealed

    assert ("Transient", 0) == (result["error"], stage.mints)
    assert "sealed" in result["message"]
    vault.unseal()
    check_healed(stage, 1)


def test_a_key_is_stored_when_vault_was_sealed_after_the_mint_and_is_unsealed_in_time(
    stage: Stage, vault: OpenBao
) -> None:
    at_enable(stage, vault.seal)
    unsealing = threading.Thread(target=vault.unseal)
    stage.proxy.fault = once(call("POST", stage.data_path), unsealing.start)

    result = stage.start(timeout=CALM).result()

    unsealing.join()
    assert (ON, 1) == (stage.settled(), stage.mints), result
    assert "error" not in result


def test_a_key_that_a_sealed_vault_never_takes_is_revoked_and_the_next_run_mints(stage: Stage, vault: OpenBao) -> None:
    at_enable(stage, vault.seal)

    result = run(stage)

    assert ("Refused", False) == (result["error"], stage.enabled)
    assert "inference was switched off again" in result["message"]
    vault.unseal()
    check_healed(stage, 2, timeout=1)


def test_a_vault_that_crashes_and_restarts_between_intent_and_store_gets_the_key(stage: Stage, vault: OpenBao) -> None:
    def restart() -> None:
        vault.stop(kill=True)
        vault.start()

    at_enable(stage.direct(), restart)

    result = run(stage)

    assert (ON, 1) == (stage.settled(), stage.mints), result
    assert "error" not in result


def test_a_key_that_finds_no_vault_is_revoked_and_the_next_run_mints(stage: Stage, vault: OpenBao) -> None:
    at_enable(stage.direct(), lambda: vault.stop(kill=True))

    result = run(stage)

    assert ("Refused", False) == (result["error"], stage.enabled)
    vault.start()
    check_healed(stage, 2, timeout=1)


def test_a_vault_that_stands_still_and_comes_back_in_time_gets_the_key(stage: Stage, vault: OpenBao) -> None:
    at_enable(stage.direct(), vault.pause)
    client = stage.start(timeout=SLOW)
    while not stage.mints:
        time.sleep(0.01)
    vault.resume()

    assert (1, ON, 1) == (client.result().get("version"), stage.settled(), stage.mints)


def test_a_vault_that_stands_still_for_good_holds_a_fresh_key_in_memory_for_a_few_timeouts_only(
    stage: Stage, vault: OpenBao
) -> None:
    timeout = 1.0
    at_enable(stage.direct(), vault.pause)

    result = stage.start(timeout=timeout).result()

    # What is still on its way to Vault arrives now, late.
    vault.resume()
    assert stage.promise_kept(), result
    check_healed(stage, 2, timeout=1)
    # One timeout for the enable, "about a timeout" (README, Escrow) of tries and one for the try that began last,
    # one to prove the intent, one to revoke, one to look again.
    assert 6 * timeout >= result["seconds"]


def test_a_run_whose_key_is_neither_stored_nor_revoked_says_so(stage: Stage, vault: OpenBao) -> None:
    at_enable(stage.direct(), vault.pause)

    result = stage.start(timeout=1).result()

    vault.resume()
    # Transient and Refused mean that nothing was changed (core/errors.py); here a key is live that nobody has.
    assert not stage.enabled or "Ambiguous" == result["error"], result
