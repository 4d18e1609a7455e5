"""The status page in a real Chromium."""

import re
import time
from dataclasses import replace
from datetime import timedelta
from typing import Any, Literal

import pytest
from playwright.sync_api import Browser, Locator, Page, expect
from web_fleet import CHECKSUM, COMMIT, account, many, now, view
from web_site import Open, Opened, Site, made, served

from pulumi_pinata.sandbox.openbao_files import free_port
from reconciler.fleetplan import Condition, Kind
from reconciler.loop.view import AccountView, FleetView, SourceView
from reconciler.web.serving import serve

THREE = (
    account("alpha", path="secret/shop/a", credits=5.0, alert_below=10.0, since=now() - timedelta(days=9)),
    account("beta", condition=Condition.DRIFTED, reason="covered by version 9", credits=50.0),
    account("gamma", condition=Condition.KEY_LOST, reason="destroyed", since=now() - timedelta(minutes=3)),
)


def show(site: Site, accounts: tuple[AccountView, ...] | list[AccountView], **values: Any) -> None:
    shown = view(accounts, **values)
    site.board.change(**{name: getattr(shown, name) for name in FleetView.__dataclass_fields__})


def filter_(page: Page, name: str) -> Locator:
    return page.get_by_role("group", name="Filter by condition").get_by_role(
        "button", name=re.compile(rf"^{name} [\d,]+$")
    )


def row(page: Page, name: str) -> Locator:
    return page.get_by_role("row").filter(has=page.get_by_role("button", name=name, exact=True))


def test_a_thousand_accounts_are_shown(site: Site, opened: Open, capsys: pytest.CaptureFixture[str]) -> None:
    show(site, many(1000))
    tab = opened()
    started = time.monotonic()
    page = tab.load()
    seconds = time.monotonic() - started
    scripted = page.evaluate("performance.now() - performance.getEntriesByName(location.href)[0].responseEnd")
    with capsys.disabled():
        print(f"\n  1,000 accounts: loaded and shown in {seconds:.2f} s ({scripted:.0f} ms after the page had come)")

    assert 1000 == len(tab.shown())
    expect(page.locator("h1")).to_have_text("9 of 1,000 accounts need a look.")
    expect(page).to_have_title("(9) Fleet acme")
    expect(filter_(page, "Ready")).to_have_text("Ready 991")
    page.keyboard.press("j")
    page.keyboard.press("End")
    assert "support-us-0973" != tab.focused()
    expect(page.get_by_role("button", name=tab.shown()[-1], exact=True)).to_be_in_viewport()


def test_a_row_says_what_is_known(site: Site, opened: Open) -> None:
    at = now()
    late = {"rotates_at": at + timedelta(days=3, hours=1), "since": at - timedelta(hours=2, minutes=5)}
    one = account("alpha", path="secret/shop/a", credits=5.0, alert_below=10.0, failures=3, reason="slow", **late)
    show(site, [one, replace(THREE[1], rotates_at=at - timedelta(minutes=1))])
    page = opened().load()

    words = " ".join(row(page, "alpha").inner_text().split())
    assert "Ready alpha secret/shop/a v3 2 h in 3 d 5 3 \u00d7 slow" == words
    exact = row(page, "alpha").locator("time").first.get_attribute("title") or ""
    assert re.fullmatch(r"\d+ \w+ \d{4} at \d\d:\d\d:\d\d .+", exact), exact
    assert "due" in row(page, "beta").inner_text()
    assert "fewer than 10" == row(page, "alpha").locator(".c-credits").get_attribute("title")


def test_the_head_says_what_is_followed(site: Site, opened: Open) -> None:
    show(site, THREE)
    page = opened().load()

    expect(page.locator("#source")).to_contain_text(
        f"Following commit {COMMIT[:10]} of https://git.example/acme/fleet.git"
    )
    assert COMMIT == page.locator("#source code").get_attribute("title")
    expect(page.locator("#source")).to_contain_text(re.compile(r"changed 5.h ago, last had \d+.s ago"))
    expect(page.locator("#pass")).to_have_text(re.compile(r"Last pass 1.min ago, good: .*\. Next in 3.min\."))


