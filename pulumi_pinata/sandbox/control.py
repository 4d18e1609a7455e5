"""Control routes under /_sandbox: accounts, a human at the dashboard, faults, the log; guarded by a token."""

import hmac
from collections.abc import Awaitable, Callable
from dataclasses import asdict

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from pulumi_pinata.sandbox.accounts import Rejected
from pulumi_pinata.sandbox.directory import Holder
from pulumi_pinata.sandbox.faults import Fault
from pulumi_pinata.sandbox.replies import ApiError, Json, json_object
from pulumi_pinata.sandbox.state import SandboxState
from pulumi_pinata.sandbox.variants import ErrorShape

TOKEN_HEADER = "X-Sandbox-Token"  # noqa: S105  # the name of a header
_Handler = Callable[[SandboxState, Request], Awaitable[object]]


def _guarded(handler: _Handler) -> Callable[[Request], Awaitable[Response]]:
    async def endpoint(request: Request) -> Response:
        state: SandboxState = request.app.state.sandbox
        if not hmac.compare_digest(request.headers.get(TOKEN_HEADER, "").encode(), state.token.encode()):
            raise ApiError(401, f"send the token printed at start in the header {TOKEN_HEADER}")
        try:
            return JSONResponse(await handler(state, request))
        except ValueError as wrong:
            raise ApiError(400, str(wrong)) from None

    return endpoint


async def _add_account(state: SandboxState, request: Request) -> Json:
    body = await json_object(request, ErrorShape.STRING)
    unknown = set(body) - {"name", "variants", "credits", "exp", "id"}
    if unknown:
        raise ValueError(f"account has no {', '.join(sorted(unknown))}")
    variants, id = body.get("variants") or {}, body.get("id")
    if not isinstance(variants, dict) or not isinstance(id, str | None):
        raise ValueError("variants must be an object and id a string")  # noqa: TRY004  # becomes a 400
    exp = body.get("exp")
    holder = state.directory.add(
        str(body.get("name", "")),
        variants=variants,
        credits=_number(body.get("credits", 100.0), "credits"),
        exp=None if exp is None else _number(exp, "exp"),
        id=id,
    )
    return {"name": holder.name, "id": holder.id, "email": holder.email, "jwt": holder.jwt}


async def _show_account(state: SandboxState, request: Request) -> Json:
    return asdict(_named(state, request).account.snapshot())


async def _enable(state: SandboxState, request: Request) -> Json:
    account = _named(state, request).account
    try:
        account.enable()
    except Rejected as no:
        raise ApiError(no.status, str(no)) from None
    return asdict(account.snapshot())


async def _disable(state: SandboxState, request: Request) -> Json:
    account = _named(state, request).account
    try:
        account.disable()
    except Rejected as no:
        raise ApiError(no.status, str(no)) from None
    return asdict(account.snapshot())


async def _set_variants(state: SandboxState, request: Request) -> Json:
    account = _named(state, request).account
    account.variants = account.variants.changed(await json_object(request, ErrorShape.STRING))
    return asdict(account.snapshot())


async def _set_credits(state: SandboxState, request: Request) -> Json:
    account = _named(state, request).account
    body = await json_object(request, ErrorShape.STRING)
    account.credits.set(_number(body.get("credits"), "credits"))
    return asdict(account.snapshot())


async def _add_fault(state: SandboxState, request: Request) -> Json:
    state.faults.add(Fault.read(await json_object(request, ErrorShape.STRING)))
    return {"success": True}


async def _clear_faults(state: SandboxState, _request: Request) -> Json:
    state.faults.clear()
    return {"success": True}


async def _list_calls(state: SandboxState, _request: Request) -> list[Json]:
    return [asdict(call) for call in state.calls.calls()]


async def _clear_calls(state: SandboxState, _request: Request) -> Json:
    state.calls.clear()
    return {"success": True}


def _named(state: SandboxState, request: Request) -> Holder:
    name = request.path_params["name"]
    try:
        return state.directory.get(name)
    except KeyError:
        raise ApiError(404, f"no account named {name!r}") from None


def _number(value: object, what: str) -> float:
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise ValueError(f"{what} must be a number of at least 0")
    return float(value)


_ACCOUNT = "/_sandbox/accounts/{name}"
ROUTES = [
    Route("/_sandbox/accounts", _guarded(_add_account), methods=["POST"]),
    Route(_ACCOUNT, _guarded(_show_account), methods=["GET"]),
    Route(_ACCOUNT + "/variants", _guarded(_set_variants), methods=["PUT"]),
    Route(_ACCOUNT + "/credits", _guarded(_set_credits), methods=["PUT"]),
    Route(_ACCOUNT + "/enable", _guarded(_enable), methods=["POST"]),
    Route(_ACCOUNT + "/disable", _guarded(_disable), methods=["POST"]),
    Route("/_sandbox/faults", _guarded(_add_fault), methods=["POST"]),
    Route("/_sandbox/faults", _guarded(_clear_faults), methods=["DELETE"]),
    Route("/_sandbox/calls", _guarded(_list_calls), methods=["GET"]),
    Route("/_sandbox/calls", _guarded(_clear_calls), methods=["DELETE"]),
]
"""POST accounts, GET/PUT/POST accounts/{name}[/...], POST/DELETE faults, GET/DELETE calls."""
