"""Faults on the wire: waits, replies that never come, effects that come late; which request: faults.py."""

import asyncio
from collections.abc import Callable

from starlette.requests import Request
from starlette.responses import HTMLResponse, Response
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from uvicorn.protocols.http.h11_impl import H11Protocol

from pulumi_pinata.sandbox.directory import Holder
from pulumi_pinata.sandbox.faults import Fault, FaultKind
from pulumi_pinata.sandbox.replies import ApiError, bearer
from pulumi_pinata.sandbox.state import SandboxState
from pulumi_pinata.sandbox.variants import ErrorShape

CLOSE = "pulumi_pinata.close"
CONTROL = "/_sandbox/"
_PAGE = "<!doctype html><html><head><title>{0}</title></head><body><h1>{0}</h1></body></html>"


class ClosableProtocol(H11Protocol):
    """uvicorn's HTTP/1.1 with one ASGI extension: `scope["extensions"][CLOSE]()` closes the connection."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn
        """Give every request of this connection the means to close it."""
        super().connection_made(transport)
        inner = self.app

        async def closable(scope: Scope, receive: Receive, send: Send) -> None:
            extensions = {**(scope.get("extensions") or {}), CLOSE: transport.close}
            await inner({**scope, "extensions": extensions}, receive, send)

        self.app = closable


class FaultyWire:
    """ASGI middleware that logs each call and lets it meet its fate; the control routes pass untouched."""

    def __init__(self, app: ASGIApp, state: SandboxState) -> None:
        self._app = app
        self._state = state
        self._late: set[asyncio.Task[None]] = set()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] != "http" or scope["path"].startswith(CONTROL):
            await self._app(scope, receive, send)
            return
        holder = self._holder(scope)
        account = holder.name if holder else None
        method, path = scope["method"], scope["path"]
        seq = self._state.calls.arrived(account=account, method=method, path=path)

        async def logged_send(message: Message) -> None:
            if message["type"] == "http.response.start":
                self._state.calls.answered(seq, message["status"])
            await send(message)

        fate = self._state.faults.fate_of(method=method, path=path, account=account)
        if fate.latency and not await self._waited(fate.latency):
            await _close(scope, receive)
        elif fate.fault is None:
            await self._app(scope, receive, logged_send)
        elif fate.fault.kind in {FaultKind.STATUS, FaultKind.HTML}:
            await _refusal(fate.fault, scope["path"], holder)(scope, receive, logged_send)
        else:
            await self._lose_reply(fate.fault, scope, receive)

    async def end_late_effects(self) -> None:
        """Cancel the effects that have not come yet; for the shutdown."""
        for task in self._late:
            task.cancel()
        await asyncio.gather(*self._late, return_exceptions=True)

    def _holder(self, scope: Scope) -> Holder | None:
        token = bearer(Request(scope))
        return self._state.directory.by_jwt(token) or self._state.directory.by_key(token)

    async def _waited(self, seconds: float) -> bool:
        try:
            await asyncio.wait_for(self._state.stopping.wait(), seconds)
        except asyncio.TimeoutError:
            return True
        return False

    async def _lose_reply(self, fault: Fault, scope: Scope, receive: Receive) -> None:
        body = await Request(scope, receive).body()
        if fault.kind is FaultKind.LOST_AFTER:
            await self._take_effect(scope, body)
        elif fault.kind is FaultKind.LATE:
            task = asyncio.create_task(self._take_effect_later(fault.seconds, scope, body))
            self._late.add(task)
            task.add_done_callback(self._late.discard)
        await _close(scope, receive)

    async def _take_effect_later(self, seconds: float, scope: Scope, body: bytes) -> None:
        if await self._waited(seconds):
            await self._take_effect(scope, body)

    async def _take_effect(self, scope: Scope, body: bytes) -> None:
        sent = False

        async def replay() -> Message:
            nonlocal sent
            if sent:
                await asyncio.Event().wait()
            sent = True
            return {"type": "http.request", "body": body, "more_body": False}

        async def discard(_message: Message) -> None:
            pass

        await self._app(scope, replay, discard)


def _refusal(fault: Fault, path: str, holder: Holder | None) -> Response:
    headers = {} if fault.retry_after is None else {"Retry-After": f"{fault.retry_after:g}"}
    if fault.kind is FaultKind.HTML:
        status = fault.status or 502
        title = "Just a moment..." if status == 200 else f"{status} from the edge"
        return HTMLResponse(_PAGE.format(title), status, headers)
    shape = holder.account.variants.error_shape if holder else ErrorShape.STRING
    if path.startswith("/v0/llm/chat/"):
        shape = ErrorShape.MESSAGE
    status = fault.status or 503
    return ApiError(status, f"Sandbox fault: {status}", shape).response(headers)


async def _close(scope: Scope, receive: Receive) -> None:
    close: Callable[[], None] = scope["extensions"][CLOSE]
    close()
    # uvicorn answers 500 for an app that returns without a reply, unless it has seen the disconnect.
    while (await receive())["type"] != "http.disconnect":
        pass
