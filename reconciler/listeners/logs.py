"""The log on standard error: lines of JSON for programs, or text for people; and what of a pass is worth a line."""

import json
import logging
import os
import re
import sys
import threading
import traceback
from collections.abc import Mapping, MutableMapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

import structlog
from structlog.typing import FilteringBoundLogger

from reconciler.fleetplan import FAILURES, Ending, Result
from reconciler.loop.events import Event, EventKind
from reconciler.loop.listener import Listener
from reconciler.loop.view import FleetView

Log = FilteringBoundLogger

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING}
_COLOURS = {"debug": "2", "info": "32", "warning": "33", "error": "31", "critical": "31"}
# At INFO they tell each request's URL, and below that its headers.
_LIBRARIES = ("httpx", "httpcore", "hvac", "requests", "urllib3", "uvicorn", "asyncio", "opentelemetry")
_BARE = re.compile(r"[\w./:@+,#%-]+", re.ASCII)
# By "changed", and by a line for each problem and for each refusal of a guard.
_SAID = frozenset({EventKind.KEY_CHANGED, EventKind.KEY_GONE, EventKind.HELD, EventKind.MANIFEST_PROBLEMS})
_GOOD_NEWS = frozenset(
    {EventKind.RECOVERED, EventKind.SOURCE_RECOVERED, EventKind.RELEASED, EventKind.MANIFESTS_MENDED}
)


def configure(form: str = "auto", stream: TextIO | None = None, *, level: str = "info") -> Log:
    """The logger of this process, and the same form for whatever else is logged in it.

    `form` is json, text, or auto: text on a terminal. Libraries are heard from WARNING on; of what no one has caught,
    class and place are told, never the values.
    """
    stream = stream or sys.stderr
    terminal = stream.isatty()
    text = form == "text" or (form == "auto" and terminal)
    plain = bool(os.environ.get("NO_COLOR")) or os.environ.get("TERM") == "dumb"
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True, key="time"),
            _Text(colour=terminal and not plain) if text else _as_json,
        ],
        wrapper_class=structlog.make_filtering_bound_logger(LEVELS[level]),
        logger_factory=lambda *_: _Lines(stream),
    )
    log: Log = structlog.get_logger()
    root = logging.getLogger()
    for old in [handler for handler in root.handlers if isinstance(handler, _Routed)]:
        root.removeHandler(old)
    root.addHandler(_Routed(log))
    root.setLevel(logging.WARNING)
    for name in _LIBRARIES:
        logging.getLogger(name).setLevel(logging.WARNING)
    # A retry is announced by a bare word; what comes of it is told otherwise.
    logging.getLogger("stamina").setLevel(logging.ERROR)
    _catch(log)
    return log


class LogListener(Listener):
    """Tells the log what passes do. A failure that stays as it is is told once, and then only counted."""

    def __init__(self, log: Log) -> None:
        self._log = log
        self._lock = threading.Lock()
        self._failing: dict[str, str] = {}
        self._heard: dict[str, bool] = {}  # changes that failed in this pass, and whether that was news
        self._before: dict[str, object] = {}

    def ended(self, result: Result, run: str, commit: str | None) -> None:
        """See `Listener.ended`."""
        row = result.row
        about: dict[str, Any] = {"run": run, "commit": commit, "account": row.name}
        about |= {"change": row.kind.value, "path": row.path, **({"outage": True} if row.outage else {})}
        if result.ending is Ending.FAILED:
            error = str(result.error)
            about |= {"condition": result.condition.value, "error": error}
            news = self._heard[row.name] = self._is_new(row.name, error)
            (self._log.warning if news else self._log.debug)("change failed", **about)
        elif result.ending is Ending.NOT_STARTED:
            self._log.info("change not begun", **about)
        else:
            self._log.info("changed", **about, version=result.version or None, fingerprint=result.fingerprint)

    def noticed(self, name: str, line: str, run: str) -> None:
        """See `Listener.noticed`."""
        self._log.info("notice", run=run, account=name, notice=line)

    def told(self, events: Sequence[Event]) -> None:
        """See `Listener.told`."""
        for event in events:
            if event.kind in _SAID:
                continue
            say = self._log.info if event.kind in _GOOD_NEWS else self._log.warning
            about = {"account": event.account, "path": event.path, "version": event.version}
            shown = {name: value for name, value in about.items() if value is not None}
            say("told", run=event.run, commit=event.commit, kind=event.kind.value, **shown, message=event.message)

    def passed(self, view: FleetView, *, seconds: float, whole: bool) -> None:
        """See `Listener.passed`."""
        last = view.last
        about: dict[str, Any] = {"run": last.run if last else None, "commit": view.source.commit}
        again = self._failures(view, about, whole=whole)
        if self._changed("problem", view.problems):
            for line in view.problems:
                self._log.warning("problem in a manifest", **about, what=line)
        if self._changed("held", view.held):
            todo = f"pinata-reconciler plan, then correct the manifests or apply --acknowledge {view.checksum}"
            for line in view.held:
                self._log.warning("held back", **about, what=line, checksum=view.checksum, next=todo)
        kinds: dict[str, int] = {}
        for account in view.accounts.values():
            kinds[account.condition.value] = kinds.get(account.condition.value, 0) + 1
        good = last is not None and last.good
        say = self._log.info if good else self._log.warning
        if not whole and not any(self._heard.values()):
            say = self._log.debug  # failing accounts are tried again every few seconds
        say(
            "pass" if whole else "failing accounts tried again",
            **about,
            seconds=round(seconds, 3),
            good=good,
            summary=last.summary if last else "",
            accounts=kinds,
            **({"failing_as_before": again} if again else {}),
        )
        self._heard.clear()

    def fetched(self, view: FleetView, *, seconds: float, changed: bool) -> None:
        """See `Listener.fetched`."""
        source, about = view.source, {"commit": view.source.commit, "source": view.source.name}
        news = self._changed("source", _shape(source.error or ""))
        if source.error:
            (self._log.warning if news else self._log.debug)("source failed", **about, error=source.error)
        elif news or changed:
            self._log.info(
                "manifests changed" if changed else "source answers again", **about, seconds=round(seconds, 3)
            )
        else:
            self._log.debug("manifests unchanged", **about, seconds=round(seconds, 3))

    def called(self, upstream: str, operation: str, result: str, seconds: float) -> None:
        """See `Listener.called`."""
        self._log.debug("call", upstream=upstream, operation=operation, result=result, seconds=round(seconds, 3))

    def _failures(self, view: FleetView, about: Mapping[str, Any], *, whole: bool) -> int:
        """Tell those that have changed; the number of those that have not."""
        again = 0
        for name, account in view.accounts.items():
            if account.failures or account.kind in FAILURES:
                if name in self._heard:
                    again += not self._heard[name]
                elif self._is_new(name, account.reason):
                    shown = {"condition": account.condition.value, "error": account.reason, "path": account.path}
                    self._log.warning("account fails", **about, account=name, **shown)
                else:
                    again += 1
            elif self._recovered(name):
                self._log.info("account no longer fails", **about, account=name, condition=account.condition.value)
        if whole:
            with self._lock:
                self._failing = {name: shape for name, shape in self._failing.items() if name in view.accounts}
        return again

    def _is_new(self, name: str, error: str) -> bool:
        with self._lock:
            before, self._failing[name] = self._failing.get(name), _shape(error)
            return before != self._failing[name]

    def _recovered(self, name: str) -> bool:
        with self._lock:
            return self._failing.pop(name, None) is not None

    def _changed(self, what: str, now: object) -> bool:
        before, self._before[what] = self._before.get(what), now
        return (before or None) != (now or None)


