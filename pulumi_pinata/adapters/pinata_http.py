"""The inference calls of one Pinata account over HTTP; answers become the model or one of our errors.

Paths and shapes: docs.pinata.cloud/inference/overview and agents/secrets. What those pages leave open (a second
enable, disable when off, status when off, the order of checks on a completion) is accepted in every form.
"""

import re
import secrets
from contextlib import suppress
from math import isfinite

import httpx

from pulumi_pinata.adapters.pinata_transport import (
    SERVICE,
    PinataTransport,
    SharedPool,
    failure,
    json_of,
    read,
    strange,
)
from pulumi_pinata.core.errors import Ambiguous, PinataError, Refused, Transient
from pulumi_pinata.core.model import Liveness, Status
from pulumi_pinata.core.secret import PrivateKey, Secret, digest

_STATUS, _ENABLE, _DISABLE = "/v0/llm/status", "/v0/llm/enable", "/v0/llm/disable"
_SECRETS, _CHAT = "/v0/secrets", "/v0/llm/chat/completions"
_KEY_NAME = "PINATA_LLM_KEY"
_MOMENT = re.compile(r"[0-9TZ:.+ -]{1,40}", re.ASCII)


class PinataClient:
    """`core.ports.PinataApi` for the account of one JWT."""

    def __init__(
        self, api_url: str, jwt: Secret, timeout: float, transport: httpx.BaseTransport | SharedPool | None = None
    ) -> None:
        self._transport = PinataTransport(api_url, timeout, transport)
        self._jwt = jwt
        self._timeout = timeout

    def close(self) -> None:
        """Let go of the connections."""
        self._transport.close()

    def status(self) -> Status:
        """See `PinataApi.status`."""
        return read(self._status, self._timeout)

    def _status(self) -> Status:
        response = self._transport.send("GET", _STATUS, self._jwt)
        if response.status_code == 404 and json_of(response) is not None:
            return self._off_if_known()
        if not response.is_success:
            raise failure(response, "the status call")
        body = json_of(response) or {}
        enabled, created_at = body.get("enabled"), body.get("createdAt")
        if not isinstance(enabled, bool):
            raise strange("status answer")
        return Status(enabled, _shown(created_at) if enabled and created_at is not None else None)

    def _off_if_known(self) -> Status:
        # Undocumented: off may be a 404. So may a wrong address, or a 403 in disguise; a second call tells.
        response = self._transport.send("GET", _SECRETS, self._jwt)
        if not response.is_success:
            raise failure(response, "the status call")
        if not isinstance((json_of(response) or {}).get("secrets"), list):
            raise strange("secrets listing")
        if _entry(response) is not None:
            raise Transient("Pinata's answers contradict each other.", hint="Try again later.", service=SERVICE)
        return Status(enabled=False)

    def marker(self) -> str | None:
        """See `PinataApi.marker`."""
        try:
            entry = _entry(self._transport.send("GET", _SECRETS, self._jwt))
        except PinataError:
            return None
        return None if entry is None else digest("marker", f"{entry.get('id')}@{entry.get('updatedAt')}")

    def enable(self) -> PrivateKey | None:
        """See `PinataApi.enable`."""
        response = self._transport.send("POST", _ENABLE, self._jwt)
        if response.status_code == 409:
            return None
        if not response.is_success:
            raise failure(response, "enable")
        body = json_of(response)
        if body is None:
            raise Ambiguous("Pinata's answer to enable is not JSON.", service=SERVICE)
        key = body.get("privateKey")
        return PrivateKey(key) if isinstance(key, str) and key else None

    def disable(self) -> None:
        """See `PinataApi.disable`; whether it is off is for the status to say."""
        response = self._transport.send("DELETE", _DISABLE, self._jwt)
        if not response.is_success and response.status_code not in (400, 404, 409):
            raise failure(response, "disable")

    def probe(self, key: PrivateKey) -> Liveness:
        """See `PinataApi.probe`: an invalid request, which a good key gets refused for another reason than a bad one.

        The order of checks is undocumented, so a made-up key is the control.
        """
        try:
            if self._chat_status(key) == 401:
                return Liveness.DEAD if self._chat_status(key) == 401 else Liveness.UNKNOWN
            control = self._chat_status(PrivateKey(f"not-a-key-{secrets.token_hex(16)}"))
        except PinataError:
            return Liveness.UNKNOWN
        return Liveness.LIVE if control == 401 else Liveness.UNKNOWN

    def _chat_status(self, key: PrivateKey) -> int:
        response = self._transport.send("POST", _CHAT, key, {"model": "", "messages": []})
        if response.status_code not in (400, 401, 402, 422):
            raise Transient("no verdict on the key.", service=SERVICE)
        return response.status_code


