"""A fleet of which the last manifest is gone: found by InferenceDefaults, refused, and switched off once meant."""

import re
from pathlib import Path

from sandbox_fleet import MakeFleet

from reconciler.manifest import manifests

LOGIN = "auth: {method: approle, roleId: env:ROLE_ID, secretId: env:SECRET_ID}"


def defaults(folder: Path, spec: str) -> None:
    text = f"apiVersion: pinata-reconciler.dev/v1alpha1\nkind: InferenceDefaults\nspec: {spec}\n"
    (folder / "defaults.yaml").write_text(text)


def test_an_emptied_fleet_is_refused_by_the_guard_and_pruned_once_it_is_acknowledged(fleet_of: MakeFleet) -> None:
    fleet = fleet_of(3)
    assert 0 == fleet.apply().code
    fleet.remove(*fleet.names)
    fleet.clear()

    refused = fleet.apply()
    assert (1, set(fleet.names)) == (refused.code, fleet.on())
    checksum = re.search(r"--acknowledge ([0-9a-f]{64})", refused.out)
    assert checksum, refused.out + refused.err
    assert "POST auth/approle/login" in fleet.proxy.calls  # there is no VAULT_TOKEN: the declared login was used

    assert 0 == fleet.apply("--acknowledge", checksum[1]).code
    assert set() == fleet.on()


def test_the_home_is_what_the_defaults_give_to_an_account_that_adds_nothing(tmp_path: Path) -> None:
    defaults(tmp_path, f"{{fleet: shop, vault: {{address: 'https://v.example', mount: kv, {LOGIN}}}}}")
    home = manifests.load([tmp_path], {}).home

    assert home
    assert (("https://v.example", None, "kv"), "approle") == (home.vault.home, home.vault.auth.method)


def test_defaults_that_leave_the_vault_to_the_environment_have_its_home(tmp_path: Path) -> None:
    defaults(tmp_path, "{fleet: shop}")

    home = manifests.load([tmp_path], {"VAULT_ADDR": "https://env.example"}).home
    assert home
    assert ("https://env.example", None, "secret") == home.vault.home
    assert manifests.load([tmp_path], {}).home is None


def test_without_defaults_or_with_wrong_ones_there_is_no_home(tmp_path: Path) -> None:
    environ = {"VAULT_ADDR": "https://env.example"}
    assert manifests.load([tmp_path], environ).home is None

    defaults(tmp_path, "{fleet: shop, timeout: never}")
    assert manifests.load([tmp_path], environ).home is None