def _shape(error: str) -> str:
    """A text without its numbers: "tried again in 4 s" is no news after "tried again in 9 s"."""
    return re.sub(r"\d+", "#", error)


def _as_json(_logger: object, _name: str, entry: MutableMapping[str, Any]) -> str:
    first = {key: entry.pop(key, None) for key in ("time", "level", "event")}
    return json.dumps({**first, **entry}, separators=(",", ":"), default=lambda value: f"<{type(value).__name__}>")


class _Text:
    """`time level event key=value …` in one line, whatever characters are in the values."""

    def __init__(self, *, colour: bool) -> None:
        self._colour = colour

    def __call__(self, _logger: object, _name: str, entry: MutableMapping[str, Any]) -> str:
        moment, level, event = (str(entry.pop(key, "")) for key in ("time", "level", "event"))
        shown = f"\x1b[{_COLOURS.get(level, '0')}m{level:<7}\x1b[0m" if self._colour else f"{level:<7}"
        pairs = [f"{key}={_quoted(value)}" for key, value in entry.items() if value not in (None, "", {})]
        return " ".join([moment[:19].replace("T", " "), shown, event if event.isprintable() else repr(event), *pairs])


def _quoted(value: object) -> str:
    if isinstance(value, Mapping):
        return ",".join(f"{name}:{count}" for name, count in value.items())
    text = str(value) if isinstance(value, (str, int, float)) else f"<{type(value).__name__}>"
    if _BARE.fullmatch(text):
        return text
    return json.dumps(text, ensure_ascii=not text.isprintable())


class _Lines:
    """Writes whole lines; a log that nobody takes any more must not stop a pass."""

    _lock = threading.Lock()

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def msg(self, line: str) -> None:
        try:
            with self._lock:
                self._stream.write(f"{line}\n")
                self._stream.flush()
        except (OSError, ValueError):
            return

    debug = info = warning = error = critical = exception = fatal = log = msg


class _Routed(logging.Handler):
    """What libraries log, in the form of ours; of an exception only class and place."""

    def __init__(self, log: Log) -> None:
        super().__init__()
        self._to = log

    def emit(self, record: logging.LogRecord) -> None:
        try:
            message = record.getMessage()
        except Exception:
            message = "a message that cannot be shown"
        about = caught(record.exc_info[0], record.exc_info[2]) if record.exc_info else {}
        self._to.log(record.levelno, message, logger=record.name, **about)


def _catch(log: Log) -> None:
    def in_thread(args: threading.ExceptHookArgs) -> None:
        if args.exc_type is not SystemExit:
            name = args.thread.name if args.thread else None
            log.error("uncaught", thread=name, **caught(args.exc_type, args.exc_traceback))

    def in_main(kind: type[BaseException], _error: BaseException, trace: TracebackType | None) -> None:
        log.error("uncaught", **caught(kind, trace))

    def nowhere(args: "sys.UnraisableHookArgs") -> None:
        log.error("uncaught", **caught(args.exc_type, args.exc_traceback))

    threading.excepthook, sys.excepthook, sys.unraisablehook = in_thread, in_main, nowhere


def caught(kind: type[BaseException] | None, trace: TracebackType | None) -> dict[str, str]:
    """Class and place: an exception's text, and the values in its frames, may be anything."""
    frames = traceback.extract_tb(trace)[-3:]
    places = [f"{Path(frame.filename).name}:{frame.lineno}" for frame in reversed(frames)]
    return {"error": kind.__name__ if kind else "", "at": " < ".join(places)}
