"""Two accounts that claim one thing: both are refused, each naming the other, and nobody else is touched."""

from pathlib import Path

import pytest

from reconciler.manifest import manifests as manifest
from reconciler.manifest.declared import Manifest

HEAD = "apiVersion: pinata-reconciler.dev/v1alpha1\nkind: Inference\nmetadata:\n  name: "
ENV = {"VAULT_ADDR": "https://vault.test"}


def load(folder: Path, **specs: str) -> Manifest:
    """Load accounts, each a file of its own by its name's first letters."""
    for name, spec in specs.items():
        account = name.rstrip("_")
        (folder / f"{name}.yaml").write_text(f"{HEAD}{account}\nspec:\n  {spec}\n")
    (folder / "z.yaml").write_text(f"{HEAD}z\nspec:\n  credentials: env:Z\n")
    return manifest.load([folder], ENV, root=folder)


def refused(read: Manifest) -> list[str]:
    assert ["z"] == [account.name for account in read.accounts]
    return [str(problem) for problem in read.problems]


def test_one_name_twice_refuses_both(tmp_path: Path) -> None:
    read = load(tmp_path, a="vault: {path: x}\n  credentials: env:X", a_="vault: {path: y}\n  credentials: env:Y")

    assert [
        "a.yaml:4:9: the name 'a' is claimed also in a_.yaml:4:9. Keep one.",
        "a_.yaml:4:9: the name 'a' is claimed also in a.yaml:4:9. Keep one.",
    ] == refused(read)
    assert frozenset({"a"}) == read.frozen


def test_what_two_of_one_name_have_in_common_besides_is_not_told(tmp_path: Path) -> None:
    read = load(tmp_path, a="credentials: env:A", a_="credentials: env:A")

    assert ["a.yaml:4:9", "a_.yaml:4:9"] == [str(problem.place) for problem in read.problems]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("path: shop", "path: shop"),
        ("path: shop, address: 'https://vault.test'", "path: shop, address: 'https://VAULT.test:443/'"),
        ("path: shop, namespace: team", "path: shop, namespace: team/"),
        ("path: shop, mount: secret", "path: shop, field: OTHER_KEY"),
    ],
)
def test_one_secret_in_vault_twice_refuses_both(tmp_path: Path, one: str, other: str) -> None:
    read = load(tmp_path, a=f"vault: {{{one}}}\n  credentials: env:A", b=f"vault: {{{other}}}\n  credentials: env:B")

    assert [
        "a.yaml:6:17: the secret secret/shop is claimed also by 'b' (b.yaml:6:17). Keep one.",
        "b.yaml:6:17: the secret secret/shop is claimed also by 'a' (a.yaml:6:17). Keep one.",
    ] == refused(read)
    assert frozenset({"a", "b"}) == read.frozen


@pytest.mark.parametrize("other", ["mount: kv", "namespace: team", "address: 'https://other.test'", "path: shop/b"])
def test_another_vault_namespace_mount_or_path_is_another_secret(tmp_path: Path, other: str) -> None:
    vault = other if "path" in other else f"path: shop, {other}"
    read = load(tmp_path, a="vault: {path: shop}\n  credentials: env:A", b=f"vault: {{{vault}}}\n  credentials: env:B")

    assert () == read.problems


def test_one_reference_twice_refuses_both(tmp_path: Path) -> None:
    read = load(tmp_path, a="credentials: env:SAME", b="credentials: env:SAME")

    assert [
        "a.yaml:6:16: the account of these credentials is claimed also by 'b' (b.yaml:6:16). Keep one.",
        "b.yaml:6:16: the account of these credentials is claimed also by 'a' (a.yaml:6:16). Keep one.",
    ] == refused(read)


def test_two_accounts_that_leave_their_credentials_to_the_default_claim_the_same(tmp_path: Path) -> None:
    read = load(tmp_path, a="prune: false", b="prune: false")

    assert ["a.yaml:4:9", "b.yaml:4:9"] == [str(problem.place) for problem in read.problems]


def test_one_reference_to_two_apis_is_no_conflict(tmp_path: Path) -> None:
    read = load(tmp_path, a="credentials: env:SAME", b="credentials: env:SAME\n  apiUrl: https://other.test")

    assert () == read.problems


def test_one_vault_reference_in_two_vaults_is_no_conflict(tmp_path: Path) -> None:
    text = "credentials: vault:kv/jwt#token"
    read = load(tmp_path, a=text, b=f"{text}\n  vault: {{address: 'https://other.test'}}")

    assert () == read.problems


def test_one_account_under_two_references_refuses_both(tmp_path: Path) -> None:
    read = load(tmp_path, a="account: me\n  credentials: env:A", b="credentials: env:B\n  account: me")

    assert [
        "a.yaml:6:12: the account 'me' is claimed also by 'b' (b.yaml:7:12). Keep one.",
        "b.yaml:7:12: the account 'me' is claimed also by 'a' (a.yaml:6:12). Keep one.",
    ] == refused(read)


def test_a_claim_of_an_account_that_is_frozen_counts(tmp_path: Path) -> None:
    (tmp_path / "bad.yaml").write_text(
        f"{HEAD}b\nspec:\n  credentials: env:SAME\n---\n{HEAD}c\nspec:\n  nope: 1\n  credentials: env:C\n"
    )
    read = load(tmp_path, a="credentials: env:SAME")

    assert frozenset({"a", "b", "c"}) == read.frozen


def test_a_crowd_is_named_in_short(tmp_path: Path) -> None:
    read = load(tmp_path, **dict.fromkeys("abcdef", "credentials: env:SAME"))

    assert (
        "a.yaml:6:16: the account of these credentials is claimed also by 'b' (b.yaml:6:16), "
        "also by 'c' (c.yaml:6:16), also by 'd' (d.yaml:6:16) and 2 more. Keep one."
    ) == refused(read)[0]
