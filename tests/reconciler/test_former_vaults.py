"""A whole fleet moves to another Vault: the old one is named in `formerVaults`, and no key is minted."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from manifest_text import API, problems
from sandbox_fleet import DEFAULTS, MakeFleet

from pulumi_pinata.sandbox.openbao import OpenBao
from reconciler.manifest import manifests

KIND = f"{API}kind: InferenceDefaults\nspec:\n"


@pytest.fixture
def second() -> Iterator[OpenBao]:
    with OpenBao() as vault:
        yield vault


def load(folder: Path, spec: str) -> manifests.Manifest:
    (folder / "defaults.yaml").write_text(KIND + spec)
    return manifests.load([folder], {"VAULT_ADDR": "https://env.example"}, root=folder)


def test_what_a_former_vault_leaves_out_is_as_in_vault(tmp_path: Path) -> None:
    vault = (
        "  vault: {address: 'https://new.example', mount: kv, auth: {method: approle, roleId: r, secretId: 'env:S'}}\n"
    )

    found = load(tmp_path, f"{vault}  formerVaults: [{{address: 'https://old.example'}}, {{mount: old, auth: null}}]\n")

    assert () == found.problems
    assert [
        ("https://old.example", None, "kv", "approle"),
        ("https://new.example", None, "old", "token"),
    ] == [(*each.vault.home, each.vault.auth.method) for each in found.former]


def test_former_vaults_are_not_laid_under_accounts(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(f"{API}kind: Inference\nmetadata: {{name: a}}\n")

    found = load(tmp_path, "  formerVaults: [{address: 'https://old.example'}]\n")

    assert ((), ["https://env.example"]) == (found.problems, [each.settings.vault.address for each in found.accounts])


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("[{address: 'http://old.example'}]", "4:28: spec.formerVaults.address: plain http"),
        ("[{path: x}]", "4:19: spec.formerVaults.0.path: no such field."),
        ("{address: x}", "4:17: spec.formerVaults: must be a list, not a group of values."),
        ("[old.example]", "4:18: spec.formerVaults.0: must be a group of values."),
        ("[{auth: {method: approle}}]", "4:19: spec.formerVaults.auth.roleId: missing"),
    ],
)
def test_a_wrong_former_vault_is_told_where_it_stands(tmp_path: Path, value: str, told: str) -> None:
    found = problems(tmp_path, f"{KIND}  formerVaults: {value}\n")

    assert [each for each in found if each.startswith(f"bad.yaml:{told}")], found


def test_a_whole_fleet_moves_to_another_server_and_the_old_one_is_shut_down(
    fleet_of: MakeFleet, second: OpenBao
) -> None:
    fleet = fleet_of(3)
    assert 0 == fleet.apply().code
    keys = {name: fleet.key(name) for name in fleet.names}
    logins = second.provision()
    old_login = "{method: approle, roleId: env:OLD_ROLE_ID, secretId: env:OLD_SECRET_ID}"
    defaults = DEFAULTS.format(fleet=fleet.name, timeout=fleet.timeout)
    fleet.env |= {
        "VAULT_ADDR": second.addr,
        "OLD_ROLE_ID": fleet.env["ROLE_ID"],
        "OLD_SECRET_ID": fleet.env["SECRET_ID"],
        "ROLE_ID": logins.provider.role_id,
        "SECRET_ID": logins.provider.secret_id,
    }
    fleet.secrets.append(logins.provider.secret_id)
    fleet.write("defaults", defaults)
    refused = fleet.plan()
    assert 1 == refused.code
    assert "name that in `spec.formerVaults`" in refused.out

    fleet.write("defaults", f"{defaults}  formerVaults:\n    - {{address: '{fleet.proxy.url}', auth: {old_login}}}\n")
    planned = fleet.plan()
    assert (2, 3) == (planned.code, planned.out.count("the key comes from")), planned.out + planned.err
    assert 0 == fleet.apply().code
    fleet.write("defaults", defaults)
    fleet.proxy.fault = lambda method, path: 503
    fleet.bao = second

    assert 0 == fleet.plan().code
    assert keys == {name: fleet.key(name) for name in fleet.names}
    assert {1} == set(fleet.mints().values())
