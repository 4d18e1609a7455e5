"""Servers that answer with what they were sent: JSON, HTML, headers, redirects, broken HTTP, values of other types.

Does not belong here: what must not be seen afterwards.
"""

import http.client
import json
import threading
from collections.abc import Callable
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any
from urllib.parse import urlsplit


@dataclass
class Asked:
    """One request; `passed_on()` has the real server carry it out, for its status and body."""

    method: str
    path: str
    headers: dict[str, str]
    body: bytes
    target: str | None

    def passed_on(self) -> tuple[int, bytes]:
        if self.target is None:
            return 200, b"{}"
        parts = urlsplit(self.target)
        upstream = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=30)
        try:
            upstream.request(
                self.method, self.path, self.body, {k: v for k, v in self.headers.items() if k.lower() != "host"}
            )
            reply = upstream.getresponse()
            return reply.status, reply.read()
        finally:
            upstream.close()

    @property
    def credential(self) -> str:
        return self.headers.get("Authorization") or self.headers.get("X-Vault-Token") or "none"

    @property
    def all(self) -> str:
        """Everything that was sent, on one line."""
        return f"{self.credential} {self.body.decode(errors='replace')}".replace("\r", " ").replace("\n", " ")


Twist = Callable[[Asked], bytes | None]


def reply(status: int, body: str | bytes, *headers: str, kind: str = "application/json") -> bytes:
    text = body if isinstance(body, bytes) else body.encode()
    lines = [f"HTTP/1.1 {status} Whatever", f"Content-Type: {kind}", f"Content-Length: {len(text)}", *headers]
    return "\r\n".join(lines).encode("latin-1", "replace") + b"\r\nConnection: close\r\n\r\n" + text


class Middleman:
    """`with Middleman(target) as liar:` serves on `liar.url`; `twist` may answer (raw bytes) in the target's stead."""

    def __init__(self, target: str | None = None, twist: Twist | None = None) -> None:
        self.twist: Twist = twist or (lambda asked: None)
        self.asked: list[Asked] = []
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"

            def _handle(self) -> None:
                body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
                asked = Asked(self.command, self.path, dict(self.headers), body, target)
                outer.asked.append(asked)
                raw = outer.twist(asked)
                self.wfile.write(reply(*asked.passed_on()) if raw is None else raw)
                self.close_connection = True

            do_GET = do_PUT = do_POST = do_DELETE = do_LIST = do_PATCH = _handle

            def log_message(self, format: str, *args: object) -> None:
                return

        class Server(ThreadingHTTPServer):
            daemon_threads = True
            request_queue_size = 128  # see CountingProxy

            def handle_error(self, request: Any, client_address: Any) -> None:
                return  # a client that had enough

        self._server = Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def __enter__(self) -> "Middleman":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _errors(status: int) -> Callable[[str], bytes]:
    def answer(echo: str) -> bytes:
        body = json.dumps({"errors": [f"no: {echo}"], "error": {"message": echo, "details": echo}, "message": echo})
        return reply(status, body, f"X-Echo: {echo}", f"WWW-Authenticate: Bearer {echo}")

    return answer


ECHOES: dict[str, Callable[[str], bytes]] = {
    **{f"JSON {status}": _errors(status) for status in (400, 401, 403, 404, 409, 418, 429, 500, 503)},
    "HTML 502": lambda echo: reply(502, f"<html><body>{echo}</body></html>", kind="text/html"),
    "HTML 200": lambda echo: reply(200, f"<html><body>{echo}</body></html>", kind="text/html"),
    "redirect": lambda echo: reply(307, echo, f"Location: http://127.0.0.1:9/{echo.split()[-1]}?t={echo}"),
    "errors as text": lambda echo: reply(400, json.dumps({"errors": echo})),
    "list 400": lambda echo: reply(400, json.dumps([echo])),
    "text 500": lambda echo: reply(500, json.dumps(echo)),
    "list 200": lambda echo: reply(200, json.dumps([echo])),
    "text 200": lambda echo: reply(200, json.dumps(echo)),
    "data is text": lambda echo: reply(200, json.dumps({"data": echo, "auth": echo, "secrets": echo, "enabled": echo})),
    "data of text": lambda echo: reply(
        200,
        json.dumps(
            {
                "data": {
                    "data": echo,
                    "metadata": {"version": echo},
                    "version": echo,
                    "current_version": echo,
                    "versions": {echo: {"deletion_time": echo}},
                    "custom_metadata": echo,
                    "ttl": echo,
                    "num_uses": echo,
                    "options": echo,
                    "type": echo,
                },
                "auth": {"client_token": echo, "lease_duration": echo, "num_uses": echo},
                "enabled": True,
                "createdAt": [echo],
                "secrets": [{"name": "PINATA_LLM_KEY", "id": [echo], "updatedAt": {"x": echo}}],
                "threshold": echo,
                "amount": echo,
            }
        ),
    ),
    "versions as a list": lambda echo: reply(
        200, json.dumps({"data": {"current_version": 1, "versions": [echo], "custom_metadata": [echo]}})
    ),
    "a moment that is none": lambda echo: reply(
        200, json.dumps({"data": {"current_version": 1, "versions": {"1": {"deletion_time": echo}}}})
    ),
    "nested without end": lambda echo: reply(200, "[" * 200_000),
    "infinite numbers": lambda echo: reply(
        200, '{"data":{"ttl":1e999,"version":1e999,"current_version":1e999},"threshold":1e999,"amount":1e999}'
    ),
    "a header without a colon": lambda echo: reply(200, "{}", "X-One: 1", echo, "X-Two: 2"),
    "a header without a name": lambda echo: reply(200, "{}", f": {echo}"),
    "a status line of its own": lambda echo: f"HTTP/1.1 {echo}\r\n\r\n".encode(errors="replace"),
    "no HTTP at all": lambda echo: f"{echo}\r\n\r\n".encode(errors="replace"),
    "less than announced": lambda echo: reply(200, echo).replace(b"Content-Length: ", b"Content-Length: 9"),
    "no gzip": lambda echo: reply(200, echo, "Content-Encoding: gzip"),
    "no chunks": lambda echo: f"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n{echo}\r\n".encode(
        errors="replace"
    ),
    "bytes of no charset": lambda echo: reply(200, b"\xff\xfe\xfa" + echo.encode(), kind="application/json; charset=x"),
}
"""What was sent, sent back in each place where a client might print it."""
