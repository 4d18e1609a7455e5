"""The loop as OpenTelemetry spans.

Passes are noted as they run and made into spans when they end, with their real times: a span's parent is then known
whichever thread it came from, and a pass waits for nobody. A pass that is killed leaves no trace.
"""

import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from reconciler.fleetplan import Ending, Result, Row
from reconciler.loop.events import Event
from reconciler.loop.listener import Listener
from reconciler.loop.view import FleetView

if TYPE_CHECKING:
    from opentelemetry.trace import Span, Tracer

MOST_SPANS = 1500  # of a pass: fewer than the SDK's queue takes at once (2,048)
MOST_EVENTS = 100  # of a pass; the SDK takes 128 a span

Attributes = Mapping[str, str | bool | int | float]


@dataclass(frozen=True)
class _Noted:
    """Something at a moment, in nanoseconds since 1970."""

    at: int
    name: str
    attributes: Attributes


@dataclass(frozen=True)
class _Call:
    """A call, and when it ended."""

    at: int
    upstream: str
    operation: str
    result: str
    seconds: float


@dataclass
class _Change:
    """An account that is being changed, or was."""

    row: Row
    began: int
    calls: list[_Call] = field(default_factory=list)
    notices: list[_Noted] = field(default_factory=list)
    result: Result | None = None
    ended: int = 0


@dataclass
class _Pass:
    """What is known of the pass that is running."""

    changes: dict[str, _Change] = field(default_factory=dict)
    endings: Counter[Ending] = field(default_factory=Counter)
    calls: Counter[tuple[str, str]] = field(default_factory=Counter)
    noted: list[_Noted] = field(default_factory=list)
    spans: int = 0


