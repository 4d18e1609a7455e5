"""Spans of a pass, as a collector gets them: a real receiver on loopback, and OpenTelemetry's own wire format."""

import logging
import re
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import datetime, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from opentelemetry.proto.collector.trace.v1.trace_service_pb2 import ExportTraceServiceRequest
from opentelemetry.proto.trace.v1.trace_pb2 import Span, Status
from sandbox_fleet import MakeFleet

from pulumi_pinata.core.errors import Refused, Transient
from pulumi_pinata.sandbox.openbao_files import free_port
from pulumi_pinata.wiring import Connections
from reconciler.apply import apply
from reconciler.fleet import make_plan
from reconciler.fleetplan import Condition, Ending, FleetPlan, Kind, Result, Row
from reconciler.listeners import tracing as module
from reconciler.listeners.traces import MOST_SPANS, Traces
from reconciler.listeners.tracing import CLOSING, ENDPOINTS, tracing
from reconciler.loop.events import Event, EventKind
from reconciler.loop.view import AccountView, FleetView, PassView, SourceView
from reconciler.manifest import manifests
from reconciler.upstreams import Access, Upstreams

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=timezone.utc)
ENDPOINT = ENDPOINTS[1]
SECRET = "hunter2hunter2"


class Collector:
    """An OTLP/HTTP receiver; `hangs` until it is closed, instead of answering."""

    def __init__(self, status: int = 200, *, hangs: bool = False, port: int = 0) -> None:
        self.spans: list[Span] = []
        self.resources: list[dict[str, str]] = []
        self.bodies = b""
        self.asked = threading.Event()
        self._let_go = threading.Event()
        collector = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                collector.asked.set()
                if hangs:
                    collector._let_go.wait(60)
                collector._take(self.path, body)
                self.send_response(status)
                self.send_header("Content-Length", "0")
                self.end_headers()

            def log_message(self, *_: object) -> None:
                return

        self._server = ThreadingHTTPServer(("127.0.0.1", port), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    def _take(self, path: str, body: bytes) -> None:
        assert "/v1/traces" == path
        self.bodies += body
        for each in ExportTraceServiceRequest.FromString(body).resource_spans:
            self.resources.append({fact.key: fact.value.string_value for fact in each.resource.attributes})
            self.spans += [span for scope in each.scope_spans for span in scope.spans]

    def close(self) -> None:
        self._let_go.set()
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()

    def named(self, name: str) -> Span:
        (span,) = [span for span in self.spans if span.name == name]
        return span

    def below(self, parent: Span) -> list[Span]:
        found = [span for span in self.spans if span.parent_span_id == parent.span_id]
        assert {parent.trace_id} >= {span.trace_id for span in found}
        return found


@pytest.fixture(autouse=True)
def _environment(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    for name in (*ENDPOINTS, "OTEL_SDK_DISABLED", "OTEL_TRACES_EXPORTER", "OTEL_SERVICE_NAME"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("OTEL_BSP_SCHEDULE_DELAY", "50")
    yield
    # What `tracing` changes of the process's logging.
    log = logging.getLogger("opentelemetry")
    log.propagate = True
    log.handlers.clear()


@pytest.fixture
def collector() -> Iterator[Collector]:
    with closing(Collector()) as made:
        yield made


@pytest.fixture
def traces(collector: Collector, monkeypatch: pytest.MonkeyPatch) -> Iterator[Traces]:
    monkeypatch.setenv(ENDPOINT, collector.url)
    made = tracing("1.2.3")
    assert made
    with closing(made):
        yield made


def view(*accounts: AccountView, good: bool = True, **values: Any) -> FleetView:
    last = PassView("run1", NOW, NOW, good, "1 created" if good else "1 failed")
    source = SourceView("git", "c0ffee")
    found = {each.name: each for each in accounts}
    return FleetView(**{"fleet": "shop", "accounts": found, "source": source, "last": last, **values})


def facts(span: Span | Span.Event) -> dict[str, Any]:
    return {fact.key: getattr(fact.value, fact.value.WhichOneof("value") or "") for fact in span.attributes}


def carry_out(traces: Traces, plan: FleetPlan, access: Access, workers: int) -> list[Result]:
    """As the loop does."""
    return apply(
        plan,
        access,
        workers=workers,
        now=NOW,
        notice=lambda name, line: traces.noticed(name, line, "run1"),
        begins=lambda row: traces.begins(row, "run1", "c0ffee"),
        seen=lambda result: traces.ended(result, "run1", "c0ffee"),
    )


def test_a_real_pass_has_a_span_with_one_for_each_changed_account_and_their_calls_below(
    fleet_of: MakeFleet, traces: Traces, collector: Collector
) -> None:
    fleet = fleet_of(6)
    with fleet.environment(), Connections(size=3) as connections:
        access = Upstreams(connections, called=traces.called)
        loaded = manifests.load([fleet.manifests], fleet.env)
        began = time.monotonic()
        plan = make_plan(loaded, access, workers=3, now=NOW)
        results = carry_out(traces, plan, access, 3)
        traces.passed(view(), seconds=time.monotonic() - began, whole=True)
    traces.close()

    assert {Ending.DONE} == {result.ending for result in results}
    whole = collector.named("pass")
    assert b"" == whole.parent_span_id
    changed = {facts(span)["pinata.account"]: span for span in collector.below(whole)}
    assert set(fleet.names) == set(changed)
    for span in changed.values():
        calls = [call.name for call in sorted(collector.below(span), key=lambda call: call.start_time_unix_nano)]
        assert 1 == calls.count("pinata.enable")
        assert calls.index("pinata.enable") < calls.index("vault.write")
        assert ("create", "done", "Ready") == tuple(
            facts(span)[f"pinata.{name}"] for name in ("kind", "ending", "condition")
        )
    assert 1 + 6 + sum(len(collector.below(span)) for span in changed.values()) == len(collector.spans)
    assert 6 == facts(whole)["pinata.changes.done"]
    # The looks before it have no spans of their own, but are counted.
    assert sum(len(collector.below(span)) for span in changed.values()) < sum(
        value for name, value in facts(whole).items() if name.startswith("pinata.calls.")
    )
    fleet.assert_no_secret(collector.bodies.decode("latin-1"))


def test_children_lie_within_their_parents(fleet_of: MakeFleet, traces: Traces, collector: Collector) -> None:
    fleet = fleet_of(2)
    with fleet.environment(), Connections(size=2) as connections:
        access = Upstreams(connections, called=traces.called)
        plan = make_plan(manifests.load([fleet.manifests], fleet.env), access, workers=2, now=NOW)
        carry_out(traces, plan, access, 2)
        traces.passed(view(), seconds=0.001, whole=True)  # as if the wall clock had been set back meanwhile
    traces.close()

    whole = collector.named("pass")
    for parent in (whole, *collector.below(whole)):
        for child in collector.below(parent):
            assert parent.start_time_unix_nano <= child.start_time_unix_nano + 1_000_000
            assert child.end_time_unix_nano <= parent.end_time_unix_nano


def test_calls_are_told_apart_by_their_threads(traces: Traces, collector: Collector) -> None:
    barrier = threading.Barrier(4)

    def work(name: str) -> None:
        row = Row(name, Kind.CREATE, Condition.OFF, "")
        for _ in range(3):
            traces.begins(row, "run1", None)
            barrier.wait(10)
            traces.called("vault", f"stat-{name}", "ok", 0.001)
            barrier.wait(10)
        traces.ended(Result(row, Ending.DONE, Condition.READY), "run1", None)
        traces.called("vault", "afterwards", "ok", 0.001)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(work, "abcd"))
    traces.passed(view(), seconds=1, whole=False)
    traces.close()

    below = {facts(span)["pinata.account"]: collector.below(span) for span in collector.below(collector.named("pass"))}
    assert {name: [f"vault.stat-{name}"] for name in "abcd"} == {
        name: [call.name for call in calls] for name, calls in below.items()
    }
    assert 16 == facts(collector.named("pass"))["pinata.calls.vault.ok"]


def test_a_pass_says_what_it_was(traces: Traces, collector: Collector) -> None:
    ready = AccountView("a", Condition.READY, Kind.NONE, "", NOW, NOW)
    traces.ended(Result(Row("b", Kind.PRUNE, Condition.READY, ""), Ending.NOT_STARTED, Condition.READY), "run1", None)
    traces.passed(view(ready, good=False, held=("no",), problems=("x", "y")), seconds=2.5, whole=True)
    traces.close()

    span = collector.named("pass")
    expected = {
        "pinata.run": "run1",
        "pinata.commit": "c0ffee",
        "pinata.fleet": "shop",
        "pinata.whole": True,
        "pinata.good": False,
        "pinata.accounts": 1,
        "pinata.held": 1,
        "pinata.problems": 2,
        "pinata.changes.done": 0,
        "pinata.changes.failed": 0,
        "pinata.changes.not_started": 1,
        "pinata.spans.left_out": 0,
    }
    assert expected == facts(span)
    assert (Status.STATUS_CODE_ERROR, "1 failed") == (span.status.code, span.status.message)
    assert 2_500_000_000 == span.end_time_unix_nano - span.start_time_unix_nano
    assert {"service.name": "pinata-reconciler", "service.version": "1.2.3"}.items() <= collector.resources[0].items()


def test_a_failure_is_described_in_our_own_words_with_notices_as_events(traces: Traces, collector: Collector) -> None:
    row = Row("a", Kind.REMINT, Condition.KEY_LOST, "")
    error = Transient("Vault is sealed.", about="vault.address")
    traces.begins(row, "run1", None)
    traces.noticed("a", "Vault does not answer; tried again.", "run1")
    traces.called("vault", "write", "transient", 0.01)
    traces.ended(Result(row, Ending.FAILED, Condition.STORE_UNAVAILABLE, error=error), "run1", None)
    traces.called("pinata", "status", "refused", 0.01)
    traces.told([Event(EventKind.FAILING, NOW, "has failed 3 times", "shop", account="a", run="run1")])
    traces.passed(view(good=False), seconds=1, whole=True)
    traces.close()

    span, call, whole = (collector.named(name) for name in ("remint", "vault.write", "pass"))
    assert "vault.address: Vault is sealed." == span.status.message
    assert [("notice", "Vault does not answer; tried again.")] == [
        (event.name, facts(event)["message"]) for event in span.events
    ]
    assert (Status.STATUS_CODE_ERROR, "transient") == (call.status.code, call.status.message)
    assert Span.SPAN_KIND_CLIENT == call.kind
    assert ["call failed", "failing"] == [event.name for event in whole.events]


def test_an_account_that_was_not_finished_says_so(traces: Traces, collector: Collector) -> None:
    traces.begins(Row("a", Kind.CREATE, Condition.OFF, ""), "run1", None)
    traces.passed(view(), seconds=1, whole=True)
    traces.close()

    assert "not finished" == collector.named("create").status.message


def test_a_pass_leaves_nothing_for_the_next(traces: Traces, collector: Collector) -> None:
    row = Row("a", Kind.CREATE, Condition.OFF, "")
    for _ in range(2):
        traces.begins(row, "run1", None)
        traces.ended(Result(row, Ending.DONE, Condition.READY), "run1", None)
        traces.passed(view(), seconds=1, whole=True)
    traces.close()

    passes = [span for span in collector.spans if span.name == "pass"]
    assert [1, 1] == [len(collector.below(span)) for span in passes]
    assert 2 == len({span.trace_id for span in passes})


def test_a_look_at_the_source_leaves_a_trace_when_something_came_of_it(traces: Traces, collector: Collector) -> None:
    traces.fetched(view(), seconds=0.1, changed=False)
    traces.fetched(view(), seconds=0.1, changed=True)
    traces.fetched(view(source=SourceView("git", error="the server is down")), seconds=0.1, changed=False)
    traces.close()

    assert [("fetch", ""), ("fetch", "the server is down")] == [
        (span.name, span.status.message) for span in collector.spans
    ]


def test_the_page_names_every_attribute_and_no_other(traces: Traces, collector: Collector) -> None:
    row = Row("a", Kind.CREATE, Condition.OFF, "")
    traces.begins(row, "run1", None)
    traces.called("vault", "write", "ok", 0.01)
    traces.ended(Result(row, Ending.DONE, Condition.READY), "run1", None)
    traces.passed(view(), seconds=1, whole=True)
    traces.fetched(view(), seconds=0.1, changed=True)
    traces.close()

    found = {name for span in collector.spans for name in facts(span)}
    page = (Path(__file__).parents[2] / "docs" / "metrics.md").read_text().partition("## Traces")[2]
    named = set(re.findall(r"`(pinata\.[\w.]+)`", page))
    assert found - {"pinata.calls.vault.ok"} == named - {"pinata.calls.UPSTREAM.RESULT"}
    assert f"{MOST_SPANS:,} spans" in page
    assert f"{CLOSING:g} seconds" in page


def test_a_large_pass_keeps_as_many_spans_as_the_queue_takes(traces: Traces, collector: Collector) -> None:
    for number in range(MOST_SPANS):
        row = Row(f"a{number}", Kind.CREATE, Condition.OFF, "")
        traces.begins(row, "run1", None)
        traces.called("pinata", "enable", "ok", 0.01)
        traces.ended(Result(row, Ending.DONE, Condition.READY), "run1", None)
    traces.passed(view(), seconds=1, whole=True)
    traces.close()

    assert 1 + MOST_SPANS == len(collector.spans)
    assert MOST_SPANS == facts(collector.named("pass"))["pinata.spans.left_out"]
    assert MOST_SPANS == facts(collector.named("pass"))["pinata.changes.done"]


def test_a_name_that_is_no_text_costs_no_other_span(traces: Traces, collector: Collector) -> None:
    traces.fetched(view(source=SourceView("folder \udcff", error="\udcff is missing")), seconds=0.1, changed=False)
    traces.close()

    assert "? is missing" == collector.named("fetch").status.message


@pytest.mark.parametrize(
    "variables",
    [
        {},
        {ENDPOINT: ""},
        {ENDPOINT: "http://127.0.0.1:4318", "OTEL_SDK_DISABLED": "TRUE"},
        {ENDPOINT: "http://127.0.0.1:4318", "OTEL_TRACES_EXPORTER": "none"},
    ],
    ids=str,
)
def test_there_are_no_traces_where_none_are_asked_for(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str]
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    assert tracing("1") is None


def test_the_variable_for_traces_alone_is_enough_and_a_service_name_is_heeded(
    collector: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(ENDPOINTS[0], f"{collector.url}/v1/traces")
    monkeypatch.setenv("OTEL_SERVICE_NAME", "shop-keys")
    made = tracing("1")
    assert made
    made.passed(view(), seconds=1, whole=True)
    made.close()

    assert ["shop-keys"] == [each["service.name"] for each in collector.resources]


def test_a_missing_extra_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ENDPOINT, "http://127.0.0.1:4318")
    monkeypatch.setitem(sys.modules, "opentelemetry.sdk.trace", None)

    with pytest.raises(Refused, match=r"pulumi-pinata\[otel\]") as caught:
        tracing("1")
    assert ENDPOINT == caught.value.about


@pytest.mark.parametrize(
    ("variables", "about"),
    [
        ({ENDPOINT: f"collector:4318/{SECRET}"}, ENDPOINT),
        ({ENDPOINT: "http://127.0.0.1:1", "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"}, "OTEL_EXPORTER_OTLP_PROTOCOL"),
        ({ENDPOINT: "http://127.0.0.1:1", "OTEL_BSP_MAX_QUEUE_SIZE": "-1"}, "OTEL_…"),
    ],
    ids=["no address", "grpc", "bad number"],
)
def test_what_cannot_be_had_is_refused_without_quoting_it(
    monkeypatch: pytest.MonkeyPatch, variables: dict[str, str], about: str
) -> None:
    for name, value in variables.items():
        monkeypatch.setenv(name, value)

    with pytest.raises(Refused) as caught:
        tracing("1")
    assert about == caught.value.about
    assert SECRET not in str(caught.value)


def test_a_collector_that_is_down_costs_nothing_but_one_word(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with socket.socket() as taken:  # bound, not listening: refused
        taken.bind(("127.0.0.1", 0))
        monkeypatch.setenv(ENDPOINT, f"http://127.0.0.1:{taken.getsockname()[1]}/{SECRET}")
        monkeypatch.setenv("OTEL_EXPORTER_OTLP_TIMEOUT", "1")
        said: list[str] = []
        told = threading.Event()
        made = tracing("1", lambda line: (said.append(line), told.set())[0])
        assert made
        took = timed(lambda: made.passed(view(), seconds=1, whole=True))
        assert told.wait(30)
        made.passed(view(), seconds=1, whole=True)
        closing_took = timed(made.close)

    assert ["traces cannot be sent, and are dropped"] == said
    assert took < 0.7  # to send it, with the wait before another try, takes 0.8 at least
    assert closing_took < CLOSING + 5
    # What libraries say at DEBUG is theirs; from INFO on it would reach a user's log.
    assert [] == [record.getMessage() for record in caplog.records if record.levelno > logging.DEBUG]
    assert ("", "") == capfd.readouterr()


def test_a_collector_that_works_again_is_told_of(monkeypatch: pytest.MonkeyPatch) -> None:
    said: list[str] = []
    heard = threading.Semaphore(0)

    def say(line: str) -> None:
        said.append(line)
        heard.release()

    with closing(Collector(400, port=free_port())) as broken:
        monkeypatch.setenv(ENDPOINT, broken.url)
        made = tracing("1", say)
        assert made
        made.passed(view(), seconds=1, whole=True)
        assert heard.acquire(timeout=30)
        port = int(broken.url.rpartition(":")[2])
    with closing(Collector(port=port)):
        made.passed(view(), seconds=1, whole=True)
        assert heard.acquire(timeout=30)
        made.close()

    assert ["traces cannot be sent, and are dropped", "traces are sent again"] == said


def test_a_collector_that_never_answers_holds_up_neither_a_pass_nor_the_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "CLOSING", 0.3)
    with closing(Collector(hangs=True)) as silent:
        monkeypatch.setenv(ENDPOINT, silent.url)
        made = tracing("1", lambda line: None)
        assert made
        made.passed(view(), seconds=1, whole=True)
        assert silent.asked.wait(30)
        passing = timed(lambda: made.passed(view(), seconds=1, whole=True))
        took = timed(made.close)
    # The threads that were left behind end with the process; here, with the collector.
    for thread in threading.enumerate():
        if thread.name in ("traces-shutdown", "OtelBatchSpanRecordProcessor"):
            thread.join(10)
            assert not thread.is_alive()

    assert passing < 5  # a span that is sent waits for an answer for 10
    assert took < 5


def timed(work: Callable[[], object]) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began
