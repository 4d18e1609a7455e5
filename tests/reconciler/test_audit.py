"""The audit log: what cannot be noted is not done, and nothing that was noted is lost or torn."""

import json
import logging
import os
import signal
import stat
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from fake_fleet import NOW, FakeFleet, declared, manifest
from sandbox_fleet import MakeFleet, SandboxFleet

from pulumi_pinata.core.errors import Refused, Transient
from reconciler.apply import apply
from reconciler.fleetplan import Condition, Ending, Kind, Result, Row
from reconciler.listeners.audit import AuditLog

KEYS = "abcdefgh"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "audit.jsonl"


@pytest.fixture
def log(path: Path) -> Iterator[AuditLog]:
    with closing(AuditLog(path, "apply", now=lambda: NOW)) as found:
        yield found


def row(name: str = "a", **values: Any) -> Row:
    base = Row(name, Kind.ROTATE, Condition.READY, "too old", f"secret/pinata/{name}", "acc", 3, "fp3")
    return replace(base, **{"settings": declared(name).settings, **values})


def lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


def heard(log: AuditLog) -> dict[str, Callable[..., None]]:
    return {
        "begins": lambda row: log.begins(row, "r1", "c1"),
        "seen": lambda result: log.ended(result, "r1", "c1"),
    }


def test_a_change_has_a_line_before_and_a_line_after(log: AuditLog, path: Path) -> None:
    log.begins(row(), "r1", "c1")
    log.ended(Result(row(), Ending.DONE, Condition.READY, 4, "fp4"), "r1", "c1")

    begin, end = lines(path)
    common = {
        "time": "2026-11-24T12:00:00.000Z",
        "run": "r1",
        "commit": "c1",
        "command": "apply",
        "pid": os.getpid(),
        "fleet": "shop",
        "account": "a",
        "accountFingerprint": "acc",
        "change": "rotate",
        "path": "secret/pinata/a",
    }
    before = {"reason": "too old", "outage": True, "version": 3, "fingerprint": "fp3"}
    after = {"ending": "done", "condition": "Ready", "version": 4, "fingerprint": "fp4", "error": None}
    actor = begin["actor"]
    assert "@" in actor
    assert {**common, "entry": "begin", "actor": actor, **before} == begin
    assert {**common, "entry": "end", "actor": actor, **after} == end


def test_a_failure_is_noted_by_class_and_text(log: AuditLog, path: Path) -> None:
    log.begins(row(), "r1", None)
    log.ended(Result(row(), Ending.FAILED, Condition.UPSTREAM_UNAVAILABLE, error=Transient("no answer.")), "r1", None)

    assert ("failed", {"class": "Transient", "message": "no answer."}) == (
        lines(path)[1]["ending"],
        lines(path)[1]["error"],
    )


def test_what_was_not_begun_leaves_no_line(log: AuditLog, path: Path) -> None:
    log.ended(Result(row(), Ending.NOT_STARTED, Condition.READY), "r1", None)

    assert "" == path.read_text()


def test_the_file_is_its_owners_alone(log: AuditLog, path: Path) -> None:
    assert 0o600 == stat.S_IMODE(path.stat().st_mode)


@pytest.mark.parametrize("kind", ["missing folder", "folder", "symbolic link", "pipe"])
def test_what_is_no_file_is_refused_at_the_start(tmp_path: Path, kind: str) -> None:
    path = tmp_path / "it"
    if kind == "missing folder":
        path = tmp_path / "no" / "it"
    elif kind == "folder":
        path.mkdir()
    elif kind == "symbolic link":
        (tmp_path / "target").touch()
        path.symlink_to(tmp_path / "target")
    else:
        os.mkfifo(path)

    with pytest.raises(Refused) as caught:
        AuditLog(path, "apply")
    assert "--audit-log" == caught.value.about


def test_a_line_that_a_crash_has_torn_does_not_swallow_the_next(log: AuditLog, path: Path) -> None:
    path.write_text('{"entry":"beg')
    log.begins(row(), "r1", None)

    torn, whole = path.read_text().splitlines()
    assert ('{"entry":"beg', "begin") == (torn, json.loads(whole)["entry"])


