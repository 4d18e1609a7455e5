"""POST /sync: who is let in, and how often that comes to a pass."""

import asyncio
import hashlib
import hmac
from collections.abc import Iterator

import httpx
import pytest
from web_site import Serve, Site

from pulumi_pinata.core.errors import Refused
from pulumi_pinata.core.secret import Secret
from reconciler.web import webhook
from reconciler.web.webhook import MOST, Throttle

KEY = "a webhook's secret, with an ä"


@pytest.fixture
def guarded(site_of: Serve) -> Site:
    return site_of(secret=lambda: Secret(KEY))


def signature(body: bytes, key: str = KEY) -> str:
    return "sha256=" + hmac.new(key.encode(), body, hashlib.sha256).hexdigest()


def test_githubs_signature_is_over_the_body(guarded: Site) -> None:
    body = b'{"ref": "refs/heads/main"}'

    assert (
        401 == guarded.post("/sync", content=body + b" ", headers={"X-Hub-Signature-256": signature(body)}).status_code
    )
    assert [] == guarded.syncs
    assert 202 == guarded.post("/sync", content=body, headers={"X-Hub-Signature-256": signature(body)}).status_code
    assert 1 == len(guarded.syncs)


@pytest.mark.parametrize("header", ["X-Gitlab-Token: {}", "Authorization: Bearer {}", "Authorization: bearer  {}"])
def test_the_secret_itself_is_taken_too(guarded: Site, header: str) -> None:
    name, value = header.format(KEY).split(": ")
    answer = guarded.post("/sync", headers={name.encode(): value.encode()})

    assert (202, 1) == (answer.status_code, len(guarded.syncs))


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Requested-With": "curl"},
        {"X-Gitlab-Token": ""},
        {"X-Gitlab-Token": "wrong"},
        {"Authorization": "Bearer wrong"},
        {"Authorization": "Bearer"},
        {"Authorization": f"Basic {KEY}".encode()},
        {"X-Hub-Signature-256": ""},
        {"X-Hub-Signature-256": "sha256="},
        {"X-Hub-Signature-256": signature(b"", "wrong")},
        {"X-Hub-Signature-256": signature(b"").removeprefix("sha256=")},
        {"X-Hub-Signature-256": f"ä{signature(b'')}".encode()},
        {"X-Hub-Signature": "sha1=" + hmac.new(KEY.encode(), b"", hashlib.sha1).hexdigest()},
        # The first one that is there counts; a right one besides does not help.
        {"X-Hub-Signature-256": "sha256=0", "X-Gitlab-Token": KEY.encode()},
    ],
)
def test_nothing_else_is_let_in(guarded: Site, headers: dict[str, str | bytes]) -> None:
    answer = guarded.post("/sync", headers=headers)

    assert (401, "Bearer") == (answer.status_code, answer.headers["www-authenticate"])
    assert [] == guarded.syncs
    assert KEY not in answer.text


def test_a_new_secret_counts_at_once(site_of: Serve) -> None:
    secrets: Iterator[str] = iter(["old", "new"])
    site = site_of(secret=lambda: Secret(next(secrets)))

    assert 202 == site.post("/sync", headers={"X-Gitlab-Token": "old"}).status_code
    assert 401 == site.post("/sync", headers={"X-Gitlab-Token": "old"}).status_code


def test_a_secret_that_cannot_be_read_lets_nobody_in(site_of: Serve) -> None:
    def unreadable() -> Secret:
        raise Refused("the file /run/secrets/hook is not there.")

    site = site_of(secret=unreadable)
    answer = site.post("/sync", headers={"X-Requested-With": "curl", "X-Gitlab-Token": "x"})

    assert (503, [], False) == (answer.status_code, site.syncs, "/run" in answer.text)


def test_without_a_secret_a_program_of_this_machine_may_ask(site: Site) -> None:
    assert (202, 1) == (site.post("/sync", headers={"X-Requested-With": "curl"}).status_code, len(site.syncs))


@pytest.mark.parametrize(
    "headers",
    [
        {},
        {"X-Requested-With": ""},
        {"X-Requested-With": "a", "Origin": "https://evil.example"},
        {"X-Requested-With": "a", "Origin": "null"},
        {"X-Requested-With": "a", "Sec-Fetch-Site": "cross-site"},
        {"X-Requested-With": "a", "X-Forwarded-For": "127.0.0.1"},
        {"X-Requested-With": "a", "Forwarded": "for=127.0.0.1"},
    ],
)
def test_without_a_secret_neither_web_pages_nor_proxies_may_ask(site: Site, headers: dict[str, str]) -> None:
    assert (403, []) == (site.post("/sync", headers=headers).status_code, site.syncs)


def test_who_is_let_in_while_it_is_stopping_is_told_that_no_pass_is_made(guarded: Site) -> None:
    guarded.board.change(stopping=True)
    answer = guarded.post("/sync", headers={"X-Gitlab-Token": KEY.encode()})

    assert (503, "It is stopping: no pass is made any more.\n") == (answer.status_code, answer.text)
    assert 401 == guarded.post("/sync", headers={"X-Gitlab-Token": "wrong"}).status_code
    assert [] == guarded.syncs


@pytest.mark.parametrize("said", [True, False])
def test_a_body_has_a_bound_whether_its_length_is_said_or_not(guarded: Site, said: bool) -> None:
    body = b"x" * (MOST + 1)
    headers = {"X-Hub-Signature-256": signature(body)}
    content = body if said else iter([body[: MOST // 2], body[MOST // 2 :]])

    try:
        assert 413 == guarded.post("/sync", content=content, headers=headers).status_code
    except httpx.WriteError:
        # The server has closed the connection before all was sent.
        assert not said
    assert [] == guarded.syncs


def test_a_body_up_to_the_bound_is_taken(guarded: Site) -> None:
    body = b"x" * MOST

    assert 202 == guarded.post("/sync", content=body, headers={"X-Hub-Signature-256": signature(body)}).status_code


def test_a_flood_comes_to_one_pass(site_of: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "EVERY", 600.0)
    site = site_of()
    answers = [site.post("/sync", headers={"X-Requested-With": "a"}).status_code for _ in range(30)]

    assert ([202] * 30, 1) == (answers, len(site.syncs))


def test_the_last_of_a_flood_comes_to_a_pass_after_it(site_of: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "EVERY", 0.2)
    site = site_of()
    site.post("/sync", headers={"X-Requested-With": "a"})
    assert site.synced.wait(10)
    site.synced.clear()
    site.post("/sync", headers={"X-Requested-With": "a"})

    assert site.synced.wait(10)
    assert 2 == len(site.syncs)


def test_what_was_asked_for_while_one_is_held_back_is_not_lost() -> None:
    async def asked() -> list[float]:
        loop, calls = asyncio.get_running_loop(), list[float]()
        throttle = Throttle(lambda: calls.append(loop.time()), every=0.05)
        for _ in range(3):
            throttle.ask()
        while len(calls) < 2:
            await asyncio.sleep(0.01)
        await asyncio.sleep(0.1)  # longer than nothing is held back after the second
        throttle.ask()
        return calls

    first, second, third = asyncio.run(asked())
    assert second - first >= 0.05
    assert third - second >= 0.05
