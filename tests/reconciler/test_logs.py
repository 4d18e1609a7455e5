"""The log: its two forms, what is worth a line, what is not told again, and that no secret is in it."""

import json
import logging
import re
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timezone
from io import StringIO
from pathlib import Path
from typing import Any

import pytest
import structlog
from sandbox_fleet import MakeFleet, SandboxFleet

from pulumi_pinata.core.errors import Refused
from reconciler.commands import run
from reconciler.fleetplan import Condition, Ending, Kind, Result, Row
from reconciler.listeners import log_lines, logs
from reconciler.listeners.log_lines import LogListener
from reconciler.loop.events import Event, EventKind
from reconciler.loop.view import AccountView, FleetView, PassView, SourceView

sys.path.insert(0, str(Path(__file__).parents[2] / "script" / "demo.d"))

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=timezone.utc)
QUIET = ("httpx", "httpcore", "hvac", "requests", "urllib3", "uvicorn", "asyncio", "opentelemetry", "stamina")


class Terminal(StringIO):
    def isatty(self) -> bool:
        return True


@pytest.fixture(autouse=True)
def as_before() -> Iterator[None]:
    """What `configure` sets for the whole process is put back."""
    root = logging.getLogger()
    hooks, handlers, level = (threading.excepthook, sys.excepthook, sys.unraisablehook), list(root.handlers), root.level
    levels = {name: logging.getLogger(name).level for name in QUIET}
    yield
    threading.excepthook, sys.excepthook, sys.unraisablehook = hooks
    root.handlers[:] = handlers
    root.setLevel(level)
    for name, before in levels.items():
        logging.getLogger(name).setLevel(before)
    structlog.reset_defaults()


@pytest.fixture
def stream() -> StringIO:
    return StringIO()


@pytest.fixture
def heard(stream: StringIO) -> LogListener:
    return LogListener(logs.configure("json", stream))


def told(stream: StringIO) -> list[dict[str, Any]]:
    """The lines since the last call."""
    found = [json.loads(line) for line in stream.getvalue().splitlines()]
    stream.seek(0)
    stream.truncate()
    return found


def row(name: str = "a", kind: Kind = Kind.ROTATE) -> Row:
    return Row(name, kind, Condition.READY, "too old", f"secret/pinata/{name}", version=3, fingerprint="fp3")


def failed(name: str = "a", error: str = "no answer.") -> Result:
    return Result(row(name), Ending.FAILED, Condition.UPSTREAM_UNAVAILABLE, error=Refused(error))


def view(*accounts: AccountView, good: bool = True, **values: Any) -> FleetView:
    base = FleetView("shop", {each.name: each for each in accounts}, SourceView("repo", "c1"))
    return replace(base, **{"last": PassView("r1", NOW, NOW, good, "fleet shop"), **values})


def account(name: str, failures: int = 0, reason: str = "", kind: Kind = Kind.NONE) -> AccountView:
    condition = Condition.UPSTREAM_UNAVAILABLE if failures else Condition.READY
    return AccountView(name, condition, kind, reason, NOW, NOW, failures=failures)


# --- form ---------------------------------------------------------------------------------------------


def test_a_line_of_json_has_time_level_event_and_values(stream: StringIO) -> None:
    logs.configure("json", stream).info("pass", run="r1", text='a "b"\nc')

    (line,) = told(stream)
    moment = datetime.fromisoformat(str(line.pop("time")).replace("Z", "+00:00"))
    assert timezone.utc == moment.tzinfo
    assert {"level": "info", "event": "pass", "run": "r1", "text": 'a "b"\nc'} == line


def test_auto_is_json_for_programs_and_text_for_people() -> None:
    file, terminal = StringIO(), Terminal()
    for each in (file, terminal):
        logs.configure("auto", each).info("pass")

    assert file.getvalue().startswith("{")
    assert not terminal.getvalue().startswith("{")


