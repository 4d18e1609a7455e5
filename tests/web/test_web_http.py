"""The routes and headers, asked over HTTP of the running server."""

import gzip
import json
import re
from dataclasses import replace
from datetime import datetime, timezone
from typing import Any

import pytest
from web_fleet import CHECKSUM, COMMIT, account, many, now, view
from web_site import ROOT, Serve, Site

from reconciler.fleetplan import Condition, Kind
from reconciler.listeners.metrics import Metrics
from reconciler.loop.view import FleetView, SourceView
from reconciler.web.strict import HEADERS

ROUTES = ("/", "/assets/page.js", "/api/fleet", "/api/accounts/prod", "/healthz", "/readyz", "/metrics")
NOWHERE = (
    "/nowhere",
    "/api/fleet/",
    "/assets/app.py",
    "/assets/..%2fpage.css",
    "/assets/%2e%2e/app.py",
    "//",
    "/sync/",
)


def show(site: Site, shown: FleetView) -> None:
    site.board.change(**{name: getattr(shown, name) for name in FleetView.__dataclass_fields__})


@pytest.mark.parametrize("path", [*ROUTES, *NOWHERE])
def test_every_answer_has_the_strict_headers(site: Site, path: str) -> None:
    answer = site.get(path)

    assert HEADERS == {name: answer.headers.get(name) for name in HEADERS}
    assert "server" not in answer.headers
    assert answer.headers["cache-control"] in ("no-store", "no-cache")


@pytest.mark.parametrize("path", ROUTES)
def test_head_is_get_without_a_body(site: Site, path: str) -> None:
    got, head = site.get(path), site.call("HEAD", path)

    assert (got.status_code, got.headers["content-length"], b"") == (
        head.status_code,
        head.headers["content-length"],
        head.content,
    )


@pytest.mark.parametrize("path", NOWHERE)
def test_what_is_not_there_is_404_in_text(site: Site, path: str) -> None:
    answer = site.get(path)

    assert (404, "text/plain; charset=utf-8") == (answer.status_code, answer.headers["content-type"])


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/"), ("DELETE", "/api/fleet"), ("GET", "/sync"), ("OPTIONS", "/sync")]
)
def test_another_method_is_405_in_text(site: Site, method: str, path: str) -> None:
    answer = site.call(method, path)

    assert (405, "text/plain; charset=utf-8") == (answer.status_code, answer.headers["content-type"])
    assert [] == site.syncs


def test_the_page_names_only_files_of_its_own(site: Site) -> None:
    page = site.get("/").text

    assert '<noscript><p class="empty">This page needs JavaScript.' in page
    assert "//" not in page.replace("<!doctype", "")
    assert " style=" not in page
    assert " on" not in {word[:3] for word in page.split('"')}
    assert page.count("<script") == page.count('<script type="module" src="assets/')


def test_the_page_knows_every_condition(site: Site) -> None:
    table = site.get("/assets/words.js").text.partition("CONDITIONS = {")[2].partition("};")[0]

    assert {each.value for each in Condition} == set(re.findall(r"^  (\w+): \[", table, re.MULTILINE))


def test_all_modules_are_fetched_at_once(site: Site) -> None:
    page, script = site.get("/").text, site.get("/assets/page.js").text
    wanted = {f"assets/{name}" for name in re.findall(r'from "\./(\w+\.js)"', script)}

    assert wanted
    assert wanted == set(re.findall(r'rel="modulepreload" href="([^"]+)"', page))


def test_a_file_that_the_browser_has_is_not_sent_again(site: Site) -> None:
    first = site.get("/assets/page.css")
    again = site.get("/assets/page.css", headers={"If-None-Match": f'"other", {first.headers["etag"]}'})

    assert ("text/css; charset=utf-8", 304, b"") == (first.headers["content-type"], again.status_code, again.content)


