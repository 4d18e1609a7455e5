"""A ref is followed commit by commit; a commit that cannot be followed leaves what was given."""

import shutil
import stat
import time
from pathlib import Path

import pytest
from git_following import TOKEN, Follow, account, names, processes, refused, transient, wait_until
from git_server import GitServer, Repository

from pulumi_pinata.core.secret import Secret
from reconciler.git.source import GitSource


def test_the_first_commit_is_given_as_files_below_a_root(repository: Repository, follow: Follow) -> None:
    commit = repository.push({"a.yaml": account("a"), "sub/b.yaml": account("b")})

    found = follow().fetch()

    assert (commit, (found.root,), ["a", "b"]) == (found.commit, found.paths, names(found))


def test_only_the_paths_asked_for_are_given(repository: Repository, follow: Follow) -> None:
    repository.push({"a.yaml": account("a"), "prod/b.yaml": account("b"), "one.txt": account("c"), "d.yaml": "x: ["})

    found = follow("main", "prod", "one.txt").fetch()

    assert found.root is not None
    assert ((found.root / "prod", found.root / "one.txt"), ["b", "c"]) == (found.paths, names(found))


def test_a_push_is_followed_and_the_old_files_go(repository: Repository, follow: Follow) -> None:
    repository.push({"a.yaml": account("a")})
    source = follow()
    old = source.fetch()
    commit = repository.push({"b.yaml": account("b")})

    new = source.fetch()

    assert (commit, ["a", "b"]) == (new.commit, names(new))
    assert old.root is not None
    assert not old.root.exists()


def test_the_same_commit_costs_one_listing_and_no_writing(
    server: GitServer, repository: Repository, follow: Follow, folder: Path
) -> None:
    repository.push({"a.yaml": account("a")})
    source = follow()
    found = source.fetch()
    before = {path: path.lstat().st_mtime_ns for path in folder.rglob("*") if not path.is_dir()}
    server.requests.clear()

    assert found is source.fetch()
    assert before == {path: path.lstat().st_mtime_ns for path in folder.rglob("*") if not path.is_dir()}
    assert ["GET /fleet.git/info/refs?service=git-upload-pack", "POST /fleet.git/git-upload-pack"] == [
        request.line for request in server.requests
    ]


def test_files_that_a_cleaner_of_temporary_files_took_are_written_again(repository: Repository, follow: Follow) -> None:
    repository.push({"a.yaml": account("a"), "b.yaml": account("b")})
    source = follow()
    old = source.fetch()
    assert old.root is not None
    (old.root / "b.yaml").unlink()

    new = source.fetch()

    assert (old.commit, ["a", "b"]) == (new.commit, names(new))


def test_a_force_push_is_followed(repository: Repository, follow: Follow) -> None:
    first = repository.push({"a.yaml": account("a")})
    repository.push({"b.yaml": account("b")})
    source = follow()
    assert ["a", "b"] == names(source.fetch())
    repository.publish(first)

    assert (first, ["a"]) == ((found := source.fetch()).commit, names(found))


@pytest.mark.parametrize("ref", ["v1", "refs/tags/v1", "light", "HEAD", "refs/heads/main", "team/x"])
def test_all_kinds_of_refs_lead_to_their_commit(repository: Repository, follow: Follow, ref: str) -> None:
    commit = repository.push({"a.yaml": account("a")})
    repository.git("tag", "--annotate", "--message=t", "v1")
    for name in ("v1", commit):
        repository.publish(name, to="refs/tags/v1" if name == "v1" else "refs/tags/light")
    repository.publish(commit, to="team/x")
    source = follow(ref)

    assert commit == source.fetch().commit
    assert source.fetch() is source.fetch()


def test_a_commit_id_is_followed_for_ever_without_asking(
    server: GitServer, repository: Repository, follow: Follow
) -> None:
    commit = repository.push({"a.yaml": account("a")})
    repository.push({"b.yaml": account("b")})
    source = follow(commit)

    found = source.fetch()
    server.stop()

    assert (commit, ["a"]) == (found.commit, names(found))
    assert found is source.fetch()


def test_a_repository_of_sha256_is_followed(server: GitServer, folder: Path) -> None:
    commit = server.repository("new.git", format="sha256").push({"a.yaml": account("a")})

    with GitSource(server.url("new.git"), "main", folder=folder) as source:
        assert (64, commit) == (len(commit), source.fetch().commit)


@pytest.mark.parametrize("form", ["{}", "file://{}"])
def test_a_repository_of_this_machine_is_followed(repository: Repository, follow: Follow, form: str) -> None:
    commit = repository.push({"a.yaml": account("a")})

    assert commit == follow(url=form.format(repository.path)).fetch().commit


