"""The provider over gRPC, without the engine: one account, a real OpenBao, the Pinata stand-in over HTTP."""

from typing import Any

import grpc
import pytest
from provider_process import UNKNOWN, ProviderProcess, message
from world import World


def declared(world: World, provider: ProviderProcess, **inputs: Any) -> dict[str, Any]:
    """Inputs as the resource class sends them, through check."""
    defaults = {
        "owner": f"pulumi:organization/proj/dev/{world.name}",
        "api_url": world.pinata.url,
        "credentials": f"file:{world.jwt_file}",
    }
    vault = {"address": world.proxy.url, **inputs.pop("vault", {})}
    checked, failures = provider.check({**defaults, "vault": vault, **inputs})
    assert {} == failures
    return checked


def refused(call: Any, *args: Any) -> str:
    with pytest.raises(grpc.RpcError) as caught:
        call(*args)
    return message(caught.value)


def test_create_puts_the_live_key_and_the_base_url_into_vault(world: World, provider: ProviderProcess) -> None:
    id_, outs = provider.create(declared(world, provider))

    assert world.key_is_live()
    assert f"{world.pinata.url}/v0/llm" == world.vault_data()["PINATA_LLM_BASE_URL"]
    assert (True, "Ready", id_, "secret", world.path, 1.0) == (
        outs["enabled"],
        outs["condition"],
        outs["account_fingerprint"],
        outs["vault_mount"],
        outs["vault_path"],
        outs["vault_version"],
    )


def test_no_output_holds_a_secret(world: World, provider: ProviderProcess) -> None:
    _, outs = provider.create(declared(world, provider))

    assert [] == [secret for secret in world.secrets() if secret in str(outs)]


def test_create_after_a_create_that_was_forgotten_adopts_the_same_key(world: World, provider: ProviderProcess) -> None:
    inputs = declared(world, provider)
    first = provider.create(inputs)

    assert first == provider.create(inputs)
    assert 1 == world.mints


def test_a_changed_rotation_trigger_is_an_update_that_keeps_the_path_and_its_history(
    world: World, provider: ProviderProcess
) -> None:
    id_, outs = provider.create(declared(world, provider))
    old_key = world.vault_key()
    news = declared(world, provider, rotation_trigger="2026-12")

    assert (True, []) == provider.diff(outs, news)
    updated = provider.update(id_, outs, news)
    assert world.key_is_live()
    assert not world.pinata.is_live(world.name, old_key)
    assert (2, 2.0) == (world.mints, updated["vault_version"])
    assert (False, []) == provider.diff(updated, news)


def test_removing_the_rotation_trigger_mints_nothing(world: World, provider: ProviderProcess) -> None:
    id_, outs = provider.create(declared(world, provider, rotation_trigger=1))

    provider.update(id_, outs, declared(world, provider))

    assert 1 == world.mints


def test_a_changed_path_moves_the_secret_without_a_mint(world: World, provider: ProviderProcess) -> None:
    id_, outs = provider.create(declared(world, provider))
    new = f"{world.path}/moved"

    updated = provider.update(id_, outs, declared(world, provider, vault={"path": new}))

    assert (1, new, True) == (world.mints, updated["vault_path"], world.key_is_live(new))
    assert world.vault_metadata()["versions"]["1"]["destroyed"]


@pytest.mark.parametrize("on_delete", ["soft_delete", "destroy"])
def test_a_changed_mount_moves_the_secret_without_a_mint(
    world: World, provider: ProviderProcess, on_delete: str
) -> None:
    id_, outs = provider.create(declared(world, provider, on_delete=on_delete))

    news = declared(world, provider, on_delete=on_delete, vault={"mount": "kv"})
    updated = provider.update(id_, outs, news)

    assert (1, "kv", True) == (world.mints, updated["vault_mount"], world.key_is_live(mount="kv"))
    assert world.vault_data() is None
    assert "closed" == world.record("kv")["state"]
    assert updated == provider.update(id_, updated, news)


def test_another_address_of_the_same_vault_is_no_move(world: World, provider: ProviderProcess) -> None:
    id_, outs = provider.create(declared(world, provider))

    updated = provider.update(id_, outs, declared(world, provider, vault={"address": world.vault.addr}))

    assert (1, 1.0, True) == (world.mints, updated["vault_version"], world.key_is_live())


