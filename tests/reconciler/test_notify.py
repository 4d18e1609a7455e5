"""Notifications, posted over real sockets to a receiver that answers as it is told."""

import json
import logging
import re
import socket
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from pulumi_pinata.core.errors import Refused
from pulumi_pinata.core.secret import Secret
from reconciler.listeners import notify
from reconciler.listeners.notify import Notifier
from reconciler.loop.events import Event, EventKind

PAGE = Path(__file__).parents[2] / "docs" / "notifications.md"
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=timezone.utc)
TARGET = "/services/T0/B0/s3cr3t-in-path?token=s3cr3t-in-query"
KEY = "s3cr3t-hmac-key"


@dataclass
class Receiver:
    """What came, and what to answer: (status, headers), the last one for ever."""

    url: str = ""
    answers: list[tuple[int, dict[str, str]]] = field(default_factory=lambda: [(200, {})])
    posts: list[tuple[str, dict[str, str], bytes]] = field(default_factory=list)
    open: threading.Event = field(default_factory=threading.Event)
    arrived: threading.Condition = field(default_factory=threading.Condition)

    def take(self, path: str, headers: dict[str, str], body: bytes) -> tuple[int, dict[str, str]]:
        with self.arrived:
            self.posts.append((path, headers, body))
            self.arrived.notify_all()
            answer = self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]
        self.open.wait(30)
        return answer

    def wait(self, count: int) -> None:
        with self.arrived:
            assert self.arrived.wait_for(lambda: len(self.posts) >= count, 30)

    def bodies(self) -> list[dict[str, Any]]:
        return [json.loads(body) for _, _, body in self.posts]


@contextmanager
def receiving() -> Iterator[Receiver]:
    found = Receiver()
    found.open.set()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            status, headers = found.take(self.path, dict(self.headers), body)
            self.send_response(status)
            for name, value in {"Content-Length": "0", **headers}.items():
                self.send_header(name, value)
            self.end_headers()

        do_GET = do_POST

        def log_message(self, format: str, *args: Any) -> None:
            return

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    found.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield found
    finally:
        found.open.set()
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def receiver() -> Iterator[Receiver]:
    with receiving() as found:
        yield found


@dataclass
class Told:
    notifier: Notifier
    results: Counter[str]
    changed: threading.Condition

    def wait(self, **expected: int) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: self.results.total() >= sum(expected.values()), 30)
        assert expected == dict(self.results)


@pytest.fixture
def telling(receiver: Receiver) -> Iterator[Callable[..., Told]]:
    made: list[Told] = []

    def start(**options: Any) -> Told:
        results: Counter[str] = Counter()
        changed = threading.Condition()

        def note(result: str) -> None:
            with changed:
                results[result] += 1
                changed.notify_all()

        url = options.pop("url", lambda: Secret(receiver.url + TARGET))
        values = {"on_result": note, "dice": lambda: 0.0, **options}
        made.append(Told(Notifier(url, **values), results, changed))
        return made[-1]

    yield start
    receiver.open.set()
    for each in made:
        each.notifier.close(5)


def event(account: str | None = "prod", **values: Any) -> Event:
    about = {"path": "secret/pinata/prod", "version": 4, "fingerprint": "fp", "commit": "c1", "run": "r1"}
    return Event(
        EventKind.KEY_CHANGED, NOW, **{"message": "a new key", "fleet": "shop", "account": account, **about, **values}
    )


def test_an_event_is_posted_with_text_and_data(receiver: Receiver, telling: Callable[..., Told]) -> None:
    told = telling()
    told.notifier.told([event()])
    told.wait(sent=1)

    ((path, headers, _),) = receiver.posts
    (post,) = receiver.bodies()
    assert (TARGET, "application/json") == (path, headers["Content-Type"])
    assert "shop/prod: key-changed: a new key" == post["text"]
    assert headers["X-Pinata-Delivery"] == post["delivery"]
    assert "X-Pinata-Signature" not in headers
    assert [
        {
            "kind": "key-changed",
            "at": "2026-11-24T12:00:00+00:00",
            "fleet": "shop",
            "account": "prod",
            "path": "secret/pinata/prod",
            "version": 4,
            "fingerprint": "fp",
            "commit": "c1",
            "run": "r1",
            "message": "a new key",
        }
    ] == post["events"]


def verify() -> Callable[..., list[dict[str, Any]]]:
    """As it stands in the page."""
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(), re.DOTALL)
    names: dict[str, Any] = {}
    exec(code, names)
    found: Callable[..., list[dict[str, Any]]] = names["verified"]
    return found


def test_a_signed_post_is_verified_by_the_code_in_the_page_and_once_only(
    receiver: Receiver, telling: Callable[..., Told]
) -> None:
    told = telling(key=lambda: Secret(KEY))
    told.notifier.told([event()])
    told.wait(sent=1)
    ((_, headers, body),) = receiver.posts
    seen: set[str] = set()
    signature = headers["X-Pinata-Signature"]

    assert ["prod"] == [each["account"] for each in verify()(KEY, signature, body, seen)]
    assert [] == verify()(KEY, signature, body, seen)


