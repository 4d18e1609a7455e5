"""POST /sync: who may ask for a pass now, and how often that is passed on."""

import asyncio
import hashlib
import hmac
from collections.abc import Callable

from starlette.concurrency import run_in_threadpool
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response

from pulumi_pinata.core.errors import PinataError
from pulumi_pinata.core.secret import Secret
from reconciler.web.strict import is_loopback

MOST = 1024 * 1024  # bytes of a body
PATIENCE = 10.0  # seconds for a body to arrive
BODIES = 16  # that are read at the same time: together with MOST, this bounds the memory
EVERY = 2.0  # seconds between two syncs that are passed on
_PROXIED = ("forwarded", "x-forwarded-for", "x-real-ip", "via")


class Webhook:
    """Passes on who proves to know the secret: by GitHub's signature, GitLab's token or a bearer token.

    The secret is asked for at each call, so that a new one counts at once. Without one (None), only programs of this
    machine may ask; the header that they must send is one that a web page cannot add to a request to another origin.
    """

    def __init__(
        self, sync: Callable[[], None], secret: Callable[[], Secret] | None, stopping: Callable[[], bool]
    ) -> None:
        self._secret = secret
        self._stopping = stopping
        self._throttle = Throttle(sync, EVERY)
        self._bodies = asyncio.Semaphore(BODIES)

    async def answer(self, request: Request) -> Response:
        """202 when the sync was passed on. 401, 403, 408, 413 and 503 say in a line why it was not."""
        if self._secret is None:
            _check_local(request)
        else:
            await self._check_proof(request, await _read(self._secret))
        if self._stopping():
            raise HTTPException(503, "It is stopping: no pass is made any more.\n")
        self._throttle.ask()
        return PlainTextResponse("a pass is asked for\n", 202)

    async def _check_proof(self, request: Request, secret: bytes) -> None:
        headers = request.headers
        if (given := headers.get("x-hub-signature-256")) is not None:
            wanted = b"sha256=" + hmac.new(secret, await self._body(request), hashlib.sha256).hexdigest().encode()
        elif (given := headers.get("x-gitlab-token")) is not None:
            wanted = secret
        else:
            scheme, _, given = headers.get("authorization", "").partition(" ")
            given, wanted = (given.strip() if scheme.lower() == "bearer" else ""), secret
        # latin-1 is how the server made text of the header's bytes.
        if not hmac.compare_digest(given.encode("latin-1"), wanted):
            raise HTTPException(401, "The webhook's secret is not proven.\n", {"WWW-Authenticate": "Bearer"})

    async def _body(self, request: Request) -> bytes:
        if self._bodies.locked():
            raise HTTPException(503, "Too many bodies are being read.\n", {"Retry-After": "1", "Connection": "close"})
        async with self._bodies:
            return await _body(request)


class Throttle:
    """Passes a call on at once, but the next ones of `every` seconds together, at the end of these.

    Works in the event loop's thread; `call` must not wait.
    """

    def __init__(self, call: Callable[[], None], every: float) -> None:
        self._call = call
        self._every = every
        self._free_at = 0.0
        self._due: asyncio.TimerHandle | None = None

    def ask(self) -> None:
        """Have it called soon."""
        loop = asyncio.get_running_loop()
        if self._due is not None:
            return
        if loop.time() >= self._free_at:
            self._pass_on()
        else:
            self._due = loop.call_at(self._free_at, self._pass_on)

    def _pass_on(self) -> None:
        self._due = None
        self._free_at = asyncio.get_running_loop().time() + self._every
        self._call()


def _check_local(request: Request) -> None:
    if not (request.client and is_loopback(request.client.host)):
        raise HTTPException(403, "Without a webhook secret only this machine may ask: see `run --webhook-secret`.\n")
    headers = request.headers
    # Behind a proxy on this machine, every peer is on loopback.
    if any(name in headers for name in _PROXIED):
        raise HTTPException(403, "Requests through a proxy need a webhook secret: see `run --webhook-secret`.\n")
    if "origin" in headers or headers.get("sec-fetch-site", "none") != "none":
        raise HTTPException(403, "A web page may not ask.\n")
    if not headers.get("x-requested-with"):
        raise HTTPException(403, "Without a webhook secret the header X-Requested-With is needed (any value).\n")


async def _read(secret: Callable[[], Secret]) -> bytes:
    try:
        return (await run_in_threadpool(secret)).reveal().encode()
    except PinataError:
        # Its text names a file or variable of this machine: for the log, not for whoever calls.
        raise HTTPException(503, "The webhook secret cannot be read here now.\n") from None


async def _body(request: Request) -> bytes:
    length = request.headers.get("content-length", "0")
    if not length.isdecimal() or int(length[:20]) > MOST:
        raise HTTPException(413, f"The body may have {MOST} bytes.\n")
    try:
        return await asyncio.wait_for(_bounded(request), PATIENCE)
    except (asyncio.TimeoutError, TimeoutError):
        raise HTTPException(408, "The body did not arrive.\n", {"Connection": "close"}) from None
    except ClientDisconnect:
        raise HTTPException(400, "The body ended early.\n") from None


async def _bounded(request: Request) -> bytes:
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > MOST:
            raise HTTPException(413, f"The body may have {MOST} bytes.\n", {"Connection": "close"})
    return bytes(body)