def test_another_address_and_path_of_the_same_vault_is_a_plain_move(world: World, provider: ProviderProcess) -> None:
    id_, outs = provider.create(declared(world, provider))
    new = f"{world.path}/moved"

    provider.update(id_, outs, declared(world, provider, vault={"address": world.vault.addr, "path": new}))

    assert (1, True) == (world.mints, world.key_is_live(new))
    assert world.vault_data() is None


def test_a_changed_field_renames_it_without_a_mint(world: World, provider: ProviderProcess) -> None:
    id_, outs = provider.create(declared(world, provider))

    provider.update(id_, outs, declared(world, provider, vault={"field": "LLM_TOKEN"}))

    assert (1, True) == (world.mints, world.key_is_live(key_field="LLM_TOKEN"))
    assert "PINATA_LLM_KEY" not in world.vault_data()


def test_custom_metadata_is_set_and_changed_without_a_mint(world: World, provider: ProviderProcess) -> None:
    id_, outs = provider.create(declared(world, provider, vault={"custom_metadata": {"team": "search"}}))
    assert "search" == world.vault_metadata()["custom_metadata"]["team"]

    provider.update(id_, outs, declared(world, provider, vault={"custom_metadata": {"tier": "1"}}))

    metadata = world.vault_metadata()["custom_metadata"]
    assert (1, "1", None) == (world.mints, metadata["tier"], metadata.get("team"))


def test_another_reference_to_the_same_account_mints_nothing(world: World, provider: ProviderProcess) -> None:
    id_, outs = provider.create(declared(world, provider))
    copy = world.folder / "copy"
    copy.write_text(world.account.jwt)
    news = declared(world, provider, credentials=f"file:{copy}")

    assert (True, []) == provider.diff(outs, news)
    provider.update(id_, outs, news)
    assert 1 == world.mints


def test_a_reference_to_another_account_is_a_replacement(world: World, provider: ProviderProcess) -> None:
    _, outs = provider.create(declared(world, provider))
    other = world.folder / "other"
    other.write_text(world.add_account("other").jwt)

    assert (True, ["credentials"]) == provider.diff(outs, declared(world, provider, credentials=f"file:{other}"))


def test_credentials_can_be_a_field_of_a_vault_secret(world: World, provider: ProviderProcess) -> None:
    world.vault.api.call("POST", f"secret/data/jwts/{world.name}", {"data": {"jwt": world.account.jwt}})

    provider.create(declared(world, provider, credentials=f"vault:secret/jwts/{world.name}#jwt"))

    assert world.key_is_live()


def test_another_api_is_a_replacement(world: World, provider: ProviderProcess) -> None:
    _, outs = provider.create(declared(world, provider))

    assert (True, ["api_url"]) == provider.diff(outs, declared(world, provider, api_url="https://other.example"))


def test_refresh_of_an_account_in_order_changes_nothing(world: World, provider: ProviderProcess) -> None:
    id_, outs = provider.create(declared(world, provider))

    assert (id_, outs) == provider.read(id_, outs)


def test_refresh_of_a_disabled_account_is_blank(world: World, provider: ProviderProcess) -> None:
    id_, outs = provider.create(declared(world, provider))
    world.pinata.disable_out_of_band(world.name)

    assert ("", {}) == provider.read(id_, outs)


@pytest.mark.parametrize(
    "fault",
    [
        {"kind": "status", "status": 401},
        {"kind": "status", "status": 402},
        {"kind": "status", "status": 403},
        {"kind": "status", "status": 404},
        {"kind": "status", "status": 429},
        {"kind": "status", "status": 500},
        {"kind": "status", "status": 503},
        {"kind": "html", "status": 502},
        {"kind": "html", "status": 200},
        {"kind": "html", "status": 404},
        {"kind": "lost_before"},
        {"kind": "latency", "seconds": 3},
    ],
    ids=lambda fault: " ".join(str(v) for v in fault.values()),
)
def test_refresh_raises_when_it_could_not_ask(world: World, provider: ProviderProcess, fault: dict[str, Any]) -> None:
    id_, outs = provider.create(declared(world, provider, timeout=2))
    world.pinata.disable_out_of_band(world.name)
    world.pinata.add_fault(**fault, path="/v0/*", times=None)

    assert refused(provider.read, id_, outs) != ""


