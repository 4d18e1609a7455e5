"""Only commits signed by an allowed signer are followed, where that is asked for."""

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from git_following import Follow, account, names, refused
from git_server import GitServer, Repository

from pulumi_pinata.core.errors import PinataError


@pytest.fixture
def signed(tmp_path: Path) -> Callable[[str], tuple[str, ...]]:
    """Options for a commit signed by a key of that name."""
    (tmp_path / "keys").mkdir()

    def options(name: str) -> tuple[str, ...]:
        key = tmp_path / "keys" / name
        if not key.exists():
            command = ["ssh-keygen", "-q", "-t", "ed25519", "-N", "", "-C", name, "-f", str(key)]
            subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
        return (f"--gpg-sign={key}",)

    return options


@pytest.fixture
def allow(tmp_path: Path, repository: Repository, signed: Callable[[str], tuple[str, ...]]) -> Callable[..., Path]:
    """Write the file of allowed signers."""
    repository.git("config", "gpg.format", "ssh")

    def write(*keys: str, options: str = "") -> Path:
        lines = []
        for name in keys:
            signed(name)
            lines.append(f"{name} {options}{(tmp_path / 'keys' / f'{name}.pub').read_text()}")
        (tmp_path / "allowed").write_text("".join(lines))
        return tmp_path / "allowed"

    return write


Signed = Callable[[str], tuple[str, ...]]
Allow = Callable[..., Path]


def test_only_commits_by_allowed_signers_are_followed(
    repository: Repository, follow: Follow, signed: Signed, allow: Allow
) -> None:
    source = follow(allowed_signers=allow("first"))
    good = repository.push({"a.yaml": account("a")}, *signed("first"))
    old = source.fetch()
    assert (good, old) == (old.commit, source.fetch())

    stranger = repository.push({"b.yaml": account("b")}, *signed("second"))
    message = refused(source)
    assert f"--allowed-signers: the commit {stranger} is signed by a key (SHA256:" in message
    assert ") that is not in the file, or not valid there at the commit's time. " in message

    unsigned = repository.push({"b.yaml": account("c")})
    assert f"--allowed-signers: the commit {unsigned} is not signed, or not by an ssh key. " in refused(source)
    assert ["a"] == names(old)

    later = repository.push({}, *signed("first"))
    assert later == source.fetch().commit


def test_the_file_of_signers_is_read_at_each_fetch(
    repository: Repository, follow: Follow, signed: Signed, allow: Allow
) -> None:
    repository.push({"a.yaml": account("a")}, *signed("first"))
    path = allow("second")
    source = follow(allowed_signers=path)
    assert "not in the file" in refused(source)

    allow("second", "first")
    found = source.fetch()
    allow("second")
    assert "not in the file" in refused(source)
    path.unlink()
    assert f"--allowed-signers: {str(path)!r} cannot be read (No such file or directory)." in refused(source)
    assert ["a"] == names(found)


def test_a_commit_that_was_changed_after_it_was_signed_is_refused(
    repository: Repository, follow: Follow, signed: Signed, allow: Allow
) -> None:
    source = follow(allowed_signers=allow("first"))
    commit = repository.push({"a.yaml": account("a")}, *signed("first"))
    text = repository.git("cat-file", "commit", commit).replace("t@t.invalid", "u@t.invalid") + "\n"
    forged = repository.git("hash-object", "-t", "commit", "-w", "--stdin", given=text.encode())
    repository.publish(forged)

    assert f"--allowed-signers: the commit {forged} has a bad signature" in refused(source)


def test_a_key_that_had_expired_when_the_commit_was_made_is_refused(
    repository: Repository, follow: Follow, signed: Signed, allow: Allow
) -> None:
    repository.push({"a.yaml": account("a")}, *signed("first"))

    path = allow("first", options='valid-before="20200101000000Z" ')
    assert "not valid there at the commit's time" in refused(follow(allowed_signers=path))
    allow("first", options='valid-before="20991231000000Z" ')
    assert ["a"] == names(follow(allowed_signers=path).fetch())


def test_a_signature_of_another_kind_does_not_count_whatever_the_keyring_holds(
    repository: Repository, follow: Follow, allow: Allow, home: Path, tmp_path: Path
) -> None:
    believer = tmp_path / "believer"
    lines = [
        "[GNUPG:] NEWSIG",
        "[GNUPG:] GOODSIG 0123456789ABCDEF t",
        "[GNUPG:] VALIDSIG 0123",
        "[GNUPG:] TRUST_ULTIMATE",
    ]
    echo = "".join(f"echo '{line}'\n" for line in lines)
    believer.write_text(f"#!/bin/sh\ntouch {tmp_path}/ran\ncat >/dev/null\n{echo}")
    believer.chmod(0o755)
    (home / ".gitconfig").write_text(f'[gpg]\nprogram = {believer}\n[gpg "openpgp"]\nprogram = {believer}\n')
    commit = repository.commit({"a.yaml": account("a")})
    head, _, rest = repository.git("cat-file", "commit", commit).partition("\n\n")
    signature = "gpgsig -----BEGIN PGP SIGNATURE-----\n \n x\n -----END PGP SIGNATURE-----"
    forged = repository.git(
        "hash-object", "-t", "commit", "-w", "--stdin", given=f"{head}\n{signature}\n\n{rest}\n".encode()
    )
    repository.publish(forged)

    assert f"--allowed-signers: the commit {forged} " in refused(follow(allowed_signers=allow("first")))
    assert not (tmp_path / "ran").exists()


def test_a_signed_tag_does_not_sign_its_commit(
    repository: Repository, follow: Follow, signed: Signed, allow: Allow, tmp_path: Path
) -> None:
    path = allow("first")
    repository.push({"a.yaml": account("a")})
    repository.git("tag", "--sign", f"--local-user={tmp_path / 'keys' / 'first'}", "--message=t", "v1")
    repository.publish("v1", to="refs/tags/v1")

    assert "is not signed" in refused(follow("v1", allowed_signers=path))


def test_a_machine_without_ssh_keygen_is_told(
    repository: Repository,
    follow: Follow,
    signed: Signed,
    allow: Allow,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    repository.push({"a.yaml": account("a")}, *signed("first"))
    path = allow("first")
    (tmp_path / "bin").mkdir()
    (tmp_path / "bin" / "git").symlink_to(str(shutil.which("git")))
    monkeypatch.setenv("PATH", str(tmp_path / "bin"))

    assert "--allowed-signers: the program ssh-keygen is not on PATH." in refused(follow(allowed_signers=path))


def test_every_error_says_what_it_is_about_and_what_to_do(server: GitServer, follow: Follow) -> None:
    with pytest.raises(PinataError) as raised:
        follow().fetch()

    assert ("--git", True) == (raised.value.about, bool(raised.value.hint))