def test_the_fleet_as_json_has_a_stable_shape(site: Site) -> None:
    at = datetime(2026, 11, 24, 9, 13, 16, 999, tzinfo=timezone.utc)
    one = account(
        "prod",
        condition=Condition.DRIFTED,
        kind=Kind.RESTORE,
        reason="covered",
        since=at,
        seen_at=at,
        rotates_at=at,
        credits=9.5,
        alert_below=10.0,
        drifted_at=at,
        failures=2,
        retry_at=at,
    )
    source = SourceView("main of a repository", COMMIT, at, at, "git failed", at)
    shown = view([one], source=source, last=None, last_good=at, next_pass=at)
    show(site, replace(shown, problems=("p",), held=("h",), checksum=CHECKSUM, stopping=True))
    time = "2026-11-24T09:13:16Z"

    wanted: dict[str, Any] = {
        "schema": 1,
        "fleet": "acme",
        "counts": {"Drifted": 1},
        "source": {
            "name": "main of a repository",
            "commit": COMMIT,
            "changedAt": time,
            "fetchedAt": time,
            "error": "git failed",
            "failingSince": time,
        },
        "lastPass": None,
        "lastGoodPass": time,
        "nextPass": time,
        "problems": ["p"],
        "held": ["h"],
        "checksum": CHECKSUM,
        "stopping": True,
        "silent": False,
        "accounts": [
            {
                "name": "prod",
                "condition": "Drifted",
                "change": "restore",
                "reason": "covered",
                "since": time,
                "seenAt": time,
                "path": "secret/prod/llm",
                "version": 3,
                "fingerprint": "0123456789abcdef0123456789abcdef",
                "createdAt": "2026-11-02T08:00:00Z",
                "rotatesAt": time,
                "credits": 9.5,
                "creditsAlertBelow": 10.0,
                "creditsLow": True,
                "driftedAt": time,
                "failures": 2,
                "retryAt": time,
                "declaredAt": "manifests/prod.yaml:3:1",
                "commit": None,
            }
        ],
    }
    assert wanted == site.get("/api/fleet").json()
    assert wanted["accounts"][0] == site.get("/api/accounts/prod").json()
    assert 404 == site.get("/api/accounts/other").status_code


def test_the_page_of_the_command_lists_every_field_of_it(site: Site) -> None:
    show(site, view([account()]))
    shown = site.get("/api/fleet").json()
    text = (ROOT / "docs" / "cli.md").read_text().partition("### /api/fleet\n")[2].partition("\n### ")[0]
    fields = {*shown, *shown["source"], *shown["lastPass"], *shown["accounts"][0]}

    named = {word for line in text.splitlines() if line.startswith("| ") for word in re.findall(r"`(\w+)`", line)}
    assert fields == named - {"none"}


def test_a_view_is_sent_once_until_it_changes(site: Site) -> None:
    show(site, view(many(20)))
    first = site.get("/api/fleet")
    have = {"If-None-Match": first.headers["etag"]}

    assert (304, b"") == ((again := site.get("/api/fleet", headers=have)).status_code, again.content)
    assert first.headers["etag"] == again.headers["etag"]
    site.board.change(next_pass=None)
    assert 200 == site.get("/api/fleet", headers=have).status_code


def test_a_loop_that_falls_silent_changes_the_view_too(site: Site) -> None:
    site.board.beat(site.now)
    first = site.get("/api/fleet")
    site.now += 121
    later = site.get("/api/fleet", headers={"If-None-Match": first.headers["etag"]})

    assert (False, True) == (first.json()["silent"], later.json()["silent"])


@pytest.mark.parametrize(
    ("accepted", "coding"),
    [("gzip", "gzip"), ("br, GZIP;q=0.5", "gzip"), ("identity", None), ("gzip;q=0", None), ("gzip;q=0.0, br", None)],
)
def test_the_fleet_is_compressed_for_who_takes_it(site: Site, accepted: str, coding: str | None) -> None:
    show(site, view(many(1000)))
    answer = site.get("/api/fleet", headers={"Accept-Encoding": accepted})

    assert (coding, 1000) == (answer.headers.get("content-encoding"), len(answer.json()["accounts"]))
    assert "Accept-Encoding" == answer.headers["vary"]
    plain = len(json.dumps(answer.json()))
    assert (int(answer.headers["content-length"]) < plain / 4) == (coding is not None)
    assert len(gzip.compress(answer.content)) < plain


def test_values_that_json_has_not_are_null_or_escaped(site: Site) -> None:
    show(site, view([account("prod", credits=float("nan"), alert_below=float("inf"), reason="half a pair: \ud800")]))
    got = site.get("/api/fleet").json()["accounts"][0]

    assert (None, None, "half a pair: \ud800") == (got["credits"], got["creditsAlertBelow"], got["reason"])


