"""A TCP proxy on loopback that delays what clients send and counts HTTP requests: `delay_proxy.py PORT...`.

It prints its own ports, in the order of the targets'. Commands on standard input, one a line: `delay SECONDS` for
what arrives from then on; `calls` prints what was asked since the last time, as JSON of "METHOD path" to how often.
Both are answered by one line. It ends when its standard input does, and so with whoever started it.
"""

from __future__ import annotations

import asyncio
import json
import sys
from collections import Counter, deque

LOOPBACK = "127.0.0.1"


class Road:
    """What all connections share."""

    def __init__(self) -> None:
        self.delay = 0.0
        self.calls: Counter[str] = Counter()

    def note(self, data: bytes) -> None:
        """Count a request; a client of HTTP/1.1 that waits for its answers begins each in a segment of its own."""
        words = data.partition(b"\r\n")[0].split(b" ")
        if len(words) == 3 and words[2].startswith(b"HTTP/1."):
            self.calls[f"{words[0].decode()} {words[1].decode()}"] += 1


class Inward(asyncio.Protocol):
    """The client's side of one connection: bytes go on after the delay, in their order."""

    def __init__(self, road: Road, target: int) -> None:
        self._road = road
        self._target = target
        self._waiting: deque[bytes] = deque()
        self._server: asyncio.WriteTransport | None = None
        self._opening: asyncio.Task[None] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Open the way to the server."""
        assert isinstance(transport, asyncio.WriteTransport)
        self._client = transport
        self._opened = asyncio.Event()
        self._opening = asyncio.get_running_loop().create_task(self._open())

    async def _open(self) -> None:
        loop = asyncio.get_running_loop()
        try:
            self._server, _ = await loop.create_connection(lambda: Outward(self._client), LOOPBACK, self._target)
        except OSError:
            self._client.close()
            return
        while self._waiting and not self._road.delay:
            self._pass_on()

    def data_received(self, data: bytes) -> None:
        """Count it, and pass it on in time."""
        self._road.note(data)
        self._waiting.append(data)
        if self._road.delay:
            asyncio.get_running_loop().call_later(self._road.delay, self._pass_on)
        elif self._server:
            self._pass_on()

    def _pass_on(self) -> None:
        if self._server is None:  # a delay that is shorter than the opening: a little later, then
            asyncio.get_running_loop().call_later(0.001, self._pass_on)
        elif self._waiting:
            self._server.write(self._waiting.popleft())

    def connection_lost(self, error: Exception | None) -> None:
        """Close both sides."""
        if self._server:
            self._server.close()
        elif self._opening:
            self._opening.cancel()


class Outward(asyncio.Protocol):
    """The server's side: answers go back at once."""

    def __init__(self, client: asyncio.WriteTransport) -> None:
        self._client = client

    def data_received(self, data: bytes) -> None:
        """Pass it back."""
        self._client.write(data)

    def connection_lost(self, error: Exception | None) -> None:
        """Close both sides."""
        self._client.close()


async def main(targets: list[int]) -> None:
    """Serve until standard input ends."""
    loop, road = asyncio.get_running_loop(), Road()
    ports = []
    for target in targets:
        server = await loop.create_server(lambda target=target: Inward(road, target), LOOPBACK, 0)  # type: ignore[misc]
        ports.append(server.sockets[0].getsockname()[1])
    print(*ports, flush=True)
    reader = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(reader), sys.stdin)
    while line := (await reader.readline()).decode().split():
        if line[0] == "delay":
            road.delay = float(line[1])
            print("ok", flush=True)
        else:
            print(json.dumps(road.calls), flush=True)
            road.calls.clear()


if __name__ == "__main__":
    asyncio.run(main([int(port) for port in sys.argv[1:]]))
