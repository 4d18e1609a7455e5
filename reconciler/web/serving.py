"""An ASGI application on a port, in a thread, with bounds on what clients may hold: sockets, memory, time."""

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.h11_impl import H11Protocol

from pulumi_pinata.core.errors import Refused
from reconciler.web.strict import HEADERS

CONNECTIONS = 128  # the loop needs file descriptors too: beyond this, the longest idle connection is closed
PATIENCE = 20.0  # seconds for a request to arrive, to be answered, and for its answer to be taken
_BACKLOG = 128
_IDLE = 5  # seconds that a connection is kept for a next request
_HEADERS = 16 * 1024  # bytes of a request's head
_START = 10.0  # seconds
_TEXT = "This is no HTTP/1.1 request.\n"
_PLAIN = {"Content-Type": "text/plain", "Content-Length": str(len(_TEXT)), "Cache-Control": "no-store", **HEADERS}
_HEAD = [f"{name}: {value}" for name, value in {**_PLAIN, "Connection": "close"}.items()]
_BAD_REQUEST = "\r\n".join(["HTTP/1.1 400 Bad Request", *_HEAD, "", _TEXT]).encode()


@contextmanager
def serve(app: ASGIApp, host: str, port: int) -> Iterator[str]:
    """Serve until the block ends; gives the URL, without a slash at its end. Port 0 is a free one.

    Raises Refused when the address cannot be listened on.
    """
    listener = _listener(host, port)
    shown = f"[{host}]" if ":" in host else host
    server = _Server(app)
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="http", daemon=True)
    try:
        thread.start()
        if not server.ready.wait(_START):
            raise Refused("the HTTP server did not start.", about="--http", hint="See the log.")
        yield f"http://{shown}:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        thread.join(_START)
        listener.close()


def _listener(host: str, port: int) -> socket.socket:
    about = {"about": "--http"}
    if not 0 <= port <= 65535:
        raise Refused(f"{port} is no port.", hint="Name one from 1 to 65535, or 0 for a free one.", **about)
    listener = None
    try:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
        # IPv4 first: that is where a client looks for localhost if it looks in one place only.
        family, _, _, _, address = min(found, key=lambda each: each[0] is not socket.AF_INET)
        # asyncio switches Nagle's algorithm off only for sockets that name TCP; else each reply takes 40 ms.
        listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(_BACKLOG)
    except (OSError, UnicodeError) as error:
        if listener:
            listener.close()
        why = (error.strerror if isinstance(error, OSError) else None) or "that is no host name"
        hint = "Name an address of this machine and a port that no other program has, such as 127.0.0.1:8080."
        raise Refused(f"{host}:{port} cannot be listened on: {why}.", hint=hint, **about) from None
    return listener


class _Protocol(H11Protocol):
    """uvicorn's HTTP/1.1, but no client can hold a connection without getting on.

    uvicorn itself bounds the wait for a next request only, not that for the rest of one.
    """

    _deadline: asyncio.TimerHandle | None = None
    _since = 0.0

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn
        super().connection_made(transport)
        self._wait_anew()
        if len(self.connections) > CONNECTIONS:
            # Not the newest: whoever holds all connections and sends nothing would keep everybody else out.
            idle = [each for each in self.connections if isinstance(each, _Protocol) and each._is_idle()]
            min(idle, key=lambda each: each._since).transport.abort()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._deadline:
            self._deadline.cancel()
        super().connection_lost(exc)

    def on_response_complete(self) -> None:
        self._wait_anew()
        super().on_response_complete()

    def send_400_response(self, msg: str) -> None:
        if self.cycle is None or self.cycle.response_complete or not self.cycle.response_started:
            # By hand: uvicorn's own has none of the headers that every answer here has.
            self.transport.write(_BAD_REQUEST)
            self.transport.close()
        else:
            # Garbage after a request whose answer is under way.
            self.transport.abort()

    def _is_idle(self) -> bool:
        return not self.transport.is_closing() and (self.cycle is None or self.cycle.response_complete)

    def _wait_anew(self) -> None:
        self._since = self.loop.time()
        if self._deadline:
            self._deadline.cancel()
        self._deadline = self.loop.call_later(PATIENCE, self.transport.abort)


class _Server(uvicorn.Server):
    """uvicorn that tells when it serves."""

    def __init__(self, app: ASGIApp) -> None:
        settings: dict[str, Any] = {
            "http": _Protocol,
            "ws": "none",
            "loop": "asyncio",
            "lifespan": "off",
            "proxy_headers": False,
            "server_header": False,
            "access_log": False,
            "log_config": None,
            "log_level": "error",  # a client that sends garbage would fill the log with warnings
            "backlog": _BACKLOG,
            "timeout_keep_alive": _IDLE,
            "timeout_graceful_shutdown": 1,
            "h11_max_incomplete_event_size": _HEADERS,
        }
        super().__init__(uvicorn.Config(app, **settings))
        self.ready = threading.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.ready.set()