def test_a_reminted_key_is_stale_and_the_next_update_replaces_it(world: World, provider: ProviderProcess) -> None:
    id_, outs = provider.create(declared(world, provider))
    world.pinata.disable_out_of_band(world.name)
    world.pinata.enable_out_of_band(world.name)

    _, seen = provider.read(id_, outs)
    assert ("KeyStale", True, None) == (seen["condition"], seen["enabled"], seen.get("fingerprint"))
    assert (True, []) == provider.diff(seen, declared(world, provider))
    healed = provider.update(id_, seen, declared(world, provider))
    assert ("Ready", True) == (healed["condition"], world.key_is_live())


def test_a_reminted_key_is_seen_by_the_secrets_listing_alone(world: World, provider: ProviderProcess) -> None:
    world.pinata.set_variants(world.name, created_at_on_reenable="stays")
    id_, outs = provider.create(declared(world, provider))
    world.pinata.enable_out_of_band(world.name)

    assert "KeyStale" == provider.read(id_, outs)[1]["condition"]


def test_a_lost_key_is_not_reminted_where_the_policy_says_fail(world: World, provider: ProviderProcess) -> None:
    id_, outs = provider.create(declared(world, provider, on_lost_key="fail"))
    world.vault.api.call("DELETE", f"secret/metadata/{world.path}")
    _, seen = provider.read(id_, outs)
    assert "KeyLost" == seen["condition"]

    assert refused(provider.update, id_, seen, declared(world, provider, on_lost_key="fail")).startswith(
        "on_lost_key: inference is on, but no readable version holds the live key."
    )
    assert 1 == world.mints


@pytest.mark.parametrize(
    ("method", "suffix", "body", "condition", "mints"),
    [
        ("DELETE", "data/{}", None, "Drifted", 1),
        ("PUT", "destroy/{}", {"versions": [1]}, "KeyLost", 2),
        ("DELETE", "metadata/{}", None, "KeyLost", 2),
        ("POST", "data/{}", {"data": {"PINATA_LLM_KEY": "something else"}}, "Drifted", 1),
        ("POST", "metadata/{}", {"custom_metadata": {"mine": "gone"}}, "Drifted", 1),
    ],
    ids=["soft-deleted", "destroyed", "wiped", "covered by another version", "labels removed"],
)
def test_a_damaged_vault_copy_is_drift_and_is_repaired_at_the_least_cost(
    world: World, provider: ProviderProcess, method: str, suffix: str, body: Any, condition: str, mints: int
) -> None:
    id_, outs = provider.create(declared(world, provider))
    world.vault.api.call(method, "secret/" + suffix.format(world.path), body)

    _, seen = provider.read(id_, outs)
    assert condition == seen["condition"]
    healed = provider.update(id_, seen, declared(world, provider))
    assert ("Ready", mints, True) == (healed["condition"], world.mints, world.key_is_live())
    assert (id_, healed) == provider.read(id_, healed)


def test_a_version_rolled_back_to_a_dead_key_is_drift_and_the_live_key_is_restored(
    world: World, provider: ProviderProcess
) -> None:
    id_, outs = provider.create(declared(world, provider))
    dead = world.vault_data()
    news = declared(world, provider, rotation_trigger="2")
    outs = provider.update(id_, outs, news)
    world.vault.api.call("POST", f"secret/data/{world.path}", {"data": dead})

    _, seen = provider.read(id_, outs)
    assert "Drifted" == seen["condition"]
    provider.update(id_, seen, news)
    assert (2, True) == (world.mints, world.key_is_live())


@pytest.mark.parametrize("on_delete", ["soft_delete", "destroy", "retain"])
def test_delete_switches_off_and_treats_the_copy_by_policy(
    world: World, provider: ProviderProcess, on_delete: str
) -> None:
    id_, outs = provider.create(declared(world, provider, on_delete=on_delete))
    key = world.vault_key()

    provider.delete(id_, outs)

    assert not world.pinata.state(world.name).enabled
    assert not world.pinata.is_live(world.name, key)
    assert (on_delete == "retain") == (world.vault_data() is not None)
    assert (on_delete == "destroy") == world.vault_metadata()["versions"]["1"]["destroyed"]
    provider.delete(id_, outs)


def test_a_released_path_that_somebody_used_since_is_theirs(world: World, provider: ProviderProcess) -> None:
    id_, outs = provider.create(declared(world, provider))
    provider.delete(id_, outs)
    world.vault.api.call("POST", f"secret/data/{world.path}", {"data": {"password": "theirs"}})

    assert f"vault.path: secret/{world.path} is" in refused(provider.create, declared(world, provider))
    assert (1, {"password": "theirs"}) == (world.mints, world.vault_data())


