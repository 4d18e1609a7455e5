"""Which files are read: folders at all levels, links followed once, and nothing beyond the bounds."""

import os
from pathlib import Path

import pytest

from reconciler.manifest import files as manifest_files
from reconciler.manifest import manifests as manifest
from reconciler.manifest.declared import Manifest

HEAD = "apiVersion: pinata-reconciler.dev/v1alpha1\nkind: Inference\nmetadata:\n  name: "
ENV = {"VAULT_ADDR": "https://vault.test"}


def put(path: Path, name: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f"{HEAD}{name}\nspec: {{credentials: env:{name.upper()}}}\n")
    return path


def load(*paths: Path, root: Path | None = None) -> Manifest:
    return manifest.load(paths, ENV, root=root)


def names(read: Manifest) -> list[str]:
    return [account.name for account in read.accounts]


def test_folders_are_read_at_all_levels_in_order_but_for_what_is_hidden(tmp_path: Path) -> None:
    for path in ("b.yml", "a.yaml", "sub/deep/c.yaml", ".git/d.yaml", ".e.yaml", "notes.txt", "f.json"):
        put(tmp_path / path, Path(path).stem.strip("."))

    read = load(tmp_path, root=tmp_path)

    assert ((), ["a", "b", "c"], 3) == (read.problems, names(read), read.files)
    assert ["a.yaml", "b.yml", "sub/deep/c.yaml"] == [account.place.file for account in read.accounts]


def test_a_file_that_is_named_is_read_whatever_its_name(tmp_path: Path) -> None:
    assert ["a"] == names(load(put(tmp_path / ".hidden" / "manifest.txt", "a")))


def test_files_go_by_the_path_given_where_there_is_no_root(tmp_path: Path) -> None:
    path = put(tmp_path / "a.yaml", "a")

    assert str(path) == load(tmp_path).accounts[0].place.file


def test_a_file_reached_twice_is_read_once(tmp_path: Path) -> None:
    path = put(tmp_path / "a.yaml", "a")
    (tmp_path / "b.yaml").symlink_to(path)

    read = load(tmp_path, path, tmp_path)

    assert ((), ["a"], 1) == (read.problems, names(read), read.files)


def test_links_to_folders_are_followed_and_loops_end(tmp_path: Path) -> None:
    put(tmp_path / "real" / "a.yaml", "a")
    (tmp_path / "real" / "loop").symlink_to(tmp_path, target_is_directory=True)
    (tmp_path / "link").symlink_to(tmp_path / "real", target_is_directory=True)

    read = load(tmp_path)

    assert ((), ["a"]) == (read.problems, names(read))


def test_a_mounted_config_map_is_read_through_its_links(tmp_path: Path) -> None:
    put(tmp_path / "..2026_11" / "a.yaml", "a")
    (tmp_path / "..data").symlink_to("..2026_11", target_is_directory=True)
    (tmp_path / "a.yaml").symlink_to("..data/a.yaml")

    assert ["a"] == names(load(tmp_path, root=tmp_path))


def test_a_link_out_of_the_root_is_refused(tmp_path: Path) -> None:
    outside = put(tmp_path / "outside" / "a.yaml", "a")
    (tmp_path / "root").mkdir()
    (tmp_path / "root" / "a.yaml").symlink_to(outside)

    read = load(tmp_path / "root", root=tmp_path / "root")

    assert "a.yaml:1:1: a link that leads out of the manifests' root. Put the manifest itself there." == str(
        read.problems[0]
    )
    assert () == read.accounts


def test_a_path_that_does_not_exist_is_told_and_freezes_what_may_depend_on_it(tmp_path: Path) -> None:
    path = put(tmp_path / "a.yaml", "a")

    read = load(path, tmp_path / "nope", root=tmp_path)

    assert [
        "nope:1:1: no such file or folder. Check the path.",
        "nope:1:1: what all accounts share may be here: all of them are left as they are.",
    ] == [str(problem) for problem in read.problems]
    assert ((), frozenset({"a"}), 1) == (read.accounts, read.frozen, read.files)


def test_a_file_that_is_too_large_is_not_parsed_but_searched_for_names(tmp_path: Path) -> None:
    put(tmp_path / "defaults.yaml", "x").write_text(f"{HEAD.replace('Inference', 'InferenceDefaults')}shared\n")
    put(tmp_path / "good.yaml", "good")
    large = put(tmp_path / "large.yaml", "large")
    with large.open("r+b") as file:
        file.truncate(100 * 1024 * 1024)

    read = load(tmp_path, root=tmp_path)

    assert ["large.yaml:1:1: 104,857,600 bytes; a manifest file has at most 1,048,576. Split it."] == [
        str(problem) for problem in read.problems
    ]
    assert (["good"], frozenset({"large"})) == (names(read), read.frozen)


def test_what_may_have_held_the_defaults_freezes_all_where_there_are_no_others(tmp_path: Path) -> None:
    put(tmp_path / "good.yaml", "good")
    with put(tmp_path / "large.yaml", "large").open("r+b") as file:
        file.truncate(manifest_files.LARGEST_FILE + 1)

    read = load(tmp_path, root=tmp_path)

    assert ((), frozenset({"good", "large"})) == (read.accounts, read.frozen)


def test_a_load_is_bounded_as_a_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(manifest_files, "MOST_FILES", 2)
    for name in "abcd":
        put(tmp_path / f"{name}.yaml", name)

    read = load(tmp_path, root=tmp_path)

    assert "c.yaml:1:1: more than 16 MiB or 2 files in one load; read up to here. Split the fleet." == str(
        read.problems[0]
    )
    assert ((), frozenset({"a", "b"})) == (read.accounts, read.frozen)


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.yaml")

    read = load(tmp_path, root=tmp_path)

    assert "a.yaml:1:1: not a regular file. Put the manifest itself there." == str(read.problems[0])


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_a_file_that_may_not_be_read_is_told(tmp_path: Path) -> None:
    put(tmp_path / "a.yaml", "a").chmod(0)

    read = load(tmp_path, root=tmp_path)

    assert "a.yaml:1:1: cannot be read (Permission denied). Check it." == str(read.problems[0])


def test_a_link_to_nothing_is_told(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").symlink_to("nowhere")

    read = load(tmp_path, root=tmp_path)

    assert "a.yaml:1:1: cannot be read (No such file or directory). Check it." == str(read.problems[0])