class Traces(Listener):
    """A span a pass; below it one an account that was changed, and below that one a call made for it.

    Calls that only look at accounts are counted on the pass; those of them that fail are its events, as are the things
    that people are told of. Of a pass, at most MOST_SPANS spans are kept; how many were left out, it says.
    """

    def __init__(self, tracer: "Tracer", shutdown: Callable[[], None]) -> None:
        self._tracer = tracer
        self._shutdown = shutdown
        self._lock = threading.Lock()
        self._here = threading.local()
        self._pass = _Pass()

    def begins(self, row: Row, run: str, commit: str | None) -> None:
        """See `Listener.begins`; calls of this thread belong to that account from now on."""
        change = _Change(row, time.time_ns())
        self._here.change = change
        with self._lock:
            self._pass.spans += 1
            if self._pass.spans <= MOST_SPANS:
                self._pass.changes[row.name] = change

    def ended(self, result: Result, run: str, commit: str | None) -> None:
        """See `Listener.ended`."""
        with self._lock:
            self._pass.endings[result.ending] += 1
            if change := self._pass.changes.get(result.row.name):
                change.result, change.ended = result, time.time_ns()

    def noticed(self, name: str, line: str, run: str) -> None:
        """See `Listener.noticed`."""
        with self._lock:
            change = self._pass.changes.get(name)
            notices = change.notices if change else self._pass.noted
            if len(notices) < MOST_EVENTS:
                notices.append(_Noted(time.time_ns(), "notice", {"pinata.account": name, "message": line}))

    def told(self, events: Sequence[Event]) -> None:
        """See `Listener.told`; what the source is to blame for is in its own span."""
        with self._lock:
            for event in events:
                if event.run and len(self._pass.noted) < MOST_EVENTS:
                    facts = {"pinata.account": event.account or "", "message": event.message}
                    self._pass.noted.append(_Noted(time.time_ns(), event.kind.value, facts))

    def called(self, upstream: str, operation: str, result: str, seconds: float) -> None:
        """See `Listener.called`."""
        call = _Call(time.time_ns(), upstream, operation, result, seconds)
        change: _Change | None = getattr(self._here, "change", None)
        with self._lock:
            self._pass.calls[upstream, result] += 1
            if change and change.result is None:
                self._pass.spans += 1
                if self._pass.spans <= MOST_SPANS:
                    change.calls.append(call)
            elif result != "ok" and len(self._pass.noted) < MOST_EVENTS:
                facts = {"pinata.operation": f"{upstream}.{operation}", "pinata.result": result}
                self._pass.noted.append(_Noted(call.at, "call failed", facts))

    def passed(self, view: FleetView, *, seconds: float, whole: bool) -> None:
        """See `Listener.passed`: makes the spans."""
        with self._lock:
            done, self._pass = self._pass, _Pass()
        end = time.time_ns()
        # No child begins before its parent, though the wall clock may have been set meanwhile.
        start = min([end - round(seconds * 1e9), *(change.began for change in done.changes.values())])
        facts = {**_of_pass(view, whole=whole), **_of_calls(done), **_of_changes(done)}
        span = self._start("pass", facts, start)
        _add(span, done.noted)
        if not (view.last and view.last.good):
            _failed(span, view.last.summary if view.last else "")
        for change in done.changes.values():
            self._changed(span, change, end)
        span.end(end)

    def fetched(self, view: FleetView, *, seconds: float, changed: bool) -> None:
        """See `Listener.fetched`; a look that found nothing new leaves no trace."""
        if not (changed or view.source.error):
            return
        end = time.time_ns()
        facts = {"pinata.commit": view.source.commit or "", "pinata.source": view.source.name}
        span = self._start("fetch", facts, end - round(seconds * 1e9))
        if view.source.error:
            _failed(span, view.source.error)
        span.end(end)

    def close(self) -> None:
        """Send what is left, for as long as `shutdown` lets it."""
        self._shutdown()

    def _changed(self, parent: "Span", change: _Change, end: int) -> None:
        row, result = change.row, change.result
        facts: dict[str, str | int] = {"pinata.account": row.name, "pinata.kind": row.kind.value}
        if result:
            facts |= {"pinata.ending": result.ending.value, "pinata.condition": result.condition.value}
            facts |= {"pinata.vault.path": row.path, "pinata.vault.version": result.version}
        span = self._start(row.kind.value, facts, change.began, parent)
        _add(span, change.notices)
        if result is None or result.ending is not Ending.DONE:
            _failed(span, str(result.error) if result and result.error else "not finished")
        for call in change.calls:
            self._call(span, call)
        span.end(change.ended or end)

    def _call(self, parent: "Span", call: _Call) -> None:
        facts = {"pinata.upstream": call.upstream, "pinata.result": call.result}
        span = self._start(f"{call.upstream}.{call.operation}", facts, call.at - round(call.seconds * 1e9), parent)
        if call.result != "ok":
            _failed(span, call.result)
        span.end(call.at)

    def _start(self, name: str, facts: Attributes, start: int, parent: "Span | None" = None) -> "Span":
        from opentelemetry.context import Context
        from opentelemetry.trace import SpanKind, set_span_in_context

        # Contexts of their own: what some library has made current in this thread is no parent of ours.
        context = set_span_in_context(parent, Context()) if parent else Context()
        kind = SpanKind.CLIENT if "pinata.upstream" in facts else SpanKind.INTERNAL
        return self._tracer.start_span(name, context, kind, _clean(facts), start_time=start)


def _of_pass(view: FleetView, *, whole: bool) -> Attributes:
    last = view.last
    return {
        "pinata.run": last.run if last else "",
        "pinata.commit": view.source.commit or "",
        "pinata.fleet": view.fleet,
        "pinata.whole": whole,
        "pinata.good": bool(last and last.good),
        "pinata.accounts": len(view.accounts),
        "pinata.held": len(view.held),
        "pinata.problems": len(view.problems),
    }


def _of_changes(done: _Pass) -> Attributes:
    counts = {f"pinata.changes.{ending.value.replace(' ', '_')}": done.endings[ending] for ending in Ending}
    return {**counts, "pinata.spans.left_out": max(0, done.spans - MOST_SPANS)}


def _of_calls(done: _Pass) -> Attributes:
    return {f"pinata.calls.{upstream}.{result}": count for (upstream, result), count in sorted(done.calls.items())}


def _clean(facts: Attributes) -> Attributes:
    """What is no UTF-8 (a lone surrogate, from a file's name) would cost the whole batch."""
    return {name: _text(value) if isinstance(value, str) else value for name, value in facts.items()}


def _text(value: str) -> str:
    return value.encode("utf-8", "replace").decode()


def _add(span: "Span", noted: Sequence[_Noted]) -> None:
    for each in noted:
        span.add_event(each.name, _clean(each.attributes), each.at)


def _failed(span: "Span", message: str) -> None:
    from opentelemetry.trace import Status, StatusCode

    span.set_status(Status(StatusCode.ERROR, _text(message)))