def test_counts_by_condition_are_filters(site: Site, opened: Open) -> None:
    show(site, THREE)
    tab = opened()
    page = tab.load()

    assert ["gamma", "beta", "alpha"] == tab.shown()
    filter_(page, "Drifted").click()
    assert ["beta"] == tab.shown()
    filter_(page, "KeyLost").click()
    assert ["gamma", "beta"] == tab.shown()
    expect(filter_(page, "KeyLost")).to_have_attribute("aria-pressed", "true")
    expect(page.get_by_role("status")).to_have_text("2 of 3 accounts")
    filter_(page, "All").click()
    assert 3 == len(tab.shown())
    filter_(page, "Credits low").click()
    assert ["alpha"] == tab.shown()
    page.get_by_role("button", name="Clear filters").click()
    assert 3 == len(tab.shown())


def test_the_search_finds_all_words_anywhere_and_counts_again(site: Site, opened: Open) -> None:
    show(site, THREE)
    tab = opened()
    page = tab.load()
    page.get_by_role("searchbox", name="Search the accounts").fill("VERSION cov")

    assert ["beta"] == tab.shown()
    expect(filter_(page, "KeyLost")).to_have_text("KeyLost 0")
    page.get_by_role("searchbox").fill("version shop")
    assert [] == tab.shown()
    expect(page.get_by_text("No account matches.")).to_be_visible()
    expect(page.get_by_role("table")).to_be_hidden()


def test_columns_sort_both_ways_and_the_unknown_comes_last(site: Site, opened: Open) -> None:
    show(site, THREE)
    tab = opened()
    page = tab.load()

    def sorted_by(title: str) -> tuple[str | None, list[str]]:
        header = page.get_by_role("columnheader", name=title)
        header.get_by_role("button").click()
        return header.get_attribute("aria-sort"), tab.shown()

    assert ("ascending", ["alpha", "beta", "gamma"]) == sorted_by("Account")
    assert ("descending", ["gamma", "beta", "alpha"]) == sorted_by("Account")
    assert ("ascending", ["alpha", "beta", "gamma"]) == sorted_by("Credits")
    assert ("descending", ["beta", "alpha", "gamma"]) == sorted_by("Credits")
    assert ("descending", ["gamma", "beta", "alpha"]) == sorted_by("Since")
    assert 1 == page.locator("[aria-sort]").count()


def test_all_can_be_done_by_keyboard(site: Site, opened: Open) -> None:
    show(site, THREE)
    tab = opened()
    page = tab.load()
    press = page.keyboard.press

    press("Tab")
    assert "skip" == tab.focused()
    expect(page.locator("#skip")).to_be_in_viewport()
    press("Enter")
    assert "gamma" == tab.focused()
    press("j")
    press("ArrowDown")
    assert "alpha" == tab.focused()
    press("ArrowDown")
    press("k")
    assert "beta" == tab.focused()
    press("Home")
    press("End")
    assert "alpha" == tab.focused()
    outline = page.evaluate("getComputedStyle(document.activeElement).outlineStyle")
    assert "solid" == outline
    press("Enter")
    expect(page.get_by_role("dialog", name="alpha")).to_be_visible()
    press("k")
    expect(page.get_by_role("dialog", name="beta")).to_be_visible()
    press("Escape")
    expect(page.get_by_role("dialog")).to_be_hidden()
    expect(page.get_by_role("button", name="beta")).to_be_focused()
    press("/")
    assert "search" == tab.focused()
    page.keyboard.type("j/k")
    assert "j/k" == page.locator("#search").input_value()
    press("Escape")
    assert "" == page.locator("#search").input_value()
    page.keyboard.type("gam")
    press("ArrowDown")
    assert "gamma" == tab.focused()
    press("Tab")
    assert "gamma" != tab.focused()
    press("Shift+Tab")
    assert "gamma" == tab.focused()


def test_only_one_row_is_a_stop_for_tab(site: Site, opened: Open) -> None:
    show(site, many(50))
    page = opened().load()

    assert 1 == page.locator('#rows button[tabindex="0"]').count()
    page.keyboard.press("j")
    page.keyboard.press("j")
    assert 1 == page.locator('#rows button[tabindex="0"]').count()


