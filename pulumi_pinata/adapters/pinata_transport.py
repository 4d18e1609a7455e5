"""HTTP to the Pinata API: one request, its answer or one of our errors; what a call means is not known here."""

import logging
import time
from collections.abc import Callable, Generator
from http.cookiejar import DefaultCookiePolicy
from typing import Any, TypeVar

import httpx
import stamina
from stamina.instrumentation import LoggingOnRetryHook, set_on_retry_hooks

from pulumi_pinata.core.address import is_loopback
from pulumi_pinata.core.errors import Ambiguous, PinataError, Refused, Transient, Unfunded
from pulumi_pinata.core.secret import Secret

T = TypeVar("T")
SERVICE = "pinata"
_LONGEST_WAIT = 30.0
_LONGEST = 4 * 1024 * 1024

# stamina announces each retry: by structlog where that is installed, which prints it to standard output, and so into
# the plan; else by a bare warning, which Python prints where no logging is set up.
set_on_retry_hooks([LoggingOnRetryHook])
logging.getLogger("stamina").addHandler(logging.NullHandler())

_MEANING = {
    401: (
        "Pinata refused the JWT (401): expired, revoked, or of another workspace.",
        "Check the API key it came from.",
    ),
    402: ("Pinata wants credits first (402).", "Fund the workspace in the dashboard (Billing)."),
    403: ("Pinata forbids this call to the JWT (403).", "Use an admin API key of the workspace."),
}


class SharedPool:
    """Connections to one API that many accounts share, each with its own timeouts and credentials; for any thread.

    Its users' `close` leaves it open; whoever made it calls `shut`.
    """

    def __init__(self, api_url: str, size: int) -> None:
        self._http = httpx.Client(
            limits=httpx.Limits(max_connections=None, max_keepalive_connections=size),
            trust_env=not is_loopback(api_url),
        )
        # A cookie of one account's answer must not go out with another's request.
        self._http.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=()))

    @property
    def client(self) -> httpx.Client:
        """What sends; its users bring whole addresses, timeouts and credentials."""
        return self._http

    def shut(self) -> None:
        """Let go of the connections."""
        self._http.close()


class _Bearer(httpx.Auth):
    """Reveals the credential to the request alone: in no frame of ours it is text."""

    def __init__(self, secret: Secret) -> None:
        self._secret = secret

    def auth_flow(self, request: httpx.Request) -> Generator[httpx.Request, httpx.Response, None]:
        request.headers["Authorization"] = f"Bearer {self._secret.reveal()}"
        yield request


class PinataTransport:
    """Calls to one API: each is sent within half of `timeout` (s) or not at all, and waits half for each answer."""

    def __init__(self, api_url: str, timeout: float, transport: httpx.BaseTransport | SharedPool | None = None) -> None:
        self._limits = httpx.Timeout(timeout / 4, read=timeout / 2)
        self._patience = timeout / 2
        self._url = api_url.rstrip("/")
        self._own: httpx.Client | None = None
        if isinstance(transport, SharedPool):
            # A client of one's own on top of it would cost half of what a call costs us.
            self._http = transport.client
        else:
            self._http = self._own = httpx.Client(
                transport=transport,
                follow_redirects=False,
                trust_env=not is_loopback(api_url),  # a proxy would see the credentials that plain http carries
            )

    def close(self) -> None:
        """Let go of the connections, but for those that are shared."""
        if self._own:
            self._own.close()

    def send(self, method: str, path: str, bearer: Secret, body: Any = None) -> httpx.Response:
        """Send once; the response, whatever its status.

        Raises Transient where nothing can have arrived, else Ambiguous.
        """
        if not bearer.reveal().isascii():
            raise Refused("the credential has characters that no credential has.", about="credentials")
        trace = {"trace": _deadline(self._patience)}
        try:
            with self._http.stream(
                method, f"{self._url}{path}", json=body, auth=_Bearer(bearer), timeout=self._limits, extensions=trace
            ) as response:
                return _whole(response, time.monotonic() + self._patience)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout, httpx.UnsupportedProtocol):
            raise Transient(
                "Pinata could not be reached.", hint="Check `api_url` and the network.", service=SERVICE
            ) from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            name = type(error).__name__
            raise Ambiguous(f"the reply to {method} {path} was lost ({name}).", service=SERVICE) from None


