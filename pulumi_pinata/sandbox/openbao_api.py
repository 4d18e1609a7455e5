"""A small JSON caller of one OpenBao on loopback, for setting it up; the product has its own client."""

import http.client
import json
from collections.abc import Mapping
from typing import cast

Json = dict[str, object]
LOOPBACK = "127.0.0.1"


class BaoError(Exception):
    """OpenBao refused a call: the HTTP status and its own words."""

    def __init__(self, status: int, errors: object) -> None:
        super().__init__(f"OpenBao answered {status}: {errors}")
        self.status = status


class BaoApi:
    """Calls with one token; a new connection each time, so it is safe to use from many threads."""

    def __init__(self, port: int, *, token: str | None = None, timeout: float = 10.0) -> None:
        self._port = port
        self._token = token
        self._timeout = timeout

    def with_token(self, token: str) -> "BaoApi":
        """Return a caller of the same server with another token."""
        return BaoApi(self._port, token=token, timeout=self._timeout)

    def call(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Json:
        """Return the reply as it is ({} when empty). BaoError from status 400 up, OSError when unreachable.

        `path` without /v1/; PATCH sends a JSON merge patch, as KV v2 wants it.
        """
        status, reply = self._exchange(method, path, body)
        if status >= 400:
            raise BaoError(status, reply.get("errors", reply))
        return reply

    def data(self, method: str, path: str, body: Mapping[str, object] | None = None) -> Json:
        """Return the `data` object of the reply; errors as `call`."""
        return cast("Json", self.call(method, path, body)["data"])

    def auth(self, path: str, body: Mapping[str, object]) -> str:
        """Log in or create a token and return it; errors as `call`."""
        return str(cast("Json", self.call("POST", path, body)["auth"])["client_token"])

    def health(self) -> int:
        """Return the status of sys/health: 200 active, 429 standby, 501 not initialised, 503 sealed."""
        return self._exchange("GET", "sys/health", None)[0]

    def _exchange(self, method: str, path: str, body: Mapping[str, object] | None) -> tuple[int, Json]:
        kind = "application/merge-patch+json" if method == "PATCH" else "application/json"
        headers = {"Content-Type": kind, **({"X-Vault-Token": self._token} if self._token else {})}
        connection = http.client.HTTPConnection(LOOPBACK, self._port, timeout=self._timeout)
        try:
            payload = None if body is None else json.dumps(body)
            connection.request(method, f"/v1/{path}", payload, headers)
            reply = connection.getresponse()
            raw = reply.read()
        except http.client.HTTPException as error:
            raise ConnectionError(f"OpenBao broke off: {type(error).__name__}") from None
        finally:
            connection.close()
        return reply.status, cast("Json", json.loads(raw)) if raw else {}
