"""A reverse proxy in front of OpenBao that lists the calls made through it, and can fail them on request."""

import http.client
import threading
from collections.abc import Callable
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from urllib.parse import urlsplit

Fault = Callable[[str, str], int | None]


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    # Of many that connect at once, the kernel drops those beyond this (its default is 5); they try again after 1 s.
    request_queue_size = 128


class CountingProxy:
    """`with CountingProxy(address) as proxy:` listens on `proxy.url`.

    `fault(method, path)` may answer with a status in Vault's stead, before the call is passed on; a negative status
    passes the call on, and then closes the connection without a reply.
    """

    def __init__(self, target: str) -> None:
        parts = urlsplit(target)
        self.calls: list[str] = []
        self.fault: Fault = lambda method, path: None
        outer = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def _pass_on(self) -> None:
                path = self.path.removeprefix("/v1/")
                outer.calls.append(f"{self.command} {path}")
                length = int(self.headers.get("Content-Length") or 0)
                body = self.rfile.read(length) if length else None
                status = outer.fault(self.command, path)
                if status is not None and status > 0:
                    self._answer(status, b'{"errors":["injected"]}')
                    return
                upstream = http.client.HTTPConnection(str(parts.hostname), parts.port, timeout=30)
                try:
                    headers = {k: v for k, v in self.headers.items() if k.lower() != "host"}
                    upstream.request(self.command, self.path, body, headers)
                    reply = upstream.getresponse()
                    answer = reply.read()
                finally:
                    upstream.close()
                if status is not None:
                    self.close_connection = True
                    return
                self._answer(reply.status, answer)

            def _answer(self, status: int, body: bytes) -> None:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            do_GET = do_PUT = do_POST = do_DELETE = do_LIST = do_PATCH = _pass_on

            def log_message(self, format: str, *args: object) -> None:
                return

        self._server = _Server(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}"

    def clear(self) -> None:
        self.calls.clear()
        self.fault = lambda method, path: None

    def __enter__(self) -> "CountingProxy":
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()
