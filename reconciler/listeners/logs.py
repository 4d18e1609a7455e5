"""The log on standard error: lines of JSON for programs, or text for people."""

import json
import logging
import os
import re
import sys
import threading
import traceback
from collections.abc import Mapping, MutableMapping
from pathlib import Path
from types import TracebackType
from typing import Any, TextIO

import structlog
from structlog.typing import FilteringBoundLogger

Log = FilteringBoundLogger

LEVELS = {"debug": logging.DEBUG, "info": logging.INFO, "warning": logging.WARNING}
_COLOURS = {"debug": "2", "info": "32", "warning": "33", "error": "31", "critical": "31"}
# At INFO they tell each request's URL, and below that its headers.
_LIBRARIES = ("httpx", "httpcore", "hvac", "requests", "urllib3", "uvicorn", "asyncio", "opentelemetry")
_BARE = re.compile(r"[\w./:@+,#%-]+", re.ASCII)


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
