"""The files of the page, as they lie in this package; each has a checksum, so that a browser keeps what is current."""

import hashlib
from dataclasses import dataclass
from importlib import resources

from starlette.requests import Request
from starlette.responses import Response

_TYPES = {
    "html": "text/html; charset=utf-8",
    "css": "text/css; charset=utf-8",
    "js": "text/javascript; charset=utf-8",
    "svg": "image/svg+xml",
}


@dataclass(frozen=True)
class Asset:
    """One file: its bytes, its media type, its ETag."""

    body: bytes
    media_type: str
    etag: str


def load() -> dict[str, Asset]:
    """All files of the page, by name."""
    found = {}
    for file in resources.files("reconciler.web").iterdir():
        media_type = _TYPES.get(file.name.rpartition(".")[2])
        if media_type:
            body = file.read_bytes()
            found[file.name] = Asset(body, media_type, f'"{hashlib.sha256(body).hexdigest()[:32]}"')
    return found


def answer(request: Request, asset: Asset) -> Response:
    """The file, or 304 when the browser has it. It asks each time: after an upgrade, page and script must fit."""
    headers = {"ETag": asset.etag, "Cache-Control": "no-cache"}
    if matches(request, asset.etag):
        return Response(status_code=304, headers=headers)
    return Response(asset.body, media_type=asset.media_type, headers=headers)


def matches(request: Request, etag: str) -> bool:
    """Whether the client has what `etag` names (RFC 9110, 13.1.2: weak comparison)."""
    given = request.headers.get("if-none-match", "")
    return given.strip() == "*" or etag.removeprefix("W/") in {
        each.strip().removeprefix("W/") for each in given.split(",")
    }
