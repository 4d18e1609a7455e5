"""What the sandbox tests hold in their hands: a clock, an account with its client, a bounded wait."""

import time
from collections.abc import Callable
from dataclasses import dataclass, field

import httpx

from pulumi_pinata.sandbox.pinata_server import PinataServer, SandboxAccount


class Clock:
    """A clock that moves only when told, in seconds since the epoch."""

    def __init__(self) -> None:
        self.now = 1_800_000_000.0

    def __call__(self) -> float:
        return self.now


@dataclass
class User:
    """One account and an HTTP client that holds its JWT."""

    pinata: PinataServer
    account: SandboxAccount
    http: httpx.Client = field(repr=False)

    @property
    def name(self) -> str:
        return self.account.name

    def enable(self) -> str:
        return str(self.http.post("/v0/llm/enable").raise_for_status().json()["privateKey"])

    def chat(self, key: str, body: object) -> httpx.Response:
        headers = {"Authorization": f"Bearer {key}"}
        return self.http.post("/v0/llm/chat/completions", json=body, headers=headers)


def eventually(condition: Callable[[], bool], *, within: float = 30.0) -> bool:
    """Wait for a condition; False when it did not come true in `within` seconds."""
    deadline = time.monotonic() + within
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.005)
    return True