def _whole(response: httpx.Response, end: float) -> httpx.Response:
    """The response with its body; without the request, and so without the credential.

    Raises Ambiguous for a body that does not end: each byte of it restarts the read timeout.
    """
    body = bytearray()
    for chunk in response.iter_bytes():
        body += chunk
        if len(body) > _LONGEST or time.monotonic() > end:
            raise Ambiguous("Pinata's answer does not come to its end.", service=SERVICE)
    kept = (b"content-type", b"retry-after")
    headers = [(name, value) for name, value in response.headers.raw if name.lower() in kept]
    return httpx.Response(response.status_code, headers=headers, content=bytes(body))


def _deadline(seconds: float) -> Callable[[str, object], None]:
    """A name look-up or a handshake may take long, and a mint that is sent late is one that a rival cannot foresee."""
    end = time.monotonic() + seconds

    def trace(event: str, _info: object) -> None:
        if event.endswith("send_request_headers.started") and time.monotonic() > end:
            raise Transient(
                "the connection to Pinata took too long.",
                hint="Try again later, or raise `timeout`.",
                service=SERVICE,
            )

    return trace


def read(call: Callable[[], T], timeout: float) -> T:
    """A call that changes nothing, tried again on passing faults for about `timeout` seconds.

    Raises Transient when it still fails: of a read, no failure is ambiguous.
    """
    try:
        for attempt in stamina.retry_context(on=_wait, attempts=4, timeout=timeout, wait_initial=0.1, wait_max=2.0):
            with attempt:
                return call()
    except Ambiguous as error:
        hint = error.hint or "Try again later."
        raise Transient(error.message, about=error.about, hint=hint, service=error.service) from None
    raise AssertionError("unreachable")  # pragma: no cover - the loop returns or raises


def _wait(error: Exception) -> bool | float:
    if isinstance(error, Transient) and error.retry_after is not None:
        return min(error.retry_after, _LONGEST_WAIT)
    return isinstance(error, (Transient, Ambiguous))


def failure(response: httpx.Response, call: str) -> PinataError:
    """What a response that is not a success means; its body is never quoted."""
    status = response.status_code
    if status in _MEANING:
        message, hint = _MEANING[status]
        kind = Unfunded if status == 402 else Refused
        return kind(message, about="credentials", hint=hint, service=SERVICE)
    if status == 429:
        return Transient(
            "Pinata limits the rate of calls (429).",
            hint="Try again later.",
            service=SERVICE,
            retry_after=_retry_after(response),
        )
    if status >= 500 or status == 408:
        return Ambiguous(f"Pinata failed on {call} ({status}).", hint="Try again later.", service=SERVICE)
    message, hint = f"Pinata refused {call} ({status}).", "Check that this is the Pinata agents API."
    if 300 <= status < 400:
        message, hint = f"{call} was redirected ({status}).", "Set the address it leads to."
    return Refused(message, about="api_url", hint=hint, service=SERVICE)


def strange(answer: str) -> Transient:
    """What is raised for a success that does not say what it should."""
    return Transient(f"Pinata's {answer} is not of the documented form.", hint="Try again later.", service=SERVICE)


def json_of(response: httpx.Response) -> dict[str, Any] | None:
    """The JSON object in a response, or None: a gateway may answer 200 with a page of HTML."""
    try:
        body = response.json()
    except (ValueError, RecursionError):
        return None
    return body if isinstance(body, dict) else None


def _retry_after(response: httpx.Response) -> float | None:
    value = response.headers.get("Retry-After", "")
    return float(value) if value.isascii() and value.isdigit() else None