def test_a_file_that_was_moved_away_is_made_anew(log: AuditLog, path: Path, tmp_path: Path) -> None:
    log.begins(row("a"), "r1", None)
    path.rename(tmp_path / "audit.1")
    log.begins(row("b"), "r1", None)
    path.unlink()
    log.begins(row("c"), "r1", None)

    assert ["a"] == [line["account"] for line in lines(tmp_path / "audit.1")]
    assert ["c"] == [line["account"] for line in lines(path)]


def test_a_link_put_in_its_place_is_not_followed(log: AuditLog, path: Path, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.touch()
    path.unlink()
    path.symlink_to(other)

    with pytest.raises(Refused, match="symbolic link"):
        log.begins(row(), "r1", None)
    assert "" == other.read_text()


def test_a_log_that_cannot_be_written_lets_nothing_be_changed(log: AuditLog, path: Path) -> None:
    fleet = FakeFleet()
    plan = fleet.plan(manifest(*(declared(name) for name in "ab")))
    path.unlink()
    path.mkdir()

    results = apply(plan, fleet, workers=2, now=NOW, **heard(log))

    assert [(Ending.FAILED, row.condition) for row in plan.rows] == [(each.ending, each.condition) for each in results]
    assert {"--audit-log"} == {each.error.about for each in results if each.error}
    assert [None, None] == [fleet.pinata(name).live for name in "ab"]


_IMPORTS = """
import logging, resource, signal, sys
from pathlib import Path
from pulumi_pinata.core.errors import Refused
from reconciler.listeners.audit import AuditLog
from reconciler.fleetplan import Condition, Ending, Kind, Result, Row

def row(name, reason=""):
    return Row(name, Kind.ROTATE, Condition.READY, reason)
"""

_FULL = """
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
path = Path(sys.argv[1])
log = AuditLog(path, "apply")
log.begins(row("a"), "r1", None)
resource.setrlimit(resource.RLIMIT_FSIZE, (path.stat().st_size + 40, resource.RLIM_INFINITY))
logging.basicConfig(format="LOGGED %(message)s")
log.ended(Result(row("a"), Ending.DONE, Condition.READY), "r1", None)
try:
    log.begins(row("b"), "r1", None)
except Refused as refused:
    print("REFUSED", refused.about)
resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
log.begins(row("c"), "r1", None)
"""


def test_a_full_disk_refuses_the_next_change_and_is_said_of_the_last(path: Path) -> None:
    ran = subprocess.run(
        [sys.executable, "-c", _IMPORTS + _FULL, str(path)], capture_output=True, text=True, timeout=60
    )

    assert 0 == ran.returncode, ran.stderr
    assert "REFUSED --audit-log" in ran.stdout
    assert "LOGGED the end of a change is missing in the audit log: run r1, account a, rotate: done" in ran.stderr
    first, torn, last = path.read_text().splitlines()
    assert (40, "a", "c") == (len(torn), json.loads(first)["account"], json.loads(last)["account"])


def test_threads_lose_no_line(log: AuditLog, path: Path) -> None:
    def work(name: str) -> None:
        for number in range(20):
            log.begins(row(name), str(number), None)

    threads = [threading.Thread(target=work, args=(name,)) for name in KEYS]
    for each in threads:
        each.start()
    for each in threads:
        each.join()

    assert Counter(dict.fromkeys(KEYS, 20)) == Counter(line["account"] for line in lines(path))


_WRITER = """
log = AuditLog(Path(sys.argv[1]), "apply")
print("ready", flush=True)
for number in range(int(sys.argv[3])):
    log.begins(row(sys.argv[2], reason="x" * 6000), str(number), None)
    if number == 20:
        print("under way", flush=True)
"""


def writer(path: Path, name: str, count: int) -> "subprocess.Popen[str]":
    arguments = [sys.executable, "-c", _IMPORTS + _WRITER, str(path), name, str(count)]
    return subprocess.Popen(arguments, stdout=subprocess.PIPE, text=True)


def test_processes_that_append_at_once_lose_nothing(path: Path) -> None:
    started = [writer(path, name, 100) for name in "ab"]
    for process in started:
        process.communicate(timeout=60)

    assert [0, 0] == [process.returncode for process in started]
    assert Counter({"a": 100, "b": 100}) == Counter(line["account"] for line in lines(path))


def test_a_process_killed_while_it_writes_leaves_whole_lines_to_the_others(path: Path) -> None:
    victim, other = writer(path, "a", 1_000_000), writer(path, "b", 300)
    with victim, other:
        assert victim.stdout
        assert ["ready\n", "under way\n"] == [victim.stdout.readline(), victim.stdout.readline()]
        victim.send_signal(signal.SIGKILL)
        victim.wait(timeout=60)
        assert other.wait(timeout=60) == 0

    whole = []
    for line in path.read_text().splitlines():
        if line.endswith("}"):
            whole.append(json.loads(line))
    assert 300 == sum(line["account"] == "b" for line in whole)
    assert len(path.read_text().splitlines()) - len(whole) <= 1


def test_a_log_that_another_process_keeps_locked_refuses_after_a_while(
    log: AuditLog, path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("reconciler.listeners.audit._PATIENCE", 0.05)
    holder = "import fcntl, sys; f = open(sys.argv[1], 'a'); fcntl.flock(f, fcntl.LOCK_EX); print(flush=True); input()"
    command = [sys.executable, "-c", holder, str(path)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        with pytest.raises(Refused, match="locked"):
            log.begins(row(), "r1", None)
        process.communicate(b"\n", timeout=30)
    log.begins(row(), "r2", None)

    assert ["r2"] == [line["run"] for line in lines(path)]


# --- the commands, on the sandbox ---------------------------------------------------------------------


@pytest.fixture
def fleet(fleet_of: MakeFleet) -> SandboxFleet:
    return fleet_of(2, timeout=2)


def noted(path: Path) -> list[tuple[str, str, str, str]]:
    return sorted((line["command"], line["change"], line["account"], line["entry"]) for line in lines(path))


def test_apply_and_rotate_note_what_they_change(fleet: SandboxFleet, path: Path) -> None:
    a, b = fleet.names
    assert 0 == fleet.apply("--audit-log", str(path)).code
    assert 0 == fleet.run("rotate", a, str(fleet.manifests), "--yes", "--audit-log", str(path)).code

    assert [
        ("apply", "create", a, "begin"),
        ("apply", "create", a, "end"),
        ("apply", "create", b, "begin"),
        ("apply", "create", b, "end"),
        ("rotate", "rotate", a, "begin"),
        ("rotate", "rotate", a, "end"),
    ] == noted(path)
    assert {fleet.name} == {line["fleet"] for line in lines(path)}
    assert ("done", 2) == (lines(path)[-1]["ending"], lines(path)[-1]["version"])
    fleet.assert_no_secret(path.read_text())


def test_the_log_can_be_named_by_the_environment_and_a_bad_one_lets_nothing_be_minted(
    fleet: SandboxFleet, tmp_path: Path
) -> None:
    fleet.env["PINATA_AUDIT_LOG"] = str(tmp_path / "no" / "audit.jsonl")
    ran = fleet.apply()

    assert (1, set()) == (ran.code, fleet.on())
    assert "--audit-log: the audit log cannot be written" in ran.err


def test_adopt_notes_the_key_that_it_takes_and_the_one_it_cannot_take(fleet: SandboxFleet, path: Path) -> None:
    name, other = fleet.names
    fleet.pinata.enable_out_of_band(name)
    (key,) = fleet.pinata.minted_keys(name)
    for each in fleet.names:
        fleet.bao.api.call("POST", f"secret/data/fleets/{fleet.name}/{each}", {"data": {"PINATA_LLM_KEY": key}})

    arguments = (str(fleet.manifests), "--audit-log", str(path))
    assert (0, 1) == (fleet.run("adopt", name, *arguments).code, fleet.run("adopt", other, *arguments).code)

    assert [
        (name, "begin", None, None),
        (name, "end", "done", 2),
        (other, "begin", None, None),
        (other, "end", "failed", None),
    ] == [
        (line["account"], line["entry"], line.get("ending"), line["version"])
        for line in lines(path)
        if line["change"] == "adopt"
    ]
    fleet.assert_no_secret(path.read_text())


def test_the_log_is_heard_where_nobody_has_set_up_logging(log: AuditLog) -> None:
    assert logging.getLogger("reconciler.listeners.audit").isEnabledFor(logging.ERROR)