@pytest.mark.parametrize("what", ["key", "body", "time", "old", "nothing"])
def test_what_was_tampered_with_is_not_verified(what: str) -> None:
    sent = int(time.time()) - (301 if what == "old" else 0)
    content = notify.body([event()], "d1")
    signature = notify.signature(content, Secret("other" if what == "key" else KEY), sent)
    if what == "time":
        signature = signature.replace(str(sent), str(sent + 1))
    if what == "nothing":
        signature = ""
    with pytest.raises(ValueError, match="not genuine"):
        verify()(KEY, signature, content + b" " if what == "body" else content, set())


def test_a_post_that_fails_is_tried_again_as_the_same_delivery_at_another_time(
    receiver: Receiver, telling: Callable[..., Told]
) -> None:
    receiver.answers = [(500, {}), (429, {"Retry-After": "1"}), (408, {}), (200, {})]
    told = telling(key=lambda: Secret(KEY))
    began = time.monotonic()
    told.notifier.told([event()])
    told.wait(sent=1)

    assert time.monotonic() - began >= 1
    assert 4 == len(receiver.posts)
    assert 1 == len({headers["X-Pinata-Delivery"] for _, headers, _ in receiver.posts})
    assert 2 <= len({headers["X-Pinata-Signature"] for _, headers, _ in receiver.posts})


def test_tries_are_bounded(receiver: Receiver, telling: Callable[..., Told]) -> None:
    receiver.answers = [(503, {})]
    told = telling()
    told.notifier.told([event()])
    told.wait(failed=1)

    assert 6 == len(receiver.posts)


@pytest.mark.parametrize("status", [301, 307, 400, 403, 404, 410])
def test_a_refusal_is_final_and_a_redirect_is_not_followed(
    receiver: Receiver, telling: Callable[..., Told], status: int
) -> None:
    receiver.answers = [(status, {"Location": f"{receiver.url}/elsewhere"})]
    told = telling()
    told.notifier.told([event()])
    told.wait(failed=1)

    assert [TARGET] == [path for path, _, _ in receiver.posts]


def test_a_receiver_that_comes_back_gets_it_at_its_new_url(receiver: Receiver, telling: Callable[..., Told]) -> None:
    urls = iter(["http://127.0.0.1:1/gone"])
    told = telling(url=lambda: Secret(next(urls, receiver.url + "/new")))
    told.notifier.told([event()])
    told.wait(sent=1)

    assert ["/new"] == [path for path, _, _ in receiver.posts]


def test_a_thousand_events_of_a_pass_are_a_few_posts(receiver: Receiver, telling: Callable[..., Told]) -> None:
    told = telling()
    told.notifier.told([event(f"a{number}") for number in range(1000)])
    told.wait(sent=1000)

    first, second = receiver.bodies()
    assert [500, 500] == [len(first["events"]), len(second["events"])]
    assert ["shop/a0: key-changed: a new key", "and 480 more"] == [first["text"].split("\n")[i] for i in (0, -1)]
    assert 21 == len(first["text"].split("\n"))


def test_telling_never_waits_and_what_is_too_much_is_dropped(
    receiver: Receiver, telling: Callable[..., Told], caplog: pytest.LogCaptureFixture
) -> None:
    receiver.open.clear()
    told = telling(capacity=10)
    told.notifier.told([event()])
    receiver.wait(1)
    began = time.monotonic()
    told.notifier.told([event() for _ in range(25)])
    assert time.monotonic() - began < 8  # the receiver is waited for as long as 10
    told.wait(dropped=15)
    receiver.open.set()
    told.wait(dropped=15, sent=11)

    assert ["15 notification(s) dropped: no more of them can wait to be sent"] == caplog.messages


def test_the_end_sends_what_is_waiting(receiver: Receiver, telling: Callable[..., Told]) -> None:
    told = telling()
    told.notifier.told([event("a"), event("b")])
    told.notifier.close(10)

    assert {"sent": 2} == dict(told.results)


def test_the_end_comes_in_time_although_the_receiver_hangs(receiver: Receiver, telling: Callable[..., Told]) -> None:
    receiver.open.clear()
    told = telling()
    told.notifier.told([event("a")])
    receiver.wait(1)
    told.notifier.told([event("b"), event("c")])
    began = time.monotonic()
    told.notifier.close(0.2)

    assert time.monotonic() - began < 8  # the post itself waits for 10
    assert 2 == told.results["dropped"]
    told.notifier.told([event("d")])
    assert 3 == told.results["dropped"]