def test_an_update_keeps_focus_search_filter_and_scroll(site: Site, opened: Open) -> None:
    accounts = many(300)
    show(site, accounts)
    tab = opened()
    page = tab.load()
    page.locator("#search").fill("shop")
    filter_(page, "Ready").click()
    for _ in range(31):
        page.keyboard.press("j")
    name, scroll = tab.focused(), page.evaluate("scrollY")
    page.evaluate("window.kept = document.activeElement")

    changed = [replace(each, version=99, reason="new words") if each.name == name else each for each in accounts]
    gone = tab.shown()[35]
    show(site, [each for each in changed if each.name != gone])
    tab.refresh()

    expect(row(page, name)).to_contain_text("v99")
    assert gone not in tab.shown()
    assert page.evaluate("window.kept === document.activeElement")
    assert (name, scroll, "shop") == (tab.focused(), page.evaluate("scrollY"), page.locator("#search").input_value())
    assert scroll > 0
    expect(filter_(page, "Ready")).to_have_attribute("aria-pressed", "true")


def test_typing_goes_on_while_an_update_comes(site: Site, opened: Open) -> None:
    show(site, THREE)
    tab = opened()
    page = tab.load()
    page.keyboard.press("/")
    page.keyboard.type("be")
    show(site, THREE[:2])
    tab.refresh()
    page.keyboard.type("ta")

    assert ("search", "beta", ["beta"]) == (tab.focused(), page.locator("#search").input_value(), tab.shown())


def test_when_the_focused_row_goes_its_neighbour_has_the_focus(site: Site, opened: Open) -> None:
    show(site, THREE)
    tab = opened()
    page = tab.load()
    page.keyboard.press("j")
    page.keyboard.press("j")
    assert "beta" == tab.focused()
    show(site, [THREE[0], THREE[2]])
    tab.refresh()

    expect(page.locator("#rows > tr")).to_have_count(2)
    assert "alpha" == tab.focused()


def test_a_change_of_condition_moves_the_row_and_is_told(site: Site, opened: Open) -> None:
    show(site, THREE)
    tab = opened()
    page = tab.load()
    page.keyboard.press("j")
    assert "gamma" == tab.focused()
    show(site, [*THREE[:2], replace(THREE[2], condition=Condition.READY)])
    tab.refresh()

    expect(page.locator("#live")).to_have_text("gamma is Ready")
    assert ["beta", "alpha", "gamma"] == tab.shown()
    assert "gamma" == tab.focused()


def test_the_page_asks_by_itself_but_not_while_nobody_looks(site: Site, opened: Open) -> None:
    show(site, THREE[:1])
    tab = opened(clock=True)
    page = tab.load()
    show(site, THREE)
    with page.expect_response("**/api/fleet"):
        page.clock.fast_forward(6000)
    expect(page.get_by_role("status")).to_have_text("3 accounts")
    with page.expect_response(lambda answer: answer.status == 304):
        page.clock.fast_forward(6000)

    page.evaluate("Object.defineProperty(document, 'hidden', { value: true, configurable: true })")
    page.evaluate("document.dispatchEvent(new Event('visibilitychange'))")
    asked = len(tab.requested)
    page.clock.run_for(60_000)
    assert asked == len(tab.requested)
    page.evaluate("delete document.hidden")
    tab.refresh()
    assert asked + 1 == len(tab.requested)


def test_a_detail_says_all_that_is_known_and_stays_current(site: Site, opened: Open) -> None:
    whole = replace(
        THREE[1],
        rotates_at=now() + timedelta(days=2, hours=1),
        drifted_at=now(),
        failures=2,
        retry_at=now(),
        alert_below=10.0,
    )
    show(site, [whole])
    tab = opened()
    page = tab.load()
    page.get_by_text("covered by version 9").click()
    dialog = page.get_by_role("dialog", name="beta")

    facts = dialog.locator("dl").inner_text()
    for words in (
        "secret/beta/llm",
        "0123456789abcdef",
        "in 2",
        "50, warned below 10",
        "2 times in a row",
        "manifests/beta.yaml:3:1",
    ):
        assert words in facts.replace("\u00a0", " ")
    assert "changed by hand" in dialog.inner_text()
    assert "close" == tab.focused()
    show(site, [replace(whole, version=44, condition=Condition.READY)])
    tab.refresh()
    expect(dialog).to_contain_text("44")
    expect(dialog).to_contain_text("Ready")
    show(site, [THREE[0]])
    tab.refresh()
    expect(dialog).to_be_hidden()