def test_health_is_that_the_loop_gives_signs(site: Site) -> None:
    before = site.get("/healthz")
    site.board.beat(site.now)
    site.now += 120
    at_the_bound = site.get("/healthz")
    site.now += 1
    after = site.get("/healthz")

    assert [200, 200, 503] == [each.status_code for each in (before, at_the_bound, after)]
    assert "the loop has given no sign for 121 s\n" == after.text


def test_ready_says_what_is_missing(site: Site) -> None:
    ready = view([account()])
    said = []
    for shown in (
        FleetView(),
        FleetView(source=SourceView(error="down")),
        replace(ready, last=None),
        ready,
        replace(ready, source=replace(ready.source, error="down", failing_since=now())),
        replace(ready, stopping=True),
    ):
        show(site, shown)
        answer = site.get("/readyz")
        said.append((answer.status_code, answer.text.strip()))

    assert [
        (503, "the manifests are being fetched"),
        (503, "the manifests could not be had yet"),
        (503, "the first pass has not ended yet"),
        (200, "ok"),
        (200, "ok"),
        (503, "it is stopping"),
    ] == said


def test_metrics_are_what_they_are_made_by(site: Site) -> None:
    site.metrics = lambda accept: (b"x 1\n", "application/openmetrics-text; version=1.0.0; charset=utf-8")
    answer = site.get("/metrics")

    assert b"x 1\n" == answer.content
    assert "application/openmetrics-text; version=1.0.0; charset=utf-8" == answer.headers["content-type"]


@pytest.mark.parametrize(
    ("accept", "media_type", "end"),
    [
        ("*/*", "text/plain", False),
        ("text/plain;version=0.0.4", "text/plain", False),
        ("application/openmetrics-text;version=1.0.0,text/plain;q=0.5", "application/openmetrics-text", True),
    ],
)
def test_a_scraper_gets_the_format_that_it_asks_for(site: Site, accept: str, media_type: str, end: bool) -> None:
    site.metrics = Metrics(site.board).render
    answer = site.get("/metrics", headers={"Accept": accept})

    assert (media_type, "Accept") == (answer.headers["content-type"].partition(";")[0], answer.headers["vary"])
    assert end == answer.text.endswith("# EOF\n")


def test_a_bug_is_a_500_that_tells_nothing(site: Site) -> None:
    def broken(accept: str) -> tuple[bytes, str]:
        raise RuntimeError("inner matters")

    site.metrics = broken
    answer = site.get("/metrics")

    assert (500, "Something is wrong here; see the log.\n") == (answer.status_code, answer.text)
    assert HEADERS == {name: answer.headers.get(name) for name in HEADERS}
    assert 200 == site.get("/healthz").status_code


@pytest.mark.parametrize(
    "host", ["localhost", "LOCALHOST.:8080", "127.0.0.1", "[::1]:80", "fleet.example", "Fleet.Example:443"]
)
def test_names_that_are_ours_are_answered(site_of: Serve, host: str) -> None:
    assert 200 == site_of(hosts=("fleet.example",)).get("/healthz", headers={"Host": host}).status_code


@pytest.mark.parametrize(
    ("host", "status"),
    [
        ("evil.example", 421),
        ("fleet.example.evil.example", 421),
        ("localhost.evil.example", 421),
        ("127.0.0.1.evil.example", 421),
        ("192.0.2.1", 421),
        ("0.0.0.0", 421),
        ("", 400),
        ("localhost@evil.example", 400),
        ("localhost/evil", 400),
        ("localhost:port", 400),
        ("[::1", 400),
    ],
)
@pytest.mark.parametrize("path", ["/", "/api/fleet", "/sync", "/nowhere"])
def test_other_names_are_refused_whatever_they_ask(site_of: Serve, path: str, host: str, status: int) -> None:
    site = site_of(hosts=("fleet.example",))
    answer = site.post(path, headers={"Host": host, "X-Requested-With": "a"})

    assert status == answer.status_code
    assert HEADERS == {name: answer.headers.get(name) for name in HEADERS}
    assert [] == site.syncs