def test_a_former_owner_that_is_destroyed_leaves_the_new_owners_key_alone(
    world: World, provider: ProviderProcess
) -> None:
    id_, outs = provider.create(declared(world, provider))
    other = declared(world, provider, owner="pulumi:o/p/s/other", vault={"path": f"{world.path}/other"}, adopt="remint")
    provider.create(other)

    provider.delete(id_, outs)

    assert (2, True) == (world.mints, world.key_is_live(f"{world.path}/other"))


def test_a_path_that_was_deleted_may_be_used_by_another_resource(world: World, provider: ProviderProcess) -> None:
    id_, outs = provider.create(declared(world, provider))
    provider.delete(id_, outs)

    provider.create(declared(world, provider, owner="pulumi:organization/other/dev/x", vault={"path": world.path}))

    assert world.key_is_live()


def test_the_wrong_account_is_refused_by_every_verb_and_nothing_is_changed(
    world: World, provider: ProviderProcess
) -> None:
    inputs = declared(world, provider)
    id_, outs = provider.create(inputs)
    world.jwt_file.write_text(world.add_account("other").jwt)
    world.pinata.clear_calls()

    for said in (refused(provider.update, id_, outs, inputs), refused(provider.read, id_, outs)):
        assert f"but the resource belongs to {id_}. Point them at the right account's JWT; nothing was changed." in said
    assert "but the resource belongs to" in refused(provider.delete, id_, outs)
    assert [] == world.pinata.calls()


def test_get_finds_what_is_managed_elsewhere_and_refuses_what_is_not_there(
    world: World, provider: ProviderProcess
) -> None:
    inputs = declared(world, provider)
    missing = refused(provider.get, "0" * 32, inputs)
    id_, outs = provider.create(inputs)

    assert "The id of an Inference is its account's fingerprint." in missing
    elsewhere = declared(world, provider, owner="pulumi:organization/other/dev/x", vault={"path": world.path})
    found, props = provider.get(id_, elsewhere)
    assert (id_, outs["fingerprint"]) == (found, props["fingerprint"])
    provider.delete(id_, outs)
    assert f"there is no managed inference key for account {id_}" in refused(provider.get, id_, elsewhere)


def test_unknown_inputs_pass_through_check_and_diff(world: World, provider: ProviderProcess) -> None:
    _, outs = provider.create(declared(world, provider))

    inputs = declared(world, provider, vault={"path": UNKNOWN}, account=UNKNOWN)
    assert (inputs["account"], inputs["vault"]["path"]) == (UNKNOWN, UNKNOWN)
    assert (True, []) == provider.diff(outs, inputs)


def test_inference_that_a_person_enabled_is_refused_and_left_alone(world: World, provider: ProviderProcess) -> None:
    world.pinata.enable_out_of_band(world.name)

    assert "adopt: inference is already on for this account, and its key is not ours." in refused(
        provider.create, declared(world, provider)
    )
    assert 1 == world.mints


def test_adopt_remint_takes_over_what_a_person_enabled(world: World, provider: ProviderProcess) -> None:
    world.pinata.enable_out_of_band(world.name)

    provider.create(declared(world, provider, adopt="remint"))

    assert (2, True) == (world.mints, world.key_is_live())


def test_adopt_observe_looks_and_never_touches(world: World, provider: ProviderProcess) -> None:
    world.pinata.enable_out_of_band(world.name)

    id_, outs = provider.create(declared(world, provider, adopt="observe"))
    assert ("Observed", True, None) == (outs["condition"], outs["enabled"], outs.get("fingerprint"))
    assert (id_, outs) == provider.read(id_, outs)
    provider.delete(id_, outs)

    assert (1, True) == (world.mints, world.pinata.state(world.name).enabled)


def test_a_second_owner_of_one_account_is_refused_by_name(world: World, provider: ProviderProcess) -> None:
    provider.create(declared(world, provider))

    rival = declared(world, provider, owner="pulumi:organization/other/dev/x", vault={"path": "pinata/rival"})
    assert f"inference on this account is managed by pulumi:organization/proj/dev/{world.name}." in refused(
        provider.create, rival
    )


def test_a_path_with_somebody_elses_secret_is_refused_before_anything_is_minted(
    world: World, provider: ProviderProcess
) -> None:
    world.vault.api.call("POST", f"secret/data/{world.path}", {"data": {"password": "theirs"}})

    assert f"vault.path: secret/{world.path} is a secret without our mark." in refused(
        provider.create, declared(world, provider)
    )
    assert (0, {"password": "theirs"}) == (world.mints, world.vault_data())


