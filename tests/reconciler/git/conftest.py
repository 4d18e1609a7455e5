"""A served repository, and sources that follow it, where nothing of this machine's git configuration counts."""

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
from git_following import Follow
from git_server import GitServer, Repository, git_environment

from reconciler.git.source import GitSource


@pytest.fixture(autouse=True)
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    for name in [name for name in os.environ if name.startswith(("GIT_", "SSH_"))]:
        monkeypatch.delenv(name)
    for name, value in git_environment(tmp_path / "home").items():
        if not name.startswith(("GIT_AUTHOR", "GIT_COMMITTER")):
            monkeypatch.setenv(name, value)
    return tmp_path / "home"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[GitServer]:
    with GitServer(tmp_path / "served") as server:
        yield server


@pytest.fixture
def repository(server: GitServer) -> Repository:
    return server.repository("fleet.git")


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "checkouts").mkdir()
    return tmp_path / "checkouts"


@pytest.fixture
def follow(server: GitServer, folder: Path) -> Iterator[Follow]:
    sources: list[GitSource] = []

    def make(ref: str = "main", *paths: str, url: str | None = None, **options: object) -> GitSource:
        options = {"folder": folder, "timeout": 20.0, **options}
        sources.append(GitSource(url or server.url("fleet.git"), ref, paths, **options))  # type: ignore[arg-type]
        return sources[-1]

    yield make
    for source in sources:
        source.close()
    assert [] == list(folder.iterdir())