def test_what_guards_source_and_manifests_say_is_shown(site: Site, opened: Open) -> None:
    source = SourceView("a repository, main", COMMIT, now(), now(), "git fetch failed", now() - timedelta(hours=1))
    problems = tuple(f"manifests/a.yaml:{line}:1: no" for line in range(7))
    show(site, THREE, source=source, held=("13 accounts would be switched off",), checksum=CHECKSUM, problems=problems)
    tab = opened()
    page = tab.load()
    notices = page.get_by_role("region", name="Notices")

    expect(notices).to_contain_text("The source has failed since")
    expect(notices).to_contain_text("git fetch failed")
    expect(notices).to_contain_text(f"Following commit {COMMIT[:10]} all the same.")
    expect(notices).to_contain_text("13 accounts would be switched off")
    expect(notices.locator("code")).to_have_text(f"pinata-reconciler apply PATH --acknowledge {CHECKSUM}")
    expect(notices.get_by_text("a.yaml:6:1")).to_be_hidden()
    notices.get_by_text("and 4 more").click()
    expect(notices.get_by_text("a.yaml:6:1")).to_be_visible()
    notices.get_by_role("button", name="Copy").click()
    expect(notices.get_by_role("button", name=re.compile("Copied|Selected"))).to_be_visible()

    show(site, THREE, stopping=True)
    tab.refresh()
    expect(notices).to_have_text(re.compile("The reconciler is stopping"))
    expect(page.locator("#live")).to_contain_text("The reconciler is stopping.")


def test_a_loop_without_a_sign_of_life_is_told(site: Site, opened: Open) -> None:
    show(site, THREE)
    site.board.beat(site.now)
    site.now += 500
    page = opened().load()

    expect(page.get_by_text("The loop gives no sign of life.")).to_be_visible()


@pytest.mark.parametrize(
    ("values", "verdict", "words"),
    [
        (
            {"last": None, "last_good": None},
            "The first pass has not ended yet.",
            "Looking at the accounts for the first time",
        ),
        ({}, "No account is declared.", "The manifests declare no account"),
    ],
)
def test_a_fleet_without_accounts_says_why(
    site: Site, opened: Open, values: dict[str, Any], verdict: str, words: str
) -> None:
    show(site, [], **values)
    page = opened().load()

    expect(page.locator("h1")).to_have_text(verdict)
    expect(page.get_by_text(words)).to_be_visible()
    expect(page.get_by_role("table")).to_be_hidden()


def test_a_fleet_in_order_says_so(site: Site, opened: Open) -> None:
    show(site, [account("a"), account("b", condition=Condition.SUSPENDED)])

    expect(opened().load().locator("h1")).to_have_text("All 2 accounts are in order.")


def test_manifests_with_problems_are_never_said_to_be_in_order(site: Site, opened: Open) -> None:
    frozen = [account(f"a{n}", condition=Condition.SUSPENDED, kind=Kind.SKIP, reason="errors") for n in range(3)]
    show(site, frozen, problems=("a.yaml:3:1: no",))
    tab = opened()
    page = tab.load()
    verdict, notices = page.locator("h1"), page.get_by_role("region", name="Notices")

    expect(verdict).to_have_text("The manifests have a problem; 3 of 3 accounts are not looked at.")
    expect(page).to_have_title("(!) Fleet acme")
    expect(notices).to_contain_text("3 accounts are not looked at: drift is not found, nothing rotates.")
    show(site, [frozen[0], *THREE], problems=("a.yaml:3:1: no", "b.yaml:1:1: no"))
    tab.refresh()
    expect(verdict).to_have_text("3 of 4 accounts need a look.")
    expect(notices.get_by_role("heading")).to_have_text("The manifests have 2 problems.")
    expect(notices).to_contain_text("1 account is not looked at")
    show(site, [account("a")], problems=("b.yaml:1:1: no",))
    tab.refresh()
    expect(verdict).to_have_text("The manifests have a problem.")
    show(site, [], problems=("b.yaml:1:1: no",))
    tab.refresh()
    expect(verdict).to_have_text("The manifests have a problem.")
    expect(page.get_by_text("No account is known.")).to_be_visible()
    show(site, [account("a")])
    tab.refresh()
    expect(verdict).to_have_text("The account is in order.")
    expect(page).to_have_title("Fleet acme")


