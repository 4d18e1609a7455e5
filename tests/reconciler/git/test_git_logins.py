"""Logins reach the server that they are for, and nothing else."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from git_following import TOKEN, Follow, account, all_bytes, names, processes, refused, transient
from git_server import GitServer, Repository

from pulumi_pinata.core.errors import Refused
from pulumi_pinata.core.secret import Secret
from reconciler.loop.source import Checkout


def test_the_token_is_read_at_each_fetch_and_seen_by_the_server_only(
    server: GitServer, repository: Repository, follow: Follow, folder: Path, home: Path
) -> None:
    (home / ".gitconfig").write_text(
        f'[credential]\nhelper = store\n[credential "{server.url("")[:-1]}"]\nhelper = store\n'
    )
    repository.push({"a.yaml": account("a")})
    server.login = f"x-access-token:{TOKEN}"
    current = ["wrong"]
    source = follow(token=lambda: Secret(current[0]))

    message = refused(source)
    current[0] = TOKEN
    found = source.fetch()

    assert (
        "--git-token: the server refused the login. Check that the token is valid and may read the repository; "
        "user:password is accepted too." == message
    )
    assert ["a"] == names(found)
    assert TOKEN.encode() not in all_bytes(folder) + all_bytes(home)
    assert TOKEN not in repr(vars(source))


def test_the_token_is_in_no_argument_of_a_process(
    server: GitServer, repository: Repository, follow: Follow, folder: Path
) -> None:
    repository.push({"a.yaml": account("a")})
    server.login = f"me:{TOKEN}"
    server.hanging.set()
    source = follow(token=lambda: Secret(f"me:{TOKEN}"))
    given: list[Checkout] = []
    thread = threading.Thread(target=lambda: given.append(source.fetch()))
    seen: list[str] = []
    thread.start()
    while thread.is_alive():
        seen += processes(str(folder))
        if any("remote-http" in command for command in seen):  # the one that would have to be told the token
            server.hanging.clear()

    thread.join()
    assert [True] == [checkout.commit is not None for checkout in given]
    assert any("remote-http" in command for command in seen)
    assert [] == [command for command in seen if TOKEN in command]


def test_a_login_that_is_wanted_is_asked_for(server: GitServer, repository: Repository, follow: Follow) -> None:
    server.login = "x:y"

    assert (
        "--git-token: the server refused the login. Give a token by --git-token, or set up a credential helper of git "
        "for this user." == refused(follow())
    )


def test_no_proxy_sees_a_login_that_plain_http_carries(
    server: GitServer, repository: Repository, follow: Follow, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    commit = repository.push({"a.yaml": account("a")})
    server.login = f"x-access-token:{TOKEN}"
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    monkeypatch.delenv("no_proxy", raising=False)
    monkeypatch.delenv("NO_PROXY", raising=False)
    (home / ".gitconfig").write_text("[http]\nproxy = http://127.0.0.1:9\n")

    assert commit == follow(token=lambda: Secret(TOKEN)).fetch().commit


def test_the_token_is_not_given_to_another_server_that_the_users_configuration_leads_to(
    server: GitServer, repository: Repository, follow: Follow, home: Path, tmp_path: Path
) -> None:
    with GitServer(tmp_path / "other", login="x:y") as other:
        (home / ".gitconfig").write_text(f'[url "{other.url("")}"]\ninsteadOf = {server.url("")}\n')

        assert "--git-token: the server refused the login." in refused(follow(token=lambda: Secret(TOKEN)))
        assert {None} == {request.login for request in other.requests}


def test_a_credential_helper_of_the_user_is_used(
    server: GitServer, repository: Repository, follow: Follow, home: Path
) -> None:
    commit = repository.push({"a.yaml": account("a")})
    server.login = f"me:{TOKEN}"
    (home / ".gitconfig").write_text(f"[credential]\nhelper = \"!printf 'username=me\\npassword={TOKEN}\\n' #\"\n")

    assert commit == follow().fetch().commit


def test_a_token_of_more_than_one_line_is_refused(repository: Repository, follow: Follow) -> None:
    message = refused(follow(token=lambda: Secret("a\nhost=elsewhere")))

    assert (
        "--git-token: the token has characters that no token has. Check that only the token is there, on one line."
        == (message)
    )


def test_a_login_that_cannot_be_read_is_the_callers_error(repository: Repository, follow: Follow) -> None:
    def token() -> Secret:
        raise Refused("env:NOPE is not set.", about="--git-token")

    assert "--git-token: env:NOPE is not set." == refused(follow(token=token))


@pytest.fixture
def ssh(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], None]:
    """What stands in for the program ssh: the text of a shell script."""

    def script(text: str) -> None:
        (tmp_path / "ssh").write_text(f"#!/bin/sh\n{text}\n")
        (tmp_path / "ssh").chmod(0o755)
        monkeypatch.setenv("GIT_SSH_COMMAND", str(tmp_path / "ssh"))
        monkeypatch.setenv("GIT_SSH_VARIANT", "ssh")

    return script


def test_a_repository_is_followed_by_ssh(
    repository: Repository, follow: Follow, ssh: Callable[[str], None], tmp_path: Path
) -> None:
    commit = repository.push({"a.yaml": account("a")})
    ssh(f'echo "$@" >>{tmp_path}/asked; for last; do :; done; eval "$last"')

    assert commit == follow(url=f"ssh://git@h.test:2222{repository.path}").fetch().commit
    assert commit == follow(url=f"git@h.test:{repository.path}").fetch().commit
    assert (
        f"-o SendEnv=GIT_PROTOCOL -p 2222 git@h.test git-upload-pack '{repository.path}'"
        == ((tmp_path / "asked").read_text().splitlines()[0])
    )


@pytest.mark.parametrize(
    ("words", "start"),
    [
        ("git@h.test: Permission denied (publickey).", "--git: the server refused the login. Check the ssh keys"),
        ("Host key verification failed.", "--git: ssh does not know the server's host key"),
    ],
)
def test_ssh_that_cannot_log_in_is_told(follow: Follow, ssh: Callable[[str], None], words: str, start: str) -> None:
    ssh(f"echo '{words}' >&2; exit 255")

    assert refused(follow(url="git@h.test:x")).startswith(start)


def test_ssh_finds_no_terminal_to_ask_at(follow: Follow, ssh: Callable[[str], None], tmp_path: Path) -> None:
    ssh(f"(exec </dev/tty) 2>/dev/null && touch {tmp_path}/asked; env >{tmp_path}/env; exit 255")
    transient(follow(url="git@h.test:x"))

    assert not (tmp_path / "asked").exists()
    assert "GIT_TERMINAL_PROMPT=0" in (tmp_path / "env").read_text()
