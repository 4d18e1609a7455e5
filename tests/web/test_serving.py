"""The server itself: addresses, and clients that hold connections."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import pytest
from web_site import Serve, Site, served

from pulumi_pinata.core.errors import Refused
from pulumi_pinata.core.secret import Secret
from pulumi_pinata.sandbox.openbao_files import free_port
from reconciler.web import serving, webhook
from reconciler.web.serving import serve
from reconciler.web.strict import canonical


@contextmanager
def connected(site: Site, text: bytes = b"") -> Iterator[socket.socket]:
    port = int(site.url.rpartition(":")[2])
    with socket.create_connection(("127.0.0.1", port), timeout=10) as client:
        client.sendall(text)
        yield client


def received(client: socket.socket) -> int:
    """Reads until the server has closed it; how many bytes came."""
    count = 0
    try:
        while chunk := client.recv(1 << 20):
            count += len(chunk)
    except ConnectionResetError:
        pass
    return count


def answer(client: socket.socket) -> bytes:
    return client.recv(65536)


def test_nothing_is_left_when_the_block_ends() -> None:
    before = set(threading.enumerate())
    port = free_port()
    with served(port=port) as site:
        assert 200 == site.get("/healthz").status_code
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", port), timeout=5)
    assert set() == set(threading.enumerate()) - before


def test_an_idle_connection_does_not_hold_up_the_end() -> None:
    with ExitStack() as clients:
        with served() as site:
            clients.enter_context(connected(site, b"GET /healthz HTTP/1.1\r\nHost: loc"))
            assert 200 == site.get("/healthz").status_code
            started = time.monotonic()
        assert time.monotonic() - started < 8  # it would wait for 10


def test_a_port_in_use_is_refused_with_what_to_do(site: Site) -> None:
    port = int(site.url.rpartition(":")[2])
    words = f"127.0.0.1:{port} cannot be listened on: Address already in use"
    with pytest.raises(Refused, match=words) as refused, serve(None, "127.0.0.1", port):  # type: ignore[arg-type]
        pass
    assert "--http" == refused.value.about
    assert refused.value.hint


@pytest.mark.parametrize(
    ("host", "port"), [("192.0.2.7", 0), ("no.such.host.invalid", 0), ("127.0.0.1", 65536), ("a" * 70 + ".example", 0)]
)
def test_an_address_that_is_none_is_refused(host: str, port: int) -> None:
    with pytest.raises(Refused) as refused, serve(None, host, port):  # type: ignore[arg-type]  # not reached
        pass
    assert "--http" == refused.value.about


@pytest.mark.parametrize("host", ["localhost", "::1"])
def test_other_loopback_addresses_can_be_named(host: str) -> None:
    with served(host) as site:
        assert site.url.startswith(f"http://[{host}]:" if ":" in host else f"http://{host}:")
        assert 200 == site.get("/healthz").status_code


@pytest.mark.parametrize(
    ("given", "name"),
    [
        ("LocalHost.", "localhost"),
        ("[::1]", "::1"),
        ("0:0::1", "::1"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("a.b", "a.b"),
    ],
)
def test_a_host_has_one_spelling(given: str, name: str) -> None:
    assert name == canonical(given)


def test_a_client_that_sends_half_a_request_is_put_off(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "PATIENCE", 0.3)
    with connected(site, b"GET / HTTP/1.1\r\nHost: localhost\r\n") as client:
        stop = threading.Event()

        def drip() -> None:
            while not stop.wait(0.05):
                try:
                    client.sendall(b"A: b\r\n")
                except OSError:
                    return

        dripper = threading.Thread(target=drip)
        dripper.start()
        try:
            assert 0 == received(client)
        finally:
            stop.set()
            dripper.join()


@pytest.mark.parametrize(
    ("text", "answers"),
    [
        (b"", 0),
        (b"POST /sync HTTP/1.1\r\nHost: localhost\r\nX-Hub-Signature-256: a\r\nContent-Length: 100\r\n\r\nhalf", 0),
        (b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\nGET", 1),
    ],
)
def test_a_client_that_does_not_go_on_is_put_off(
    site_of: Serve, monkeypatch: pytest.MonkeyPatch, text: bytes, answers: int
) -> None:
    monkeypatch.setattr(serving, "PATIENCE", 3.0 if answers else 0.3)  # until the answer, too
    with connected(site_of(secret=lambda: Secret("a")), text) as client:
        assert answers == (received(client) > 0)


def test_a_client_that_does_not_take_its_answer_is_put_off(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    size = 30_000_000  # more than the kernel holds for both ends
    lost = threading.Event()
    whole = serving._Protocol.connection_lost

    def noticed(protocol: serving._Protocol, error: Exception | None) -> None:
        whole(protocol, error)
        lost.set()

    monkeypatch.setattr(serving._Protocol, "connection_lost", noticed)
    monkeypatch.setattr(serving, "PATIENCE", 0.3)
    site.metrics = lambda: (b"x" * size, "text/plain")
    with connected(site, b"GET /metrics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n") as client:
        assert lost.wait(10)
        assert received(client) < size


def test_idle_connections_keep_nobody_out(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "CONNECTIONS", 5)
    with served() as site, ExitStack() as stack:
        idle = [stack.enter_context(connected(site)) for _ in range(5)]
        for _ in range(3):
            assert 200 == site.get("/healthz").status_code
        assert 0 == received(idle[0])
        idle[4].sendall(b"GET /healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert answer(idle[4]).startswith(b"HTTP/1.1 200 ")


def test_many_more_connections_than_the_bound_do_not_add_up(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "CONNECTIONS", 5)
    with served() as site, ExitStack() as stack:
        held = [stack.enter_context(connected(site)) for _ in range(40)]
        assert [0] * 35 == [received(each) for each in held[:35]]
        assert 200 == site.get("/healthz").status_code


def test_garbage_in_a_body_ends_the_connection(site_of: Serve) -> None:
    site = site_of(secret=lambda: Secret("a"))
    head = b"POST /sync HTTP/1.1\r\nHost: localhost\r\nX-Hub-Signature-256: a\r\nTransfer-Encoding: chunked\r\n\r\n"
    with connected(site, head + b"zz\r\n") as client:
        assert answer(client).startswith(b"HTTP/1.1 400 ")
        assert 0 == received(client)


def test_bodies_that_do_not_come_are_bounded_in_number(site_of: Serve, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(webhook, "BODIES", 2)
    site = site_of(secret=lambda: Secret("a"))
    head = b"POST /sync HTTP/1.1\r\nHost: localhost\r\nX-Hub-Signature-256: a\r\nContent-Length: 9\r\n"
    head += b"Expect: 100-continue\r\n\r\n"
    with ExitStack() as stack:
        for _ in range(2):
            # "Continue" comes when the application begins to read.
            assert answer(stack.enter_context(connected(site, head))).startswith(b"HTTP/1.1 100 ")
        further = site.post("/sync", content=b"x", headers={"X-Hub-Signature-256": "a"})
        bearer = site.post("/sync", headers={"Authorization": "Bearer a"})

    assert (503, 202) == (further.status_code, bearer.status_code)


@pytest.mark.parametrize(
    ("text", "status"),
    [
        (b"garbage\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nHost: evil.example\r\n\r\n", b"400"),
        (b"GET / HTTP/1.0\r\n\r\n", b"400"),
        (b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", b"400"),
        (b"OPTIONS * HTTP/1.1\r\nHost: localhost\r\n\r\n", b"404"),
        (b"CONNECT evil.example:443 HTTP/1.1\r\nHost: localhost\r\n\r\n", b"404"),
        (b"TRACE / HTTP/1.1\r\nHost: localhost\r\nCookie: a\r\n\r\n", b"405"),
        (b"GET /%ff%fe HTTP/1.1\r\nHost: localhost\r\n\r\n", b"404"),
        (b"GET /\xff HTTP/1.1\r\nHost: localhost\r\n\r\n", b"400"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nA: " + b"x" * 70_000, b"400"),
        (b"POST /sync HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab", b"400"),
        (b"PUT / HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: gzip\r\n\r\n", b"400"),
        (b"POST /sync HTTP/1.1\r\nHost: localhost\r\nContent-Length: -1\r\n\r\n", b"400"),
        (b"GET http://evil.example/ HTTP/1.1\r\nHost: localhost\r\n\r\n", b"404"),
        (b"GET /../../etc/passwd HTTP/1.1\r\nHost: localhost\r\n\r\n", b"404"),
        (b"GET /assets/../app.py HTTP/1.1\r\nHost: localhost\r\n\r\n", b"404"),
        (b"GET /assets/%00 HTTP/1.1\r\nHost: localhost\r\n\r\n", b"404"),
        (b"GET /api/accounts/%0d%0aSet-Cookie:a=b HTTP/1.1\r\nHost: localhost\r\n\r\n", b"404"),
        (b"GET / HTTP/1.1\r\nHost: localhost\r\nConnection: upgrade\r\nUpgrade: websocket\r\n\r\n", b"200"),
    ],
)
def test_odd_requests_get_a_plain_answer(site: Site, text: bytes, status: bytes) -> None:
    with connected(site, text) as client:
        got = answer(client)

    assert status == got.split(b" ")[1]
    assert b"x-content-type-options: nosniff\r\n" in got.lower()
    assert b"set-cookie" not in got.lower()
    assert 200 == site.get("/healthz").status_code