def test_the_end_does_not_wait_for_a_long_retry(receiver: Receiver, telling: Callable[..., Told]) -> None:
    receiver.answers = [(429, {"Retry-After": "50"})]
    told = telling()
    told.notifier.told([event("a")])
    receiver.wait(1)
    began = time.monotonic()
    told.notifier.close(40)

    assert time.monotonic() - began < 20
    assert {"failed": 1} == dict(told.results)


@pytest.mark.parametrize(
    "url",
    [
        "http://example.org/s3cr3t",
        "ftp://example.org/s3cr3t",
        "s3cr3t",
        "https:///s3cr3t",
        "https://user:s3cr3t@example.org/",
        "https://example.org/s3cr3t path",
        "https://example.org:s3cr3t/",
        "https://[s3cr3t/",
        "https://example.org/s3cr3t\r\nX: y",
    ],
)
def test_a_url_that_is_none_or_not_encrypted_is_refused_and_not_quoted(url: str) -> None:
    with pytest.raises(Refused) as caught:
        notify.checked(url)

    assert "s3cr3t" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "https://hooks.slack.com/services/T/B/x",
        "https://example.org:8443?key=v&b=%2F",
        "http://[::1]:80/a",
        "http://localhost/a",
    ],
)
def test_a_url_is_taken_as_it_is(url: str) -> None:
    assert url == notify.checked(url)


def test_slack_is_sent_text_alone_and_none_of_its_markup() -> None:
    content = json.loads(notify.body([event("<!channel>", message="a & b\n<http://x|y>")], "d1", slack=True))

    assert {"text": "shop/&lt;!channel&gt;: key-changed: a &amp; b &lt;http://x|y&gt;"} == content


def test_a_long_message_is_cut_in_the_text_only() -> None:
    content = json.loads(notify.body([event(message="x" * 5000)], "d1"))

    assert (300, 5000) == (len(content["text"]), len(content["events"][0]["message"]))


def test_a_proxy_is_not_asked_for_this_machine(
    receiver: Receiver, telling: Callable[..., Told], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    told = telling()
    told.notifier.told([event()])
    told.wait(sent=1)


def test_a_proxy_is_asked_for_the_host_and_sees_nothing_of_the_path(
    telling: Callable[..., Told], monkeypatch: pytest.MonkeyPatch
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        seen: list[bytes] = []

        def refuse() -> None:
            for _ in range(6):
                connection, _ = server.accept()
                with connection:
                    seen.append(connection.recv(65536))
                    connection.sendall(b"HTTP/1.1 403 Forbidden\r\nContent-Length: 0\r\n\r\n")

        thread = threading.Thread(target=refuse)
        thread.start()
        monkeypatch.setenv("HTTPS_PROXY", f"http://127.0.0.1:{server.getsockname()[1]}")
        told = telling(url=lambda: Secret("https://hooks.example" + TARGET), key=lambda: Secret(KEY))
        told.notifier.told([event()])
        told.wait(failed=1)
        thread.join(30)

    assert [b"CONNECT hooks.example:443 HTTP/1.1"] * 6 == [each.split(b"\r\n")[0] for each in seen]
    assert not any(b"s3cr3t" in each for each in seen)


@pytest.mark.parametrize("answer", [200, 307, 404, 503])
def test_no_log_of_any_library_holds_the_url_or_the_key(
    receiver: Receiver, telling: Callable[..., Told], caplog: pytest.LogCaptureFixture, answer: int
) -> None:
    caplog.set_level(logging.DEBUG)
    for name in ("httpx", "httpcore"):
        caplog.set_level(logging.DEBUG, logger=name)
    receiver.answers = [(answer, {"X-Echo": "from the server", "Location": "/x", "Set-Cookie": "a=b"})]
    told = telling(key=lambda: Secret(KEY))
    told.notifier.told([event()])
    told.wait(**{"sent" if answer == 200 else "failed": 1})

    assert "HTTP Request: POST http://127.0.0.1" in caplog.text
    assert "s3cr3t" not in caplog.text


def test_a_reference_that_leads_nowhere_is_a_failure_in_words(
    telling: Callable[..., Told], caplog: pytest.LogCaptureFixture
) -> None:
    def missing() -> Secret:
        raise Refused("there is no variable NOTIFY.", about="--notify")

    told = telling(url=missing)
    told.notifier.told([event()])
    told.wait(failed=1)

    assert ["1 notification(s) failed: --notify: there is no variable NOTIFY."] == caplog.messages


def test_a_defect_ends_neither_the_thread_nor_shows_its_text(
    receiver: Receiver, telling: Callable[..., Told], caplog: pytest.LogCaptureFixture
) -> None:
    urls: list[Callable[[], Secret]] = [lambda: Secret("")]
    told = telling(url=lambda: urls.pop()() if urls else Secret(receiver.url))
    told.notifier.told([event("a")])
    told.wait(failed=1)
    told.notifier.told([event("b")])
    told.wait(failed=1, sent=1)

    assert ["1 notification(s) failed: an unexpected ValueError came up"] == caplog.messages