def test_a_view_is_shared_by_its_address(site: Site, opened: Open) -> None:
    show(site, THREE)
    first = opened()
    page = first.load()
    page.locator("#search").fill("secret/")
    filter_(page, "Drifted").click()
    filter_(page, "Ready").click()
    page.get_by_role("columnheader", name="Account").get_by_role("button").click()
    page.get_by_role("columnheader", name="Account").get_by_role("button").click()
    page.get_by_role("button", name="beta").click()
    fragment = page.url.partition("/#")[2]

    assert "q=secret/&show=Drifted,Ready&sort=-name&account=beta" == fragment
    second = opened()
    page = second.load(f"#{fragment}")
    expect(page.get_by_role("dialog", name="beta")).to_be_visible()
    assert (first.shown(), ["beta", "alpha"]) == (second.shown(), second.shown())


def test_a_made_up_address_does_no_harm(site: Site, opened: Open) -> None:
    show(site, THREE)
    tab = opened()
    page = tab.load("#q=&show=constructor,__proto__,<img src=x>&sort=-toString&account=__proto__&%E0%A4%A")

    assert [] == tab.shown()
    page.get_by_role("button", name="Clear filters").click()
    assert ["gamma", "beta", "alpha"] == tab.shown()


def test_hostile_names_are_shown_as_text(site: Site, opened: Open) -> None:
    evil = '<img src=x onerror="window.broken=1"><script>window.broken=1</script>'
    one = account(evil, reason=evil, path=evil, declared_at=evil, created_at=evil, condition=Condition.DRIFTED)
    source = SourceView(evil, evil, now(), now(), evil, now())
    proto = account("__proto__", reason="\u202ejs.exe")
    show(site, [one, proto], source=source, problems=(evil,), held=(evil,), checksum=evil, fleet=evil)
    tab = opened()
    page = tab.load()
    page.keyboard.press("j")
    page.keyboard.press("Enter")

    expect(page.get_by_role("dialog")).to_contain_text(evil)
    expect(page.locator("#notices")).to_contain_text(evil)
    assert [evil, "__proto__"] == tab.shown()
    assert (0, 1) == (page.locator("img").count(), page.locator("script").count())
    assert page.evaluate("window.broken === undefined")


def test_a_reconciler_that_is_gone_is_told_until_it_is_back(browser: Browser) -> None:
    context = browser.new_context()
    with served(port=free_port()) as site:
        show(site, THREE)
        tab = Opened(context.new_page(), site)
        page = tab.load()
    ask = "document.dispatchEvent(new Event('visibilitychange'))"
    page.evaluate(ask)

    banner = page.get_by_role("alert")
    expect(banner).to_have_text(re.compile(r"The reconciler does not answer any more\. .* as of \d\d:\d\d:\d\d\."))
    assert ["gamma", "beta", "alpha"] == tab.shown()
    again, app = made()
    show(again, THREE[:1])
    with serve(app, "127.0.0.1", int(site.url.rpartition(":")[2])):
        page.evaluate(ask)
        expect(banner).to_be_hidden()
        expect(page.get_by_role("status")).to_have_text("1 account")
        context.close()


def test_nothing_sticks_out_of_a_narrow_screen(site: Site, opened: Open) -> None:
    long = "a-name-that-is-sixty-three-characters-long-and-has-no-place-to-"
    error = "x" * 300
    one = replace(
        THREE[1], name=long, path=f"secret/{'deep/' * 40}", reason=error, declared_at=f"{'m/' * 90}a.yaml:1:1"
    )
    source = SourceView("https://git.example/" + "x" * 200, COMMIT, now(), now(), error, now())
    show(site, [one, *THREE], source=source, held=(error,), checksum=CHECKSUM, problems=(error,), fleet="f" * 80)
    page = opened(width=1000).load()

    for width in (1000, 700, 390, 320):
        page.set_viewport_size({"width": width, "height": 700})
        assert width == page.evaluate("Math.max(document.documentElement.scrollWidth, document.body.scrollWidth)")
        expect(row(page, "beta")).to_contain_text("Drifted")
    row(page, long).click()
    assert page.evaluate("(d => d.scrollWidth <= d.clientWidth)(document.getElementById('detail'))")


