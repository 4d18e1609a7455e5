"""Error bodies in all of Pinata's shapes, and the exception that carries one; no routes."""

from collections.abc import Mapping
from dataclasses import dataclass

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response

from pulumi_pinata.sandbox.variants import ErrorShape

Json = dict[str, object]


@dataclass
class ApiError(Exception):
    """An answer other than success."""

    status: int
    message: str
    shape: ErrorShape = ErrorShape.STRING

    def response(self, headers: Mapping[str, str] | None = None) -> Response:
        """Return the reply in the error's shape."""
        return JSONResponse(error_body(self.shape, self.status, self.message), self.status, headers)


def error_body(shape: ErrorShape, status: int, message: str) -> Json:
    """Return an error body in one of the shapes seen on Pinata's hosts."""
    if shape is ErrorShape.STRING:
        return {"error": message}
    if shape is ErrorShape.MESSAGE:
        return {"error": {"message": message}}
    if shape is ErrorShape.REASON:
        reason = {401: "INVALID_CREDENTIALS", 403: "NO_SCOPES_FOUND"}.get(status, f"HTTP_{status}")
        return {"error": {"reason": reason, "details": message}}
    if shape is ErrorShape.CODE:
        return {"error": {"code": status, "message": message}}
    issue = {"code": "custom", "path": [], "message": message}
    return {"success": False, "error": {"name": "ZodError", "issues": [issue]}}


def bearer(request: Request) -> str:
    """Return the bearer token, or an empty string."""
    scheme, _, token = request.headers.get("authorization", "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


async def json_object(request: Request, shape: ErrorShape) -> Json:
    """Return the request body; ApiError 400 when it is no JSON object."""
    try:
        body = await request.json()
    except ValueError:
        raise ApiError(400, "body must be JSON", shape) from None
    if not isinstance(body, dict):
        raise ApiError(400, "body must be a JSON object", shape)
    return body


async def on_api_error(_request: Request, error: Exception) -> Response:
    """Turn an ApiError into its reply."""
    if not isinstance(error, ApiError):
        raise error
    return error.response()


async def on_http_error(_request: Request, error: Exception) -> Response:
    """Answer unknown paths and methods in the documented management shape."""
    if not isinstance(error, HTTPException):
        raise error
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)
