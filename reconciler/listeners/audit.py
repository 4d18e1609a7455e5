"""The audit log: a line before each change and one after it, in a file that is only ever appended to.

What cannot be noted is not done. A begin without an end is a change that was cut off in the middle.
"""

import errno
import fcntl
import json
import logging
import os
import pwd
import socket
import stat
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from pulumi_pinata.core.errors import PinataError, Refused
from reconciler.conditions import of_error
from reconciler.fleetplan import Condition, Ending, Result, Row
from reconciler.loop.listener import Listener

ABOUT = "--audit-log"
_FLAGS = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC
_PATIENCE = 5.0  # seconds for another process to finish its line
_log = logging.getLogger(__name__)


class AuditLog(Listener):
    """Notes every change in the file at `path`; `command` is what this process was started to do.

    For any number of threads and processes at once. Raises Refused when the file cannot be opened.
    """

    def __init__(
        self, path: Path, command: str, *, now: Callable[[], datetime] = lambda: datetime.now(timezone.utc)
    ) -> None:
        self._file = _Appended(path)
        self._now = now
        self._who = {"actor": _actor(), "pid": os.getpid(), "command": command}
        self._lock = threading.Lock()
        self._open: dict[tuple[str, str], str] = {}

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def begins(self, row: Row, run: str, commit: str | None, change: str | None = None) -> None:
        """See `Listener.begins`; `change` names what no `Kind` does. Raises Refused when it cannot be noted."""
        change = change or row.kind.value
        about = {**self._common("begin", row, run, commit, change), "reason": row.reason or None, "outage": row.outage}
        self._file.append({**about, "version": row.version or None, "fingerprint": row.fingerprint})
        with self._lock:
            self._open[run, row.name] = change

    def ended(self, result: Result, run: str, commit: str | None) -> None:
        """See `Listener.ended`; what has no begin, since it was not begun or could not be noted, has no end."""
        with self._lock:
            change = self._open.pop((run, result.row.name), None)
        if change is None:
            return
        error = result.error
        entry = {
            **self._common("end", result.row, run, commit, change),
            "ending": result.ending.value,
            "condition": result.condition.value,
            "version": result.version or None,
            "fingerprint": result.fingerprint,
            "error": {"class": type(error).__name__, "message": str(error)} if error else None,
        }
        try:
            self._file.append(entry)
        except Refused as refused:
            # It has been done already; that it was begun is in the file, and what became of it is said here.
            _log.error(
                "the end of a change is missing in the audit log: run %s, account %s, %s: %s. %s",
                *(run, result.row.name, change, result.ending.value, refused),
            )

    @contextmanager
    def around(self, row: Row, run: str, change: str) -> Iterator[Callable[[int, str], None]]:
        """A change that is made apart from a plan; yields what takes the version and fingerprint of the key.

        Raises Refused, before anything is changed, when it cannot be noted.
        """
        key: list[tuple[int, str]] = []
        self.begins(row, run, None, change)
        try:
            yield lambda version, fingerprint: key.append((version, fingerprint))
        except BaseException as error:
            known = error if isinstance(error, PinataError) else PinataError(f"an unexpected {type(error).__name__}.")
            self.ended(Result(row, Ending.FAILED, of_error(known), error=known), run, None)
            raise
        self.ended(Result(row, Ending.DONE, Condition.READY, *(key[-1] if key else ())), run, None)

    def _common(self, entry: str, row: Row, run: str, commit: str | None, change: str) -> dict[str, Any]:
        return {
            "time": self._now().astimezone(timezone.utc).isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "entry": entry,
            "run": run,
            "commit": commit,
            **self._who,
            "fleet": _fleet(row),
            "account": row.name,
            "accountFingerprint": row.account,
            "change": change,
            "path": row.path or None,
        }


class _Appended:
    """A file of lines of JSON, each on the disk before `append` returns."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._lock = threading.Lock()
        self._fd = _opened(path)

    def close(self) -> None:
        """Nothing can be appended afterwards."""
        with self._lock:
            if self._fd >= 0:
                os.close(self._fd)
            self._fd = -1

    def append(self, entry: dict[str, Any]) -> None:
        """One line, by one write. Raises Refused when it cannot be written as a whole."""
        line = json.dumps(entry, separators=(",", ":"), ensure_ascii=True).encode() + b"\n"
        with self._lock:
            try:
                self._follow()
                self._write(line)
                os.fsync(self._fd)
            except OSError as error:
                raise _refused(error) from None

    def _follow(self) -> None:
        """Open the file anew when it was moved away, as log rotation does."""
        mine = os.fstat(self._fd)
        try:
            named = os.stat(self._path, follow_symlinks=False)
        except FileNotFoundError:
            named = None
        if named is None or (named.st_dev, named.st_ino) != (mine.st_dev, mine.st_ino):
            fresh = _opened(self._path)
            os.close(self._fd)
            self._fd = fresh

    def _write(self, line: bytes) -> None:
        self._take()
        try:
            # A process that was killed, or a disk that was full, may have left a line without an end.
            size = os.fstat(self._fd).st_size
            torn = size > 0 and os.pread(self._fd, 1, size - 1) != b"\n"
            whole = b"\n" + line if torn else line
            if os.write(self._fd, whole) < len(whole):
                raise OSError(None, "it took only part of the line")
        finally:
            fcntl.flock(self._fd, fcntl.LOCK_UN)

    def _take(self) -> None:
        """Keep other processes out, so that none sees half a line of another; not for ever, since one may hang."""
        end = time.monotonic() + _PATIENCE
        while True:
            try:
                fcntl.flock(self._fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                if time.monotonic() > end:
                    raise OSError(None, "another process keeps it locked") from None
                time.sleep(0.005)
            else:
                return


def _opened(path: Path) -> int:
    try:
        fd = os.open(path, _FLAGS, 0o600)
    except OSError as error:
        raise _refused(error) from None
    if not stat.S_ISREG(os.fstat(fd).st_mode):
        os.close(fd)
        raise Refused("the audit log is not a file.", about=ABOUT, hint="Name a file; pipes and devices keep nothing.")
    return fd


def _refused(error: OSError) -> Refused:
    why = "it is a symbolic link" if error.errno == errno.ELOOP else error.strerror or type(error).__name__
    return Refused(
        f"the audit log cannot be written ({why}).",
        about=ABOUT,
        hint="Without it nothing is changed: see that its folder exists, may be written to and has space.",
    )


def _actor() -> str:
    """The user that this process runs as, whatever the environment says, at the host's name."""
    try:
        user = pwd.getpwuid(os.geteuid()).pw_name
    except KeyError:  # containers run under numbers without a name
        user = str(os.geteuid())
    return f"{user}@{socket.gethostname()}"


def _fleet(row: Row) -> str | None:
    """From the owner mark, `reconciler:FLEET/NAME`: a fleet's name may change with a commit."""
    owner = row.settings.owner if row.settings else str(row.entry.inputs.get("owner") or "") if row.entry else ""
    return owner.removeprefix("reconciler:").rpartition("/")[0] or None