def test_a_local_path_is_taken_from_the_folder_of_the_caller(
    repository: Repository, follow: Follow, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = repository.push({"a.yaml": account("a")})
    monkeypatch.chdir(repository.path.parent)

    assert commit == follow(url="./fleet.git").fetch().commit


def test_close_leaves_nothing_behind(repository: Repository, folder: Path) -> None:
    repository.push({"a.yaml": account("a")})
    with GitSource(str(repository.path), "main", folder=folder) as source:
        source.fetch()
        assert [0o700] == [stat.S_IMODE(path.stat().st_mode) for path in folder.iterdir()]

    assert [] == list(folder.iterdir())
    source.close()


def test_a_server_that_is_down_is_told_and_followed_again_when_it_is_back(
    server: GitServer, repository: Repository, follow: Follow
) -> None:
    repository.push({"a.yaml": account("a")})
    source = follow()
    old = source.fetch()
    server.stop()

    assert "--git: the server does not answer, or broke off. It is asked again at the next poll." == transient(source)
    assert ["a"] == names(old)

    server.start()
    assert old is source.fetch()
    repository.push({"b.yaml": account("b")})
    assert ["a", "b"] == names(source.fetch())


def test_a_commit_that_fails_leaves_the_old_one_and_no_rubbish(
    repository: Repository, follow: Follow, folder: Path
) -> None:
    repository.push({"prod/a.yaml": account("a")})
    source = follow("main", "prod")
    old = source.fetch()
    before = sorted(folder.glob("*/*"))
    repository.git("mv", "prod", "production")
    commit = repository.push()

    assert (
        f"PATH: the commit {commit} has no 'prod'. Check the paths, which count from the repository's root; "
        "an empty fleet is not assumed." == refused(source)
    )
    assert (["a"], before) == (names(old), sorted(folder.glob("*/*")))


def test_a_ref_that_is_deleted_keeps_what_was_given(repository: Repository, follow: Follow) -> None:
    commit = repository.push({"a.yaml": account("a")})
    repository.publish(commit, to="prod")
    source = follow("prod")
    old = source.fetch()
    repository.delete("prod")

    assert "--ref: the repository has no branch or tag 'prod'. Name a branch, a tag or a full commit id." == refused(
        source
    )
    assert ["a"] == names(old)


def test_a_ref_that_is_mistyped_brings_the_near_ones(repository: Repository, follow: Follow) -> None:
    commit = repository.push({"a.yaml": account("a")})
    repository.publish(commit, to="production")

    assert (
        "--ref: the repository has no branch or tag 'prodution'. Did you mean production?"
        == refused(follow("prodution"))
    )  # fmt: skip


def test_a_name_of_a_branch_and_a_tag_is_not_guessed_at(repository: Repository, follow: Follow) -> None:
    commit = repository.push({"a.yaml": account("a")})
    repository.publish(commit, to="refs/tags/main")

    assert "--ref: 'main' is both a branch and a tag. Write refs/heads/main or refs/tags/main." == refused(follow())


def test_a_commit_that_does_not_exist_is_told(repository: Repository, follow: Follow) -> None:
    repository.push({"a.yaml": account("a")})

    assert "--ref: the server does not give the commit out." in transient(follow("1" * 40))


def test_a_tag_of_no_commit_is_refused(repository: Repository, follow: Follow) -> None:
    repository.push({"a.yaml": account("a")})
    repository.publish(repository.blob(b"x"), to="refs/tags/blob")

    assert "--ref: 'blob' does not name a commit. Name a branch or a tag of one." == refused(follow("blob"))


def test_an_empty_repository_is_no_empty_fleet(repository: Repository, follow: Follow) -> None:
    assert "--git: the repository is empty. Push a commit of manifests to it." == refused(follow())


def test_a_commit_without_files_is_no_empty_fleet(repository: Repository, follow: Follow) -> None:
    commit = repository.push()

    assert (
        f"--ref: the commit {commit} has no files. Commit manifests to it; an empty fleet is not assumed."
        == refused(follow())
    )  # fmt: skip


def test_what_is_not_there_or_no_repository_is_told_apart(
    server: GitServer, repository: Repository, follow: Follow, tmp_path: Path
) -> None:
    repository.push({"a.yaml": account("a")})

    assert "--git: there is no such repository." in refused(follow(url=server.url("flet.git")))
    assert "--git: there is no such repository." in refused(follow(url=str(tmp_path / "home")))
    server.status = 200
    assert "--git: what answers there is not a Git repository." in refused(follow())
    server.status = 503
    assert "--git: the server is not able to answer now (503)." in transient(follow())


def test_a_name_that_does_not_resolve_is_told(follow: Follow) -> None:
    message = transient(follow(url="https://git.invalid/fleet.git"))

    assert "--git: the server's name is not known to DNS. Check the address, and DNS on this machine." == message


def test_a_server_without_tls_where_tls_is_expected_is_told(
    server: GitServer, repository: Repository, follow: Follow
) -> None:
    assert "--git: the server does not answer, or broke off." in transient(
        follow(url=server.url("fleet.git").replace("http:", "https:"))
    )


def test_a_redirect_is_not_followed(server: GitServer, repository: Repository, follow: Follow, tmp_path: Path) -> None:
    with GitServer(tmp_path / "other") as other:
        other.repository("fleet.git").push({"evil.yaml": account("evil")})
        server.redirect = other.url("")[:-1]

        assert "--git: the server redirects to another address; that is not followed." in refused(
            follow(token=lambda: Secret(TOKEN))
        )
        assert [] == other.requests


def test_a_machine_without_git_is_told(
    repository: Repository, follow: Follow, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))

    assert "--git: the program git is not on PATH. Install git 2.34 or newer." == refused(follow())


def test_a_folder_that_was_taken_away_is_told(repository: Repository, follow: Follow, folder: Path) -> None:
    repository.push({"a.yaml": account("a")})
    source = follow()
    shutil.rmtree(next(folder.iterdir()))

    assert "--git: the commit cannot be written to this machine's disk (No such file or directory)." in transient(
        source
    )


def test_a_server_that_hangs_meets_the_deadline_and_no_git_remains(
    server: GitServer, repository: Repository, follow: Follow, folder: Path
) -> None:
    repository.push({"a.yaml": account("a")})
    source = follow()
    old = source.fetch()
    source._timeout = 2.0
    server.hanging.set()
    started = time.monotonic()

    message = transient(source)

    assert "--git: the repository was not read in time. It is tried again at the next poll." == message
    assert time.monotonic() - started < 15
    wait_until(lambda: not processes(str(folder)))
    assert ["a"] == names(old)
    server.hanging.clear()
    source._timeout = 20.0
    assert old is source.fetch()
