"""What is in doubt is frozen: the accounts of a wrong file, and all of them where what they share is wrong."""

from pathlib import Path

import pytest
from manifest_text import API, HEAD, problems, read


def test_a_broken_file_freezes_the_names_found_in_it_and_others_count(tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text(HEAD.replace("name: a", "name: good"))
    broken = f"{HEAD}---\n{HEAD.replace('name: a', 'name: b')}spec: [\n---\nmetadata: {{'name': \"c\"}}\n"

    found = read(tmp_path, broken)

    assert ["good"] == [account.name for account in found.accounts]
    assert frozenset({"a", "b", "c"}) == found.frozen


def test_one_wrong_document_freezes_all_of_its_file(tmp_path: Path) -> None:
    wrong = f"{API}kind: Inference\nmetadata: {{name: b}}\nspec: {{nope: 1, credentials: env:B}}\n"

    found = read(tmp_path, f"{HEAD}---\n{wrong}")

    assert 1 == len(found.problems)
    assert (frozenset({"a", "b"}), ()) == (found.frozen, found.accounts)


def test_a_name_that_a_broken_file_has_too_is_frozen_everywhere(tmp_path: Path) -> None:
    (tmp_path / "good.yaml").write_text(HEAD)

    found = read(tmp_path, f"{HEAD}spec: [\n")

    assert (frozenset({"a"}), ()) == (found.frozen, found.accounts)


def test_wrong_defaults_freeze_all_accounts_and_are_told_once(tmp_path: Path) -> None:
    for name in ("x", "y"):
        text = HEAD.replace("name: a", f"name: {name}") + f"spec: {{credentials: env:{name.upper()}}}\n"
        (tmp_path / f"{name}.yaml").write_text(text)

    found = read(tmp_path, f"{API}kind: InferenceDefaults\nspec:\n  vault: {{mount: /kv}}\n  prune: 1\n")

    assert [
        "bad.yaml:1:1: what all accounts share stands in a file with problems: all of them are left as they are.",
        "bad.yaml:4:18: spec.vault.mount: '/kv' is not a plain path. Write names joined by single slashes, such as "
        "pinata/prod; no spaces, `..`, `?`, `#` or `%`.",
        "bad.yaml:5:10: spec.prune: must be true or false, not a number.",
    ] == [str(problem) for problem in found.problems]
    assert (frozenset({"x", "y"}), ()) == (found.frozen, found.accounts)


@pytest.mark.parametrize("field", ["credentials: env:X", "account: x", "vault: {path: x}"])
def test_what_is_one_accounts_own_cannot_be_shared(tmp_path: Path, field: str) -> None:
    (message, *_) = [p for p in problems(tmp_path, f"{API}kind: InferenceDefaults\nspec:\n  {field}\n") if ":4:" in p]

    assert "no such field" in message


def test_defaults_are_checked_without_an_account_but_not_for_what_one_may_add(tmp_path: Path) -> None:
    text = f"{API}kind: InferenceDefaults\nspec:\n  timeout: 900\n  vault: {{auth: {{method: approle}}}}\n"

    assert [
        "bad.yaml:1:1: what all accounts share stands in a file with problems: all of them are left as they are.",
        "bad.yaml:4:12: spec.timeout: must be a number of seconds from 1 to 300.",
    ] == problems(tmp_path, text, {})


def test_a_second_set_of_defaults_is_refused_and_freezes_all(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(f"{API}kind: InferenceDefaults\n")
    (tmp_path / "x.yaml").write_text(HEAD)

    found = read(tmp_path, f"{API}kind: InferenceDefaults\nspec: {{fleet: other}}\n")

    assert [
        "a.yaml:1:1: more than one InferenceDefaults in one load; another is at bad.yaml:1:1. Keep one.",
        "a.yaml:1:1: what all accounts share stands in a file with problems: all of them are left as they are.",
        "bad.yaml:1:1: more than one InferenceDefaults in one load; another is at a.yaml:1:1. Keep one.",
    ] == [str(problem) for problem in found.problems]
    assert (frozenset({"a"}), ()) == (found.frozen, found.accounts)


def test_defaults_that_cannot_be_read_freeze_all(tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_text(HEAD)

    found = read(tmp_path, f"{API}kind: InferenceDefaults\nspec: {{\n")

    assert (frozenset({"a"}), ()) == (found.frozen, found.accounts)
