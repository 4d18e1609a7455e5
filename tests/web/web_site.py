"""A served board, and pages of it in a browser."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
from playwright.sync_api import Browser, ConsoleMessage, Page, expect
from starlette.types import ASGIApp, Receive, Scope, Send

from pulumi_pinata.core.secret import Secret
from reconciler.loop.board import Board
from reconciler.web.app import application
from reconciler.web.serving import serve

ROOT = Path(__file__).parents[2]

# As root Chromium needs --no-sandbox; the others keep it from asking its maker for updates and the like.
FLAGS = (
    "--no-sandbox --disable-gpu --disable-quic --no-first-run --disable-background-networking "
    "--disable-component-update --disable-sync --disable-dev-shm-usage"
)


@dataclass
class Site:
    """A running server, what it shows, and what it was asked."""

    board: Board
    url: str = ""
    now: float = 1000.0
    syncs: list[float] = field(default_factory=list)
    synced: threading.Event = field(default_factory=threading.Event)
    metrics: Callable[[str], tuple[bytes, str]] = lambda accept: (b"up 1\n", "text/plain; version=0.0.4")

    def sync(self) -> None:
        self.syncs.append(self.now)
        self.synced.set()

    def get(self, path: str, **options: Any) -> httpx.Response:
        return self.call("GET", path, **options)

    def post(self, path: str, **options: Any) -> httpx.Response:
        return self.call("POST", path, **options)

    def call(self, method: str, path: str, **options: Any) -> httpx.Response:
        # A proxy of this machine is not for loopback, and certificates take long to load.
        with httpx.Client(trust_env=False, verify=False, timeout=10) as client:
            return client.request(method, self.url + path, **options)


Serve = Callable[..., Site]


def made(secret: Callable[[], Secret] | None = None, hosts: tuple[str, ...] = ()) -> tuple[Site, ASGIApp]:
    """A site that is not served yet, and its application."""
    site = Site(Board())
    app = application(
        site.board,
        metrics=lambda accept: site.metrics(accept),
        sync=site.sync,
        webhook_secret=secret,
        hosts=hosts,
        clock=lambda: site.now,
    )
    return site, app


@contextmanager
def served(host: str = "127.0.0.1", port: int = 0, **options: Any) -> Iterator[Site]:
    """A site on a server of its own."""
    site, app = made(**options)
    with serve(app, host, port) as site.url:
        yield site


class Stage:
    """One server for many tests, as to stop one takes longer than most tests; each has an application of its own."""

    def __init__(self) -> None:
        self.app: ASGIApp | None = None
        self.url = ""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        assert self.app
        await self.app(scope, receive, send)

    def show(self, **options: Any) -> Site:
        site, self.app = made(**options)
        site.url = self.url
        return site


class Pages:
    """Pages that tests leave to the next ones: a new one takes a process, and longer than most tests."""

    def __init__(self, browser: Browser) -> None:
        self._browser = browser
        self._free: list[Page] = []

    def take(self, *, new: bool = False) -> Page:
        if self._free and not new:
            return self._free.pop()
        page = self._browser.new_context().new_page()
        # CSP violations are told to the page by an event, and not all of them in the console.
        page.add_init_script(
            "window.violations = [];"
            "addEventListener('securitypolicyviolation', (e) => violations.push(e.violatedDirective))"
        )
        return page

    def give_back(self, page: Page) -> None:
        page.goto("about:blank")
        self._free.append(page)


class Opened:
    """A page of the site, with all that went wrong in it."""

    def __init__(self, page: Page, site: Site) -> None:
        self.page = page
        self.site = site
        self.complaints: list[str] = []
        self.requested: list[str] = []
        self._listeners: list[tuple[Any, Callable[[Any], None]]] = [
            ("console", self._said),
            ("pageerror", lambda error: self.complaints.append(str(error))),
            ("request", lambda request: self.requested.append(request.url)),
        ]
        for event, listener in self._listeners:
            page.on(event, listener)

    def _said(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

    def leave(self) -> None:
        """Check that nothing went wrong, and hear no more of the page."""
        assert [] == self.complaints
        assert [] == self.page.evaluate("window.violations")
        assert all(url.startswith(f"{self.site.url}/") for url in self.requested), self.requested
        for event, listener in self._listeners:
            self.page.remove_listener(event, listener)

    def load(self, fragment: str = "") -> Page:
        self.page.goto(f"{self.site.url}/{fragment}")
        expect(self.page.locator("#fresh")).to_contain_text("as of")
        return self.page

    def refresh(self) -> None:
        """Have the page ask now, as it does when it is looked at again, and wait until it has."""
        with self.page.expect_response("**/api/fleet"):
            self.page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")

    def shown(self) -> list[str]:
        """The names of the rows that are shown, in order."""
        names: list[str] = self.page.evaluate(
            "[...document.querySelectorAll('#rows > tr:not([hidden]) button')].map((each) => each.textContent)"
        )
        return names

    def focused(self) -> str:
        """What has the focus, by its id or text."""
        text: str = self.page.evaluate("document.activeElement.id || document.activeElement.textContent")
        return text


Open = Callable[..., Opened]
