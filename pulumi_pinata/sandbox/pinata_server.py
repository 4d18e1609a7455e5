"""The Pinata stand-in on a loopback port in a thread, with a Python face for tests."""

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from types import TracebackType

import uvicorn

from pulumi_pinata.sandbox import pinata_app
from pulumi_pinata.sandbox.accounts import KEY_PREFIX, Account, Snapshot
from pulumi_pinata.sandbox.directory import Directory
from pulumi_pinata.sandbox.faults import Fault, FaultKind
from pulumi_pinata.sandbox.state import Call, SandboxState
from pulumi_pinata.sandbox.wire import ClosableProtocol

LOOPBACK = "127.0.0.1"
_PATIENCE = 10.0


@dataclass(frozen=True)
class SandboxAccount:
    """An account of the stand-in; `id` is what its JWT's `userInformation.id` says."""

    name: str
    id: str
    jwt: str = field(repr=False)


class PinataServer:
    """Context manager: `with PinataServer() as pinata:` serves on `pinata.url` until the block ends.

    `port` 0 = a free one; OSError when the port is taken. `host` other than 127.0.0.1 is a ValueError: the
    sandbox hands out credentials to whoever reaches it. `clock` returns seconds since the epoch; it moves
    `createdAt`, the status lag and `exp`, not the waits of faults. `key_prefix` starts every private key.
    """

    def __init__(
        self,
        *,
        port: int = 0,
        host: str = LOOPBACK,
        clock: Callable[[], float] = time.time,
        key_prefix: str = KEY_PREFIX,
    ) -> None:
        if host != LOOPBACK:
            raise ValueError(f"the sandbox binds {LOOPBACK} only, not {host}")
        self._port = port
        self._state = SandboxState(clock=clock, directory=Directory(clock=clock, key_prefix=key_prefix))
        self._server: _Server | None = None
        self._thread: threading.Thread | None = None

    def __enter__(self) -> "PinataServer":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def url(self) -> str:
        """The base URL, without a slash at its end."""
        return f"http://{LOOPBACK}:{self._port}"

    @property
    def control_token(self) -> str:
        """The token of the control routes."""
        return self._state.token

    def start(self) -> None:
        """Bind, serve in a thread and return once requests are answered.

        After `stop()` it goes on with the same port and accounts, as after an outage.
        """
        self._state.stopping = asyncio.Event()
        listener = _listener(self._port)
        self._port = listener.getsockname()[1]
        self._server = _Server(self._state)
        self._thread = threading.Thread(
            target=self._server.run, kwargs={"sockets": [listener]}, name="pinata-sandbox", daemon=True
        )
        self._thread.start()
        if not self._server.ready.wait(_PATIENCE):
            listener.close()
            raise RuntimeError(f"the Pinata stand-in did not start on {self.url} within {_PATIENCE:g} s")

    def stop(self) -> None:
        """End waits and late effects, close every connection and the port; again is harmless."""
        server, thread = self._server, self._thread
        if server is None or thread is None:
            return
        server.stop()
        thread.join(_PATIENCE)
        self._server = self._thread = None

    def add_account(
        self,
        name: str,
        *,
        variants: Mapping[str, object] | None = None,
        credits: float = 100.0,
        exp: float | None = None,
        id: str | None = None,
    ) -> SandboxAccount:
        """Add an account (`exp` = seconds since the epoch). ValueError for a bad name, variant or value."""
        holder = self._state.directory.add(name, variants=variants, credits=credits, exp=exp, id=id)
        return SandboxAccount(name=holder.name, id=holder.id, jwt=holder.jwt)

    def state(self, name: str) -> Snapshot:
        """Return the account's true state, without any status lag; KeyError when there is no such account."""
        return self._account(name).snapshot()

    def is_live(self, name: str, key: str) -> bool:
        """Whether `key` is the account's live private key now."""
        return self._account(name).accepts(key)

    def minted_keys(self, name: str) -> tuple[str, ...]:
        """Every private key that the account ever had: what a leak scan has to look for."""
        return self._account(name).minted_keys()

    def enable_out_of_band(self, name: str) -> None:
        """Switch on as a human at the dashboard does: nobody here gets the key. Rejected as `enable`."""
        self._account(name).enable()

    def disable_out_of_band(self, name: str) -> None:
        """Switch off as a human at the dashboard does. Rejected as `disable`."""
        self._account(name).disable()

    def set_credits(self, name: str, credits: float) -> None:
        """Set the total of credits."""
        self._account(name).credits.set(credits)

    def set_variants(self, name: str, **changes: object) -> None:
        """Change some of the account's variants (see Variants); ValueError names a bad one."""
        account = self._account(name)
        account.variants = account.variants.changed(changes)

    def add_fault(self, kind: FaultKind | str, **values: object) -> None:
        """Add a fault after the others (fields as in Fault); ValueError names what is wrong."""
        self._state.faults.add(Fault.read({"kind": kind, **values}))

    def clear_faults(self) -> None:
        """Forget all faults; late effects on their way still come."""
        self._state.faults.clear()

    def calls(self, account: str | None = None) -> list[Call]:
        """Return the calls so far in order of arrival, of one account or of all and of nobody."""
        return self._state.calls.calls(account)

    def clear_calls(self) -> None:
        """Forget the calls so far."""
        self._state.calls.clear()

    def _account(self, name: str) -> Account:
        return self._state.directory.get(name).account


def _listener(port: int) -> socket.socket:
    # asyncio switches Nagle's algorithm off only for sockets that name TCP; else each reply takes 40 ms.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind((LOOPBACK, port))
        listener.listen(128)
    except OSError:
        listener.close()
        raise
    return listener


class _Server(uvicorn.Server):
    """uvicorn that tells when it serves, and that can be stopped from another thread."""

    def __init__(self, state: SandboxState) -> None:
        super().__init__(
            uvicorn.Config(
                pinata_app.build(state),
                http=ClosableProtocol,
                ws="none",
                loop="asyncio",
                lifespan="on",
                proxy_headers=False,
                server_header=False,
                access_log=False,
                log_config=None,
                log_level="error",
                timeout_graceful_shutdown=1,
            )
        )
        self.ready = threading.Event()
        self._state = state
        self._loop: asyncio.AbstractEventLoop | None = None

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        await super().startup(sockets)
        self.ready.set()

    def stop(self) -> None:
        self.should_exit = True
        if self._loop is not None:
            # RuntimeError: the loop has ended already.
            with contextlib.suppress(RuntimeError):
                self._loop.call_soon_threadsafe(self._state.stopping.set)
