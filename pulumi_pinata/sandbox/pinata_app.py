"""The Pinata API's routes over the accounts: inference, credits, secrets; chat is in chat.py."""

import contextlib
from collections.abc import AsyncIterator

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.middleware.trustedhost import TrustedHostMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp

from pulumi_pinata.sandbox import chat, control
from pulumi_pinata.sandbox.accounts import Rejected
from pulumi_pinata.sandbox.credits import TopUp
from pulumi_pinata.sandbox.directory import Holder
from pulumi_pinata.sandbox.replies import ApiError, Json, bearer, json_object, on_api_error, on_http_error
from pulumi_pinata.sandbox.state import SandboxState
from pulumi_pinata.sandbox.variants import SecretsListing, StatusWhenOff
from pulumi_pinata.sandbox.wire import FaultyWire

SECRET_LIMIT = 3


def build(state: SandboxState) -> Starlette:
    """Return the ASGI app; it must be served by a server with wire.ClosableProtocol."""
    wires: list[FaultyWire] = []

    def wire(app: ASGIApp) -> ASGIApp:
        wires.append(FaultyWire(app, state))
        return wires[-1]

    @contextlib.asynccontextmanager
    async def lifespan(_app: Starlette) -> AsyncIterator[None]:
        yield
        for each in wires:
            await each.end_late_effects()

    app = Starlette(
        routes=[
            Route("/v0/llm/enable", enable, methods=["POST"]),
            Route("/v0/llm/status", status, methods=["GET"]),
            Route("/v0/llm/disable", disable, methods=["DELETE"]),
            Route("/v0/llm/chat/completions", chat.completions, methods=["POST"]),
            Route("/v0/llm/models", models, methods=["GET"]),
            Route("/v0/credits/balance", balance, methods=["GET"]),
            Route("/v0/credits/topup/config", read_topup, methods=["GET"]),
            Route("/v0/credits/topup/config", write_topup, methods=["PUT"]),
            Route("/v0/secrets", list_secrets, methods=["GET"]),
            *control.ROUTES,
        ],
        # A page in a browser must not reach the sandbox through a name that it made point to loopback.
        middleware=[
            Middleware(TrustedHostMiddleware, allowed_hosts=["127.0.0.1", "localhost"]),
            Middleware(wire),
        ],
        exception_handlers={ApiError: on_api_error, HTTPException: on_http_error},
        lifespan=lifespan,
    )
    app.state.sandbox = state
    return app


async def enable(request: Request) -> Response:
    """POST, no body: `{"success": true, "privateKey": ...}` (docs.pinata.cloud/inference/overview)."""
    holder = _holder(request)
    try:
        key = holder.account.enable()
    except Rejected as no:
        raise _refusal(holder, no) from None
    body: Json = {"success": True}
    if key is not None:
        body["privateKey"] = key
    return JSONResponse(body, holder.account.variants.enable_status)


async def status(request: Request) -> Response:
    """GET: `{"enabled": true, "createdAt": ...}` (same page); the shape when off is undocumented."""
    holder = _holder(request)
    created_at = holder.account.status()
    if created_at is not None:
        return JSONResponse({"enabled": True, "createdAt": created_at})
    off = holder.account.variants.status_when_off
    if off is StatusWhenOff.NOT_FOUND:
        raise ApiError(404, "Inference is not enabled", holder.account.variants.error_shape)
    body: Json = {"enabled": False}
    if off is StatusWhenOff.NULL:
        body["createdAt"] = None
    return JSONResponse(body)


async def disable(request: Request) -> Response:
    """DELETE: `{"success": true}` (same page)."""
    holder = _holder(request)
    try:
        holder.account.disable()
    except Rejected as no:
        raise _refusal(holder, no) from None
    return JSONResponse({"success": True})


async def models(_request: Request) -> Response:
    """GET: a bare array, public (docs.pinata.cloud/inference/models)."""
    return JSONResponse(list(chat.MODELS))


async def balance(request: Request) -> Response:
    """GET: `{"total", "loaned", "available"}` in credits (docs.pinata.cloud/inference/credits)."""
    held = _holder(request).account.credits.balance()
    return JSONResponse({"total": held.total, "loaned": held.loaned, "available": held.available})


async def read_topup(request: Request) -> Response:
    """GET: `{"threshold", "amount"}` (same page); both null when off is our reading."""
    topup = _holder(request).account.credits.topup
    return JSONResponse({"threshold": topup.threshold, "amount": topup.amount})


async def write_topup(request: Request) -> Response:
    """PUT: threshold >= 5 or null, amount a positive integer or null -> `{"ok": true}` (same page)."""
    holder = _holder(request)
    shape = holder.account.variants.error_shape
    body = await json_object(request, shape)
    threshold, amount = body.get("threshold"), body.get("amount")
    if isinstance(threshold, bool) or not isinstance(threshold, int | float | None):
        raise ApiError(400, "threshold must be a number or null", shape)
    if isinstance(amount, bool) or not isinstance(amount, int | None):
        raise ApiError(400, "amount must be an integer or null", shape)
    try:
        holder.account.credits.topup = TopUp(threshold, amount)
    except ValueError as wrong:
        raise ApiError(400, str(wrong), shape) from None
    return JSONResponse({"ok": True})


async def list_secrets(request: Request) -> Response:
    """GET: never a value (docs agents/secrets.mdx); whether PINATA_LLM_KEY shows is undocumented."""
    holder = _holder(request)
    listing = holder.account.variants.secrets_listing
    if listing is SecretsListing.OFF:
        raise ApiError(403, "Workspace permission denied", holder.account.variants.error_shape)
    live = holder.account.live
    shown: list[Json] = []
    if live is not None and listing is SecretsListing.ON:
        shown.append(
            {
                "id": live.secret_id,
                "userId": holder.id,
                "name": "PINATA_LLM_KEY",
                "type": "secret",
                "createdAt": live.minted_at,
                "updatedAt": live.minted_at,
                "agents": [],
            }
        )
    return JSONResponse({"secrets": shown, "secretLimit": SECRET_LIMIT})


def _holder(request: Request) -> Holder:
    state: SandboxState = request.app.state.sandbox
    token = bearer(request)
    if not token:
        raise ApiError(401, "No Authorization header found")
    holder = state.directory.by_jwt(token)
    if holder is None:
        raise ApiError(401, "Unauthorized")
    if state.directory.expired(holder):
        raise ApiError(401, "Token expired")
    return holder


def _refusal(holder: Holder, no: Rejected) -> ApiError:
    return ApiError(no.status, str(no), holder.account.variants.error_shape)
