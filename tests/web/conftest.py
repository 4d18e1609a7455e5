"""A served board, and a real Chromium."""

import subprocess
from collections.abc import Iterator
from typing import Literal

import pytest
from playwright.sync_api import Browser, expect, sync_playwright
from web_site import FLAGS, ROOT, Open, Opened, Pages, Serve, Site, Stage

from reconciler.web.serving import serve


@pytest.fixture(scope="session")
def stage() -> Iterator[Stage]:
    stage = Stage()
    with serve(stage, "127.0.0.1", 0) as stage.url:
        yield stage


@pytest.fixture
def site(stage: Stage) -> Site:
    return stage.show()


@pytest.fixture
def site_of(stage: Stage) -> Serve:
    """Makes a site with a secret or names, in place of the last one."""
    return stage.show


# Of a module, not the session: while it runs, asyncio.run() is refused in this thread.
@pytest.fixture(scope="module")
def browser(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Browser]:
    found = subprocess.run([ROOT / "script" / "browser", "--installed"], capture_output=True, text=True, check=False)
    if found.returncode:
        pytest.fail(f"{found.stderr.strip()}; `script/browser` installs one", pytrace=False)
    expect.set_options(timeout=20_000)  # beside other tests on a small machine
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(
            executable_path=found.stdout.strip(), args=FLAGS.split(), downloads_path=tmp_path_factory.mktemp("browser")
        )
        yield browser
        browser.close()


@pytest.fixture(scope="module")
def pages(browser: Browser) -> Pages:
    return Pages(browser)


@pytest.fixture
def opened(pages: Pages, site: Site) -> Iterator[Open]:
    """Opens pages; at the end none of them may have complained, or asked anybody else.

    With a `clock` that a test moves, a page is not used again.
    """
    taken: list[tuple[Opened, bool]] = []

    def open_(
        *,
        width: int = 1360,
        scheme: Literal["light", "dark"] = "light",
        motion: Literal["reduce", "no-preference"] = "reduce",
        clock: bool = False,
    ) -> Opened:
        page = pages.take(new=clock)
        page.set_viewport_size({"width": width, "height": 860})
        page.emulate_media(color_scheme=scheme, reduced_motion=motion)
        if clock:
            page.clock.install()
        taken.append((Opened(page, site), clock))
        return taken[-1][0]

    yield open_
    for each, used_up in taken:
        each.leave()
        if used_up:
            each.page.context.close()
        else:
            pages.give_back(each.page)
