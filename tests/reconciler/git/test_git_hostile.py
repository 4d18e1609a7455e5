"""A repository, or what surrounds the process, can neither run anything, nor hide or reach a file."""

import os
import re
import subprocess
import time
from pathlib import Path

import pytest
from git_following import Follow, account, names, refused
from git_server import Repository

from reconciler.git import commands as git_commands
from reconciler.git import tree as git_tree
from reconciler.manifest import files as manifest_files
from reconciler.manifest import manifests as manifest


def test_variables_that_point_git_elsewhere_do_not_count(
    repository: Repository, follow: Follow, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    commit = repository.push({"a.yaml": account("a")})
    for name in ("GIT_DIR", "GIT_WORK_TREE", "GIT_INDEX_FILE", "GIT_OBJECT_DIRECTORY", "GIT_TRACE", "GIT_TRACE_CURL"):
        monkeypatch.setenv(name, str(tmp_path / "elsewhere"))
    monkeypatch.setenv("GIT_CONFIG_PARAMETERS", "'core.bare=nonsense'")

    assert commit == follow().fetch().commit
    assert not (tmp_path / "elsewhere").exists()


def test_the_configuration_of_a_repository_around_the_folder_does_not_count(
    repository: Repository, follow: Follow, folder: Path
) -> None:
    commit = repository.push({"a.yaml": account("a")})
    subprocess.run(["git", "init", "--quiet", folder.parent], check=True)
    with (folder.parent / ".git" / "config").open("a") as config:
        config.write('[url "ext::nonsense "]\ninsteadOf = http://\n')

    assert commit == follow().fetch().commit


def test_what_the_users_configuration_makes_of_the_address_is_still_no_helper(
    repository: Repository, follow: Follow, home: Path, tmp_path: Path
) -> None:
    (home / ".gitconfig").write_text(f'[url "ext::touch {tmp_path}/ran "]\ninsteadOf = http://\n')

    assert "--git: git's configuration turns the address into one of a kind that is not followed." in refused(follow())
    assert not (tmp_path / "ran").exists()


def test_hooks_and_filters_do_not_run_and_attributes_hide_nothing(
    repository: Repository, follow: Follow, home: Path, tmp_path: Path
) -> None:
    ran = tmp_path / "ran"
    hooks = tmp_path / "hooks"
    hooks.mkdir()
    for name in ("post-checkout", "reference-transaction", "post-merge", "pre-auto-gc"):
        (hooks / name).write_text(f"#!/bin/sh\ntouch {ran}\n")
        (hooks / name).chmod(0o755)
    attributes = "* filter=evil diff=evil export-ignore ident\n*.yaml working-tree-encoding=UTF-16 eol=crlf\n"
    text = f"# $Id$\n{account('a')}"
    repository.push({"a.yaml": text, "sub/b.yaml": account("b")})
    blob = repository.blob(attributes.encode())
    repository.git("update-index", "--add", "--cacheinfo", f"100644,{blob},.gitattributes")
    repository.git("commit", "--quiet", "--message=t")
    repository.publish(repository.git("rev-parse", "HEAD"))
    (home / ".gitconfig").write_text(
        f'[core]\nhooksPath = {hooks}\nautocrlf = true\n[filter "evil"]\nsmudge = touch {ran}\nprocess = touch {ran}\n'
        f'[diff "evil"]\ntextconv = touch {ran}\n[init]\ntemplateDir = {hooks.parent}\n[log]\nshowSignature = true\n'
    )

    found = follow().fetch()

    assert found.root is not None
    assert (["a", "b"], text) == (names(found), (found.root / "a.yaml").read_text())
    assert not ran.exists()


def test_a_link_to_a_file_outside_is_refused_by_the_loader(
    repository: Repository, follow: Follow, tmp_path: Path
) -> None:
    (tmp_path / "secret.yaml").write_text(account("secret"))
    (repository.work / "evil.yaml").symlink_to(tmp_path / "secret.yaml")
    repository.push({"a.yaml": account("a")})

    found = follow().fetch()
    read = manifest.load(found.paths, {"VAULT_ADDR": "https://vault.test"}, root=found.root)

    assert "evil.yaml:1:1: a link that leads out of the manifests' root. Put the manifest itself there." in [
        str(problem) for problem in read.problems
    ]
    assert "secret" not in {each.name for each in read.accounts} | read.frozen


@pytest.mark.parametrize("target", ["/", "../../../..", "sub/../../..", "/nowhere"])
def test_a_link_to_a_folder_outside_is_refused(repository: Repository, follow: Follow, target: str) -> None:
    (repository.work / "sub").mkdir()
    (repository.work / "sub" / "evil").symlink_to(target)
    repository.push({"a.yaml": account("a")})

    assert (
        "--git: 'sub/evil' is a link that leads out of the repository. Remove it, or put the folder itself there."
        == (refused(follow()))
    )


def test_links_inside_the_repository_are_followed(repository: Repository, follow: Follow) -> None:
    repository.write({"shared/b.yaml": account("b")})
    (repository.work / "prod").mkdir()
    (repository.work / "prod" / "shared").symlink_to("../shared")
    (repository.work / "now").symlink_to("prod")
    (repository.work / "circle").symlink_to("circle")
    repository.push({"prod/a.yaml": account("a")})

    assert ["a", "b"] == names(follow("main", "now").fetch())


def test_a_path_asked_for_that_leads_out_is_refused(repository: Repository, follow: Follow, tmp_path: Path) -> None:
    (tmp_path / "secret.yaml").write_text(account("secret"))
    (repository.work / "prod.yaml").symlink_to(tmp_path / "secret.yaml")
    repository.push({"a.yaml": account("a")})

    assert "has no 'prod.yaml'" in refused(follow("main", "prod.yaml"))


@pytest.mark.parametrize("name", ["..", ".", ".GIT", ".git"])
def test_names_that_lead_elsewhere_are_refused(repository: Repository, follow: Follow, name: str) -> None:
    repository.tree(("100644", repository.blob(b"x"), name))

    assert "--git: the repository has a file name that git itself forbids. Rename it." == refused(follow())


def test_no_file_is_written_through_a_link(repository: Repository, follow: Follow, tmp_path: Path) -> None:
    inner = repository.git("mktree", given=f"100644 blob {repository.blob(b'x')}\tran\n".encode())
    link = repository.blob(str(tmp_path).encode())
    repository.tree(("120000", link, "a"), ("40000", inner, "a"))

    assert "--git: two names in the repository are one on this machine." in refused(follow())
    assert not (tmp_path / "ran").exists()


def test_folders_without_end_are_refused(repository: Repository, follow: Follow) -> None:
    tree = repository.git("mktree", given=f"100644 blob {repository.blob(b'x')}\ta.yaml\n".encode())
    for _level in range(1200):
        tree = repository.git("hash-object", "-t", "tree", "-w", "--stdin", given=b"40000 d\0" + bytes.fromhex(tree))
    repository.publish(repository.git("commit-tree", "-m", "t", tree))

    assert "--git: the repository has folders more than 100 levels deep." in refused(follow())


def test_links_that_multiply_cost_no_time(repository: Repository, follow: Follow) -> None:
    for level in range(60):
        (repository.work / f"l{level}").symlink_to(f"l{level + 1}/../l{level + 1}")
    (repository.work / "l60").mkdir()
    repository.push({"l60/a.yaml": account("a")})
    started = time.monotonic()

    assert ["a"] == names(follow().fetch())
    assert time.monotonic() - started < 10


def test_names_that_cannot_be_shown_are_refused(repository: Repository, follow: Follow) -> None:
    repository.tree(("100644", repository.blob(b"x"), "a\x1b[2J.yaml"))

    assert r"--git: the repository has a file name that cannot be shown: 'a\x1b[2J.yaml'." in refused(follow())


def test_a_submodule_is_refused_where_its_manifests_would_be_missed(repository: Repository, follow: Follow) -> None:
    commit = repository.push({"prod/a.yaml": account("a")})
    repository.git("update-index", "--add", "--cacheinfo", f"160000,{commit},prod/more")
    repository.git("update-index", "--add", "--cacheinfo", f"160000,{commit},elsewhere")
    repository.git("commit", "--quiet", "--message=t")
    repository.publish(repository.git("rev-parse", "HEAD"))

    assert "PATH: 'prod/more' is a submodule. Submodules are not followed" in refused(follow("main", "prod"))
    assert ["a"] == names(follow("main", "prod/a.yaml").fetch())


@pytest.mark.parametrize("start", [b"version https://git-lfs.github.com/spec/v1\noid sha256:1\n", b"\0GITCRYPT\0xyz"])
def test_a_file_that_a_filter_should_have_brought_back_is_refused(
    repository: Repository, follow: Follow, start: bytes
) -> None:
    repository.push({"a.yaml": account("a"), "b.yaml": start})

    assert re.match("PATH: 'b.yaml' is not a file but what (Git LFS|git-crypt) left in its place", refused(follow()))


def test_a_file_too_large_for_a_manifest_is_told_by_the_loader(repository: Repository, follow: Follow) -> None:
    large = account("large").encode() + b"#" * (3 * manifest_files.LARGEST_FILE)
    repository.push({"a.yaml": account("a"), "large.yaml": large, "z.yaml": account("z")})

    found = follow().fetch()
    read = manifest.load(found.paths, {"VAULT_ADDR": "https://vault.test"}, root=found.root)

    assert f"large.yaml:1:1: {len(large):,} bytes; a manifest file has at most" in str(read.problems[0])
    assert "large" in read.frozen


def test_a_tree_that_unfolds_without_end_is_refused(
    repository: Repository, follow: Follow, monkeypatch: pytest.MonkeyPatch
) -> None:
    tree = repository.git("mktree", given=f"100644 blob {repository.blob(b'x')}\ta\n".encode())
    for _level in range(12):
        tree = repository.git("mktree", given="".join(f"040000 tree {tree}\t{n}\n" for n in range(10)).encode())
    repository.publish(repository.git("commit-tree", "-m", "t", tree))

    assert "--git: git says more than it could have to say about a repository of manifests." in refused(follow())


def test_a_commit_of_too_many_or_too_large_files_is_refused(
    repository: Repository, follow: Follow, monkeypatch: pytest.MonkeyPatch
) -> None:
    repository.push({"a.yaml": account("a"), "zeros": b"\0" * 3_000_000, "noise": os.urandom(3_000_000)})

    monkeypatch.setattr(git_tree, "LARGEST_TREE", 5_000_000)
    assert "Keep manifests in a repository of their own." in refused(follow())
    monkeypatch.setattr(git_tree, "LARGEST_TREE", 7_000_000)
    monkeypatch.setattr(git_commands, "LARGEST_STORE", 2_000_000)
    assert "--git: one commit of the repository is larger than" in refused(follow())
    monkeypatch.setattr(git_commands, "LARGEST_STORE", 4_000_000)
    assert ["a"] == names(follow().fetch())
