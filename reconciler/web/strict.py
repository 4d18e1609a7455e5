"""What holds for every answer: the headers that tie a browser down, and which names of the server are answered to."""

import ipaddress
import re
from collections.abc import Iterable

from starlette.datastructures import Headers, MutableHeaders
from starlette.responses import PlainTextResponse
from starlette.types import ASGIApp, Message, Receive, Scope, Send

HEADERS = {
    "Content-Security-Policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; img-src 'self'; "
        "base-uri 'none'; form-action 'none'; frame-ancestors 'none'; "
        "require-trusted-types-for 'script'; trusted-types 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Cross-Origin-Embedder-Policy": "require-corp",
    "Permissions-Policy": "camera=(), display-capture=(), geolocation=(), microphone=(), payment=(), usb=()",
}
_LOOPBACK = ("localhost", "127.0.0.1", "::1")
_HOST = re.compile(r"(\[[0-9A-Fa-f:.]{2,45}\]|[A-Za-z0-9._-]{1,253})(:[0-9]{1,5})?")


class Strict:
    """ASGI middleware: refuses requests to a name that is not ours, and puts HEADERS on every answer.

    A page elsewhere can point its own name at this machine (DNS rebinding), and a browser then takes what is here
    for its own: so only loopback names, `hosts`, and the very address that was connected to are answered.
    """

    def __init__(self, app: ASGIApp, hosts: Iterable[str]) -> None:
        self._app = app
        self._hosts = frozenset(canonical(host) for host in (*_LOOPBACK, *hosts))

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one ASGI connection."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return

        async def strict(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers[name] = value
                headers.setdefault("Cache-Control", "no-store")
            await send(message)

        answer = self._refusal(scope) or self._app
        await answer(scope, receive, strict)

    def _refusal(self, scope: Scope) -> ASGIApp | None:
        given = Headers(scope=scope).getlist("host")
        shape = _HOST.fullmatch(given[0]) if len(given) == 1 else None
        if shape is None:
            return PlainTextResponse("One Host header is needed, a name or an address.\n", 400)
        host = canonical(shape[1])
        server = scope.get("server")
        if host in self._hosts or (server and host == canonical(server[0])):
            return None
        return PlainTextResponse(
            "This server does not go by that name. Further names are given by `run --http-host NAME`.\n", 421
        )


def canonical(host: str) -> str:
    """One way to write a name or address: lower case, no brackets, no dot at the end, IPv4 as IPv4."""
    name = host.lower().removesuffix(".").removeprefix("[").removesuffix("]")
    try:
        address = ipaddress.ip_address(name)
    except ValueError:
        return name
    mapped = address.ipv4_mapped if isinstance(address, ipaddress.IPv6Address) else None
    return str(mapped or address)


def is_loopback(host: str) -> bool:
    """Whether an address is this machine's own."""
    try:
        return ipaddress.ip_address(canonical(host)).is_loopback
    except ValueError:
        return False