def test_a_renamed_resource_keeps_its_key_and_takes_its_marks_along(world: World, provider: ProviderProcess) -> None:
    id_, outs = provider.create(declared(world, provider))
    renamed = declared(world, provider, owner="pulumi:organization/proj/dev/renamed", vault={"path": world.path})

    updated = provider.update(id_, outs, renamed)

    assert (1, True) == (world.mints, world.key_is_live())
    assert renamed["owner"] == world.vault_metadata()["custom_metadata"]["pinata-owner"]
    assert (id_, updated) == provider.read(id_, updated)


@pytest.mark.parametrize("reenable", ["rotate", "same", "no_key", "conflict"])
@pytest.mark.parametrize("lost", ["lost_before", "lost_after"])
def test_a_lost_enable_reply_costs_at_most_one_extra_mint(
    world: World, provider: ProviderProcess, reenable: str, lost: str
) -> None:
    world.pinata.set_variants(world.name, reenable=reenable)
    world.pinata.add_fault(lost, method="POST", path="/v0/llm/enable")

    provider.create(declared(world, provider, timeout=2))

    assert world.key_is_live()
    assert world.mints <= 2
    assert "closed" == world.record()["state"]


def test_vault_failing_after_the_mint_switches_inference_off_again(world: World, provider: ProviderProcess) -> None:
    world.proxy.fault = lambda method, path: 403 if method == "POST" and path == f"secret/data/{world.path}" else None

    said = refused(provider.create, declared(world, provider))

    assert "so inference was switched off again." in said
    assert (1, False, "closed") == (world.mints, world.pinata.state(world.name).enabled, world.record()["state"])
    world.proxy.clear()
    provider.create(declared(world, provider))
    assert (2, True) == (world.mints, world.key_is_live())


def test_a_lost_reply_to_the_key_write_is_settled_by_reading_back(world: World, provider: ProviderProcess) -> None:
    lost = iter([-1])
    world.proxy.fault = lambda method, path: (
        next(lost, None) if method == "POST" and path == f"secret/data/{world.path}" else None
    )

    _, outs = provider.create(declared(world, provider))

    assert (1, 1.0, True) == (world.mints, outs["vault_version"], world.key_is_live())


def test_calls_are_the_fewest_that_the_protocol_allows(world: World, provider: ProviderProcess) -> None:
    def counted(call: Any, *args: Any) -> tuple[Any, list[str], list[str]]:
        world.pinata.clear_calls()
        world.proxy.clear()
        return call(*args), world.pinata_calls(), list(world.proxy.calls)

    inputs = declared(world, provider)
    (id_, outs), pinata, vault = counted(provider.create, inputs)
    record = f"secret/data/pinata-inference/intents/{id_}"
    data, metadata = f"secret/data/{world.path}", f"secret/metadata/{world.path}"
    # status: is it off? enable. status: since when? secrets: the second generation marker.
    assert ["GET /v0/llm/status", "POST /v0/llm/enable", "GET /v0/llm/status", "GET /v0/secrets"] == pinata
    assert [
        f"GET {record}",
        f"GET {metadata}",
        "GET auth/token/lookup-self",
        "POST sys/capabilities-self",
        "GET sys/internal/ui/mounts/secret",
        f"POST {record}",
        f"POST {data}",
        f"GET {data}?version=1",
        f"POST {record}",
        f"POST {metadata}",
    ] == vault

    _, pinata, vault = counted(provider.check, inputs, inputs)
    assert ([], []) == (pinata, vault)
    _, pinata, vault = counted(provider.diff, outs, inputs)
    assert ([], []) == (pinata, vault)

    _, pinata, vault = counted(provider.read, id_, outs)
    assert (["GET /v0/llm/status", "GET /v0/secrets"], [f"GET {metadata}"]) == (pinata, vault)

    _, pinata, vault = counted(provider.delete, id_, outs)
    assert ["GET /v0/llm/status", "DELETE /v0/llm/disable", "GET /v0/llm/status"] == [
        call for call in pinata if call != "GET /v0/secrets"
    ]
    assert [
        f"GET {record}",
        f"GET {metadata}",
        f"POST {record}",
        f"POST {metadata}",
        f"POST secret/delete/{world.path}",
        f"POST {record}",
    ] == vault