@pytest.mark.parametrize(
    ("stream", "env", "coloured"),
    [
        (Terminal(), {"TERM": "xterm"}, True),
        (Terminal(), {"TERM": "xterm", "NO_COLOR": "1"}, False),
        (Terminal(), {"TERM": "dumb"}, False),
        (StringIO(), {"TERM": "xterm"}, False),
    ],
)
def test_colour_is_for_terminals_that_want_it(
    stream: StringIO, env: dict[str, str], coloured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    logs.configure("text", stream).warning("held back")

    assert coloured == ("\x1b[33mwarning\x1b[0m" in stream.getvalue())
    assert coloured == ("\x1b" in stream.getvalue())


def test_text_stays_one_line_and_hands_no_control_characters_to_a_terminal(stream: StringIO) -> None:
    logs.configure("text", stream).info(
        "pass", account="a-1", error="x\x1b[2J\ny z", commit=None, accounts={"Ready": 2}
    )

    (line,) = stream.getvalue().splitlines()
    assert line.endswith(r'info    pass account=a-1 error="x\u001b[2J\ny z" accounts=Ready:2')


def test_a_log_that_nobody_takes_stops_nothing() -> None:
    stream = StringIO()
    log = logs.configure("json", stream)
    stream.close()

    log.info("pass")
    assert stream.closed


# --- other people's logs ------------------------------------------------------------------------------


def test_libraries_are_heard_from_warning_on_in_our_form(stream: StringIO) -> None:
    logs.configure("json", stream)
    for name in QUIET:
        logging.getLogger(name).info("GET https://vault.example/?token=s3cr3t")
    logging.getLogger("urllib3.connectionpool").warning("pool %s is full", "p")

    (line,) = told(stream)
    assert ("warning", "pool p is full", "urllib3.connectionpool") == (line["level"], line["event"], line["logger"])


def test_configured_twice_each_line_is_told_once(stream: StringIO) -> None:
    logs.configure("json", StringIO())
    logs.configure("json", stream)
    logging.getLogger("reconciler.listeners.notify").warning("dropped")

    assert ["dropped"] == [line["event"] for line in told(stream)]


def test_an_exception_is_told_by_class_and_place_and_never_by_its_text(stream: StringIO) -> None:
    logs.configure("json", stream)

    def fail() -> None:
        raise ValueError("s3cr3t")

    thread = threading.Thread(target=fail, name="worker")
    thread.start()
    thread.join()
    try:
        fail()
    except ValueError:
        logging.getLogger("uvicorn.error").exception("in a route")
        sys.excepthook(*sys.exc_info())  # type: ignore[arg-type]

    raw = stream.getvalue()
    uncaught, routed, main = told(stream)
    assert ("uncaught", "worker", "ValueError") == (uncaught["event"], uncaught["thread"], uncaught["error"])
    assert ("in a route", "ValueError") == (routed["event"], routed["error"])
    assert ("uncaught", "ValueError") == (main["event"], main["error"])
    assert all(line["at"].startswith("test_logs.py:") for line in (uncaught, routed, main))
    assert "s3cr3t" not in raw


# --- what a pass is worth -----------------------------------------------------------------------------


def test_a_change_is_told_with_its_key_and_its_outage(heard: LogListener, stream: StringIO) -> None:
    heard.ended(Result(row(), Ending.DONE, Condition.READY, 4, "fp4"), "r1", "c1")
    heard.ended(Result(row("b", Kind.CREATE), Ending.NOT_STARTED, Condition.OFF), "r1", None)

    first, second = told(stream)
    first.pop("time")
    assert {
        "level": "info",
        "event": "changed",
        "run": "r1",
        "commit": "c1",
        "account": "a",
        "change": "rotate",
        "path": "secret/pinata/a",
        "outage": True,
        "version": 4,
        "fingerprint": "fp4",
    } == first
    assert ("change not begun", False) == (second["event"], "outage" in second)


def test_a_pass_is_told_with_counts_and_is_a_warning_when_not_good(heard: LogListener, stream: StringIO) -> None:
    heard.passed(view(account("a"), account("b")), seconds=1.23456, whole=True)
    heard.passed(view(account("a"), good=False), seconds=1, whole=True)

    first, second = told(stream)
    assert ("info", "pass", "r1", "c1", 1.235, {"Ready": 2}) == tuple(
        first[name] for name in ("level", "event", "run", "commit", "seconds", "accounts")
    )
    assert ("warning", False) == (second["level"], second["good"])


def test_a_failure_that_stays_is_told_once_then_counted_and_its_end_is_told(
    heard: LogListener, stream: StringIO
) -> None:
    for number in (1, 2):
        names = [f"a{each}" for each in range(1000)]
        accounts = [account(name, number, f"tried again in {number} s", Kind.ERROR) for name in names]
        heard.passed(view(*accounts, good=False), seconds=1, whole=True)
        lines = told(stream)
        assert (2 if number == 1 else 1) == len(lines)
        if number == 1:
            assert ("accounts fail", 1000) == (lines[0]["event"], lines[0]["count"])
            assert "a0, a1, a2, a3, a4 and 995 more" == lines[0]["accounts"]
    assert 1000 == lines[-1]["failing_as_before"]

    heard.passed(view(account("a0", 3, "another reason", Kind.ERROR), account("a1")), seconds=1, whole=True)
    assert [("account fails", "a0"), ("account no longer fails", "a1")] == [
        (line["event"], line["account"]) for line in told(stream)[:-1]
    ]


def test_an_outage_and_its_end_are_a_line_each_and_up_to_five_accounts_are_told_one_by_one(
    heard: LogListener, stream: StringIO
) -> None:
    many, few = ([f"{letter}{number}" for number in range(size)] for letter, size in (("m", 6), ("f", 5)))
    alike = [account(name, 1, f"tried again in {number} s", Kind.ERROR) for number, name in enumerate(many)]
    others = [account(name, 1, "another reason", Kind.ERROR) for name in few]
    heard.passed(view(*alike, *others, good=False), seconds=1, whole=True)
    began = told(stream)[:-1]
    heard.passed(view(*[account(name) for name in many]), seconds=1, whole=True)
    heard.told([Event(EventKind.RECOVERED, NOW, f"{name} is back", "shop", name, run="r1") for name in many])
    *ended, _, spoken = told(stream)

    assert ["accounts fail", *["account fails"] * 5] == [line["event"] for line in began]
    assert (6, "m0, m1, m2, m3, m4 and 1 more") == (began[0]["count"], began[0]["accounts"])
    assert ["accounts no longer fail"] == [line["event"] for line in ended]
    assert ("told", "recovered", 6, "m0 is back") == tuple(spoken[x] for x in ("event", "kind", "count", "message"))


def test_a_change_that_fails_again_the_same_way_is_counted_only(heard: LogListener, stream: StringIO) -> None:
    for number in (1, 2):
        heard.ended(failed(), f"r{number}", None)
        heard.passed(view(account("a", number, "no answer.", Kind.ROTATE), good=False), seconds=1, whole=True)
    heard.ended(failed(error="refused."), "r3", None)

    assert [("change failed", None), ("pass", None), ("pass", 1), ("change failed", None)] == [
        (line["event"], line.get("failing_as_before")) for line in told(stream)
    ]


def test_trying_failing_accounts_again_is_told_only_where_something_is_new(
    heard: LogListener, stream: StringIO
) -> None:
    heard.ended(failed(), "r1", None)
    heard.passed(view(account("a", 1, "no answer."), good=False), seconds=1, whole=True)
    told(stream)
    heard.ended(failed(), "r2", None)
    heard.passed(view(account("a", 2, "no answer."), good=False), seconds=1, whole=False)

    assert [] == told(stream)


def test_problems_and_what_guards_hold_back_are_told_when_they_change(heard: LogListener, stream: StringIO) -> None:
    kinds = (EventKind.MANIFEST_PROBLEMS, EventKind.HELD)
    events = [Event(kind, NOW, "the same, for people", "shop", run="r1") for kind in kinds]
    shown = view(problems=("a.yaml:1:1: bad",), held=("guard disables: too many", "guard mints: a"), checksum="c0ffee")
    heard.told(events)
    for _ in range(2):
        heard.passed(shown, seconds=1, whole=True)

    problem, held, also, *passes = told(stream)
    assert ("problem in a manifest", "a.yaml:1:1: bad") == (problem["event"], problem["what"])
    assert [("held back", "guard disables: too many"), ("held back", "guard mints: a")] == [
        (line["event"], line["what"]) for line in (held, also)
    ]
    assert "c0ffee" == held["checksum"]
    assert "pinata-reconciler plan, then correct the manifests or apply --acknowledge c0ffee" == held["next"]
    assert ["pass", "pass"] == [line["event"] for line in passes]

    heard.told([Event(kind, NOW, "over", "shop") for kind in (EventKind.RELEASED, EventKind.MANIFESTS_MENDED)])
    heard.passed(view(), seconds=1, whole=True)
    assert [("info", "told"), ("info", "told"), ("info", "pass")] == [
        (line["level"], line["event"]) for line in told(stream)
    ]


def test_the_page_of_the_command_lists_every_line_that_is_told() -> None:
    page = (Path(__file__).parents[2] / "docs" / "cli.md").read_text().partition("### The log\n")[2]
    listed = {event for cell in re.findall(r"^\| (`[^|]*) \|", page, re.M) for event in re.findall(r"`([^`]*)`", cell)}
    source = "".join(Path(str(module.__file__)).read_text() for module in (logs, log_lines, run))
    said = set(re.findall(r'log\.(?:info|warning|error)\)?\(\s*"([^"]*)"', source))

    assert {"changed", "following", "uncaught", "held back"} <= said
    assert set() == said - listed


def test_the_source_is_told_when_it_changes_fails_and_answers_again(heard: LogListener, stream: StringIO) -> None:
    def source(error: str | None, *, changed: bool = False) -> None:
        heard.fetched(view(source=SourceView("repo", "c1", error=error)), seconds=0.1, changed=changed)

    source(None, changed=True)
    source(None)
    source("no route, 1 s")
    source("no route, 2 s")
    source(None)

    assert [
        ("info", "manifests changed"),
        ("warning", "source failed"),
        ("info", "source answers again"),
    ] == [(line["level"], line["event"]) for line in told(stream)]


def test_events_and_notices_are_told_but_not_what_is_in_the_log_already(heard: LogListener, stream: StringIO) -> None:
    kinds = (EventKind.KEY_CHANGED, EventKind.DRIFT, EventKind.KEY_GONE, EventKind.RECOVERED)
    heard.told([Event(kind, NOW, "it happened", "shop", "a", commit="c1", run="r1") for kind in kinds])
    heard.noticed("a", "another run is waited for", "r1")

    assert [("warning", "told"), ("info", "told"), ("info", "notice")] == [
        (line["level"], line["event"]) for line in told(stream)
    ]


def test_calls_are_told_at_debug_only(heard: LogListener, stream: StringIO) -> None:
    heard.called("pinata", "status", "ok", 0.1)
    assert [] == told(stream)
    LogListener(logs.configure("json", stream, level="debug")).called("pinata", "status", "ok", 0.1)
    assert [("debug", "call", "status")] == [(x["level"], x["event"], x["operation"]) for x in told(stream)]


# --- no secret in any of it ---------------------------------------------------------------------------

_PROGRAM = """
import logging, os, sys, threading
from pathlib import Path
from pulumi_pinata.core.secret import Secret
from pulumi_pinata.wiring import Connections
from reconciler.listeners import logs
from reconciler.listeners.log_lines import LogListener
from reconciler.manifest import manifests as manifest
from reconciler.listeners.audit import AuditLog
from reconciler.loop.board import Board
from reconciler.commands import passes
from reconciler.loop.cycle import Cycle
from reconciler.guards import Limits
from reconciler.loop.listener import Listeners
from reconciler.listeners.notify import Notifier
from reconciler.upstreams import Upstreams

form, folder, audit = sys.argv[1:]
log = logs.configure(form, level="debug")
logging.getLogger().setLevel(logging.DEBUG)
for name in ("httpx", "httpcore", "hvac", "urllib3", "requests", "stamina"):
    logging.getLogger(name).setLevel(logging.DEBUG)
notifier = Notifier(lambda: Secret(os.environ["HOOK"]), lambda: Secret(os.environ["HOOK_KEY"]))
heard = [AuditLog(Path(audit), "run"), notifier, LogListener(log)]
listener = Listeners(heard, broken=lambda error: log.error("broken", kind=type(error).__name__))
with Connections(size=4) as connections:
    access = Upstreams(connections, called=listener.called)
    cycle = Cycle(access, Board(), listener, Limits(), 4, threading.Event(), passes.now)
    for _ in range(2):
        cycle.once(manifest.load([Path(folder)], os.environ), resting={})
notifier.close(10)

def fail():
    hidden = os.environ["HOOK"]
    raise ValueError(hidden)

thread = threading.Thread(target=fail)
thread.start()
thread.join()
"""


@pytest.mark.parametrize("form", ["json", "text"])
def test_a_pass_heard_by_all_at_debug_writes_no_secret(fleet_of: MakeFleet, tmp_path: Path, form: str) -> None:
    from leaks import Scanner
    from test_notify import receiving

    fleet: SandboxFleet = fleet_of(3, timeout=2)
    fleet.pinata.add_fault("html", method="POST", path="/v0/llm/enable", times=1)
    fleet.env[fleet.variable(fleet.names[0])] = malformed = "s3cr3t-that-is-no-jwt"
    audit, program = tmp_path / "audit.jsonl", [sys.executable, "-X", "dev", "-c", _PROGRAM]
    with receiving() as receiver:
        hook, key = f"{receiver.url}/s3cr3t-of-the-hook", "s3cr3t-of-the-signature"
        env = {**fleet.clean(), **fleet.env, "HOOK": hook, "HOOK_KEY": key}
        ran = subprocess.run(
            [*program, form, str(fleet.manifests), str(audit)], env=env, capture_output=True, text=True, timeout=120
        )
        posted = b"".join(body for _, _, body in receiver.posts)

    keys = [minted for name in fleet.names for minted in fleet.pinata.minted_keys(name)]
    jwts = [part for secret in fleet.secrets for part in secret.split(".")[1:]]
    scanner = Scanner([*fleet.secrets, *jwts, *keys, "s3cr3t-of-the-hook", key, malformed])
    assert 0 == ran.returncode, ran.stderr
    assert "" == ran.stdout
    assert 2 <= len(keys)
    for word in ("send_request_headers", "urllib3", "uncaught", "ValueError", "changed", "account fails", "call"):
        assert word in ran.stderr
    assert "broken" not in ran.stderr
    assert b"key-changed" in posted
    assert '"entry":"end"' in audit.read_text()
    for written in (ran.stderr.encode(), audit.read_bytes(), posted):
        assert not scanner.is_in(written)