def _shown(moment: object) -> str:
    """It goes into the state and Vault's metadata: a time as it is, of anything else a one-way name."""
    text = str(moment)
    return text if _MOMENT.fullmatch(text) else digest("created-at", text)


def _entry(response: httpx.Response) -> dict[str, object] | None:
    """The managed key's entry in the secrets listing: id and times, never a value."""
    body = json_of(response) if response.is_success else None
    listing = (body or {}).get("secrets")
    found = (
        [e for e in listing if isinstance(e, dict) and e.get("name") == _KEY_NAME] if isinstance(listing, list) else []
    )
    return found[0] if found else None


class CreditsClient:
    """Auto top-up and balance of one workspace (docs.pinata.cloud/inference/credits)."""

    _PATH, _BALANCE = "/v0/credits/topup/config", "/v0/credits/balance"

    def __init__(
        self, api_url: str, jwt: Secret, timeout: float, transport: httpx.BaseTransport | SharedPool | None = None
    ) -> None:
        self._transport = PinataTransport(api_url, timeout, transport)
        self._jwt = jwt
        self._timeout = timeout

    def close(self) -> None:
        """Let go of the connections."""
        self._transport.close()

    def get(self) -> tuple[float, int] | None:
        """Threshold and amount in credits, or None when top-up is off."""
        return read(self._get, self._timeout)

    def _get(self) -> tuple[float, int] | None:
        response = self._transport.send("GET", self._PATH, self._jwt)
        if response.status_code == 404 and json_of(response) is not None:
            return None
        if not response.is_success:
            raise failure(response, "the top-up configuration")
        body = json_of(response)
        if body is None:
            raise strange("top-up answer")
        threshold, amount = body.get("threshold"), body.get("amount")
        if threshold is None or amount is None:
            return None
        if not isinstance(threshold, (int, float)) or not isinstance(amount, (int, float)):
            raise strange("top-up answer")
        try:
            return float(threshold), int(amount)
        except (OverflowError, ValueError):
            raise strange("top-up answer") from None

    def put(self, config: tuple[float, int] | None) -> None:
        """Set threshold and amount, or None for off. Setting twice is setting once, so it may be retried."""
        threshold, amount = config if config else (None, None)

        def call() -> None:
            body = {"threshold": threshold, "amount": amount}
            response = self._transport.send("PUT", self._PATH, self._jwt, body)
            if response.status_code in (400, 422):
                raise Refused(
                    "Pinata refused these top-up values.", about="threshold", hint="See `amount` too.", service=SERVICE
                )
            if not response.is_success:
                raise failure(response, "the top-up configuration")

        read(call, self._timeout)

    def balance(self) -> float:
        """What is free to be drawn, in credits: all that there are, less what calls in flight hold."""
        return read(self._available, self._timeout)

    def _available(self) -> float:
        response = self._transport.send("GET", self._BALANCE, self._jwt)
        if not response.is_success:
            raise failure(response, "the credits balance")
        available = (json_of(response) or {}).get("available")
        if isinstance(available, (int, float)) and not isinstance(available, bool):
            with suppress(OverflowError):
                if isfinite(found := float(available)):
                    return found
        raise strange("balance answer")