def test_on_a_narrow_screen_a_list_sorts(site: Site, opened: Open) -> None:
    show(site, THREE)
    tab = opened(width=390)
    page = tab.load()
    page.get_by_label("Sort by").select_option("Account ↓")

    assert ["gamma", "beta", "alpha"] == tab.shown()
    assert page.url.endswith("#sort=-name")


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_text_has_contrast_in_light_and_dark(site: Site, opened: Open, scheme: Literal["light", "dark"]) -> None:
    show(site, [*THREE, account("off", condition=Condition.OFF)], held=("held",), checksum=CHECKSUM, problems=("p",))
    page = opened(scheme=scheme).load()
    pairs = page.evaluate(
        """() => {
          const paper = (element) => {
            for (let each = element; each; each = each.parentElement) {
              const color = getComputedStyle(each).backgroundColor;
              if (!color.startsWith("rgba(0, 0, 0, 0")) return color;
            }
          };
          return [...document.querySelectorAll("body *")]
            .filter((each) => each.checkVisibility())
            .filter((each) => [...each.childNodes].some((node) => node.nodeType === 3 && node.data.trim()))
            .map((each) => [each.textContent.slice(0, 30), getComputedStyle(each).color, paper(each)]);
        }"""
    )

    def brightness(color: str) -> float:
        parts = [int(part) / 255 for part in re.findall(r"\d+", color)[:3]]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    weak = []
    for text, ink, paper in pairs:
        low, high = sorted((brightness(ink), brightness(paper)))
        if (high + 0.05) / (low + 0.05) < 4.5:
            weak.append((text, ink, paper))
    assert [] == weak
    assert len(pairs) > 50
    assert (scheme == "dark") == (brightness(page.evaluate("getComputedStyle(document.body).backgroundColor")) < 0.1)


def test_the_page_has_names_and_roles_for_who_does_not_see_it(site: Site, opened: Open) -> None:
    show(site, THREE)
    page = opened().load()
    tree = page.locator("body").aria_snapshot()

    for part in (
        'link "Skip to the accounts"',
        "banner:",
        'heading "3 of 3 accounts need a look." [level=1]',
        "main:",
        'search "Accounts"',
        'searchbox "Search the accounts"',
        'button "All 3" [pressed]',
        'button "KeyLost 1"',
        'table "Accounts"',
        'columnheader "Vault path"',
        'rowheader "gamma"',
        'cell "KeyLost"',
        "contentinfo:",
    ):
        assert part in tree, tree
    assert "polite" == page.locator("#live").get_attribute("aria-live")
    assert "en" == page.locator("html").get_attribute("lang")


def test_motion_is_for_those_who_have_not_asked_for_less(site: Site, opened: Open) -> None:
    show(site, THREE)
    names = []
    motion: Literal["reduce", "no-preference"]
    for motion in ("reduce", "no-preference"):
        page = opened(motion=motion).load("#account=beta")
        names.append(page.evaluate("getComputedStyle(document.getElementById('detail')).animationName"))

    assert ["none", "enter"] == names


def test_another_site_can_neither_ask_nor_read_nor_frame(site: Site, browser: Browser) -> None:
    context = browser.new_context()
    page = context.new_page()
    page.route("http://evil.localhost/", lambda route: route.fulfill(content_type="text/html", body="<p>evil</p>"))
    page.goto("http://evil.localhost/")
    outcomes = page.evaluate(
        """async (url) => {
          const outcomes = {};
          const attempt = async (name, path, options) => {
            outcomes[name] = await fetch(url + path, options).then((answer) => answer.type, () => "refused");
          };
          await attempt("ask blindly", "/sync", { method: "POST", mode: "no-cors", body: "{}" });
          await attempt("ask with a header", "/sync", { method: "POST", headers: { "X-Requested-With": "a" } });
          await attempt("read", "/api/fleet");
          await attempt("read blindly", "/api/fleet", { mode: "no-cors" });
          const frame = document.createElement("iframe");
          await new Promise((loaded) => { frame.onload = loaded; frame.src = url; document.body.append(frame); });
          return outcomes;
        }""",
        site.url,
    )
    framed = page.frames[1].url
    context.close()

    assert {"refused"} == set(outcomes.values()), outcomes
    assert framed.startswith("chrome-error:")
    assert [] == site.syncs
