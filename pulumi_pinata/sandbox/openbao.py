"""A real OpenBao server (Vault API) as a child process on loopback; what is set up in it: openbao_setup."""

import atexit
import contextlib
import json
import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from types import TracebackType

from pulumi_pinata.sandbox import openbao_setup
from pulumi_pinata.sandbox.openbao_api import LOOPBACK, BaoApi
from pulumi_pinata.sandbox.openbao_files import find_binary, free_port, is_free, write_config, write_private
from pulumi_pinata.sandbox.openbao_setup import Provisioned

_ATTEMPTS = 5
_PATIENCE = 30.0
_LOOKS_AGAIN = 6.0


class BaoNotStarted(RuntimeError):
    """The server did not come up; the message says why and carries no secret."""


class OpenBao:
    """Context manager: `with OpenBao() as bao:` serves on `bao.addr` until the block ends.

    Without `storage` all is in memory and `stop()` loses it. With `storage` (a folder of its own, made if
    absent) the store survives `stop()` and `start()`, also by another process: the folder then holds the
    seal key and the root token, mode 0600. `port` 0 = a free one; it stays the same over a restart.
    The server unseals itself; no token is ever in arguments, environment or log.
    """

    def __init__(self, *, storage: Path | None = None, port: int = 0) -> None:
        self._storage = storage
        self._port = port
        self._fixed_port = port != 0
        self._process: subprocess.Popen[bytes] | None = None
        self._run_dir: Path | None = None
        self._root_token = ""
        self._tries_again = 0.0
        self._recovery_key = ""

    def __enter__(self) -> "OpenBao":
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    @property
    def addr(self) -> str:
        """What VAULT_ADDR wants."""
        return f"http://{LOOPBACK}:{self._port}"

    @property
    def root_token(self) -> str:
        """The root token; after `start()`."""
        return self._root_token

    @property
    def pid(self) -> int | None:
        """The server's process id, or None when it is stopped."""
        return self._process.pid if self._process else None

    @property
    def api(self) -> BaoApi:
        """A caller with the root token."""
        return BaoApi(self._port, token=self._root_token)

    def start(self) -> None:
        """Start, initialise a new store, and return once it is active. BaoNotStarted says why not."""
        if self._process is not None:
            raise RuntimeError("this OpenBao runs already")
        self._run_dir = Path(tempfile.mkdtemp(prefix="pinata-sandbox-bao-"))
        atexit.register(self.stop)
        try:
            self._listen()
            self._initialise()
            self._await(lambda: self._health() == 200, "become active")
        except BaseException:
            self.stop()
            raise

    def stop(self, *, kill: bool = False) -> None:
        """End the server, `kill` = by SIGKILL as in a crash, and remove its run folder; again is harmless."""
        atexit.unregister(self.stop)
        process, self._process = self._process, None
        if process is not None:
            # A store in memory has nothing to flush.
            _end(process, kill=kill or self._storage is None)
        if self._run_dir is not None:
            shutil.rmtree(self._run_dir, ignore_errors=True)
            self._run_dir = None

    def pause(self) -> None:
        """Freeze the process (SIGSTOP): connections are accepted by the kernel and never answered."""
        process = self._running()
        process.send_signal(signal.SIGSTOP)
        os.waitpid(process.pid, os.WUNTRACED)  # a signal sent is not one delivered: until then calls are answered

    def resume(self) -> None:
        """Let a paused process go on."""
        self._running().send_signal(signal.SIGCONT)

    def seal(self) -> None:
        """Seal: every call answers 503 until `unseal()` or a restart.

        Waits within the first seconds of a new store: the server itself tries to unseal that once more.
        """
        time.sleep(max(0.0, self._tries_again - time.monotonic()))
        self.api.call("PUT", "sys/seal")

    def unseal(self) -> None:
        """Unseal and return once the server is active again."""
        self.api.call("PUT", "sys/unseal", {"key": self._recovery_key})
        self._await(lambda: self._health() == 200, "become active")

    def provision(self) -> Provisioned:
        """Set up mounts, policies and logins (openbao_setup.provision)."""
        return openbao_setup.provision(self.api)

    def make_token(self, policies: Sequence[str], *, ttl: int = 3600, renewable: bool = True) -> str:
        """Return a token with exactly these policies (no `default`), valid `ttl` seconds."""
        wanted = {"policies": list(policies), "ttl": f"{ttl}s", "renewable": renewable}
        return self.api.auth("auth/token/create", {**wanted, "no_default_policy": True})

    def revoke(self, token: str) -> None:
        """Revoke a token at once."""
        self.api.call("POST", "auth/token/revoke", {"token": token})

    def _listen(self) -> None:
        for _attempt in range(_ATTEMPTS):
            if not self._fixed_port:
                self._port = free_port()
            # Else whoever listens there, perhaps a real Vault, would be taken for ours.
            if not is_free(self._port):
                raise BaoNotStarted(f"port {self._port} is in use; choose another or let it be chosen")
            self._spawn()
            try:
                self._await(lambda: self._health() > 0, "answer")
            except BaoNotStarted as failed:
                # Between choosing a free port and binding it, another process may have taken it.
                if self._fixed_port or "address already in use" not in str(failed):
                    raise
                self._process = None
            else:
                self._fixed_port = True
                return
        raise BaoNotStarted(f"OpenBao found no free port in {_ATTEMPTS} attempts")

    def _spawn(self) -> None:
        run_dir = self._folder()
        config = write_config(run_dir, storage=self._storage, port=self._port)
        with (run_dir / "log").open("wb") as log:
            # A session of its own: a Ctrl-C in the terminal must not end it before those who use it.
            self._process = subprocess.Popen(  # noqa: S603  # our own binary and file
                [find_binary(), "server", f"-config={config}"],
                env={"HOME": str(run_dir), "PATH": os.defpath},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _initialise(self) -> None:
        kept = self._storage / "init.json" if self._storage else None
        if self._health() == 501:
            # It found nothing to unseal as it started, and looks again after 5 s (OpenBao, command/server.go).
            self._tries_again = time.monotonic() + _LOOKS_AGAIN
            answer = self.api.call("PUT", "sys/init", {"recovery_shares": 1, "recovery_threshold": 1})
            if kept:
                write_private(kept, json.dumps(answer).encode())
        elif kept and kept.exists():
            answer = json.loads(kept.read_text())
        else:
            raise BaoNotStarted(f"{self._storage} holds a store whose init.json is missing; use another folder")
        self._root_token = str(answer["root_token"])
        keys = answer["recovery_keys"]
        self._recovery_key = str(keys[0]) if isinstance(keys, list) else ""

    def _health(self) -> int:
        with contextlib.suppress(OSError, ValueError):
            return BaoApi(self._port, timeout=1).health()
        return 0

    def _await(self, done: Callable[[], bool], what: str) -> None:
        deadline = time.monotonic() + _PATIENCE
        while not done():
            if self._running().poll() is not None:
                raise BaoNotStarted(f"OpenBao ended before it could {what}: {self._last_words()}")
            if time.monotonic() > deadline:
                raise BaoNotStarted(f"OpenBao did not {what} within {_PATIENCE:g} s: {self._last_words()}")
            time.sleep(0.02)

    def _last_words(self) -> str:
        lines = (self._folder() / "log").read_text(errors="replace").strip().splitlines()
        return " | ".join(lines[-5:])

    def _running(self) -> "subprocess.Popen[bytes]":
        if self._process is None:
            raise RuntimeError("this OpenBao is stopped")
        return self._process

    def _folder(self) -> Path:
        if self._run_dir is None:
            raise RuntimeError("this OpenBao is stopped")
        return self._run_dir


def _end(process: "subprocess.Popen[bytes]", *, kill: bool) -> None:
    # A frozen process would hold back SIGTERM.
    process.send_signal(signal.SIGCONT)
    process.send_signal(signal.SIGKILL if kill else signal.SIGTERM)
    try:
        process.wait(10)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()
