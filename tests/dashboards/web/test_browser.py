"""The pages in a real browser: no errors, no requests to other hosts, accessible, and the scripts work.

Writes a screenshot of every page (light, dark, and as on a phone) to ``build/screenshots``.
"""

import csv
import threading
import time
from collections.abc import Iterator
from importlib.resources import files
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import quote, urlsplit

import pytest
import uvicorn
from muses_eval.dashboards.web.access_control import AccessRules
from muses_eval.dashboards.web.access_token import AccessToken
from muses_eval.dashboards.web.export import export
from muses_eval.dashboards.web.page import segment
from muses_eval.dashboards.web.server import OPEN, make_app
from muses_eval.dashboards.web.store_cache import StoreCache

from tests.dashboards.web.site import HOSTILE, QUOTED, leaking, locked_run, store_of
from tests.dashboards.web.test_why_access import access_episode
from tests.storage.samples import scored

if TYPE_CHECKING:
    from playwright.sync_api import Browser, BrowserContext, Page

CHROMIUM = Path("/usr/bin/chromium")
SHOTS = Path(__file__).parents[3] / "build" / "screenshots"
QUIET = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
QUERY = quote("select model, count(*) as n from episodes group by model order by model")

pytestmark = [
    pytest.mark.browser,
    pytest.mark.slow,
    pytest.mark.skipif(not CHROMIUM.exists(), reason=f"needs {CHROMIUM}: apt-get install chromium"),
]


@pytest.fixture(scope="module")
def browser() -> "Iterator[Browser]":
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        found = playwright.chromium.launch(executable_path=str(CHROMIUM), args=QUIET)
        yield found
        found.close()


@pytest.fixture(scope="module")
def site(played_store: str) -> Iterator[str]:
    """Yields the URL of a server over the played store."""
    yield from served(StoreCache(played_store))


def served(cache: StoreCache, rules: AccessRules = OPEN) -> Iterator[str]:
    server = uvicorn.Server(uvicorn.Config(make_app(cache, rules), host="127.0.0.1", port=0, log_level="error"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        assert thread.is_alive()
        time.sleep(0.02)
    (port,) = {sock.getsockname()[1] for each in server.servers for sock in each.sockets}
    yield f"http://127.0.0.1:{port}"
    server.should_exit = True
    thread.join()


class Watched:
    """A browser page that records errors, warnings, dialogs and requests to other hosts."""

    def __init__(self, context: "BrowserContext", host: str = "127.0.0.1") -> None:
        self.page: Page = context.new_page()
        self.page.set_default_timeout(120_000)  # the machine may be busy
        self.problems: list[str] = []
        self.page.on("console", lambda m: self.problems.append(m.text) if m.type in ("error", "warning") else None)
        self.page.on("pageerror", lambda error: self.problems.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.problems.append(dialog.message), dialog.dismiss()))
        self.page.on("request", lambda request: self._asked(request.url, host))

    def _asked(self, url: str, host: str) -> None:
        parts = urlsplit(url)
        if parts.scheme not in ("data", "blob", "file") and parts.hostname != host:
            self.problems.append(f"request to {url}")


@pytest.fixture
def watched(browser: "Browser") -> Iterator[Watched]:
    context = browser.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    found = Watched(context)
    yield found
    assert found.problems == []
    context.close()


def pages_of(page: "Page", site: str) -> dict[str, str]:
    """Returns name -> URL of one page of every kind, found by following links."""
    run, one, other = f"{site}/runs/played", segment("scripted/random"), segment("scripted/refuse")
    page.goto(f"{run}/episodes/index.html?family=access&order=worst")
    transcript = page.locator("tbody th a").first.evaluate("a => a.href")
    page.goto(transcript)
    scenario = page.locator("a[href*='/scenarios/']").first.evaluate("a => a.href")
    page.goto(f"{run}/compare/index.html")
    compare = page.locator("tbody a").first.evaluate("a => a.href")
    page.goto(compare)
    beside = page.locator("a", has_text="both").first.evaluate("a => a.href")
    return {
        "runs": f"{site}/",
        "leaderboard": f"{run}/index.html",
        "figures": f"{run}/figures/index.html",
        "pairs": f"{run}/compare/index.html",
        "compare": compare,
        "compare-runs": f"{site}/compare/played/earlier/index.html",
        "compare-across": f"{site}/compare/played/{one}/earlier/{other}.html",
        "beside": beside,
        "episodes": f"{run}/episodes/index.html",
        "transcript": transcript,
        "scenario": scenario,
        "history": f"{site}/history.html",
        "live": f"{site}/live.html",
        "sql": f"{site}/sql.html?q={QUERY}",
    }


LOOKS = {
    "light": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "light"},
    "dark": {"viewport": {"width": 1280, "height": 900}, "color_scheme": "dark"},
    "phone": {"viewport": {"width": 390, "height": 844}, "color_scheme": "light", "has_touch": True, "is_mobile": True},
}


AXE = "axe.run(document, {resultTypes: ['violations']}).then(found => found.violations)"


def serious_findings(page: "Page") -> list[str]:
    """Returns axe-core's serious and critical findings on the page that is open."""
    page.evaluate(files("axe_playwright_python").joinpath("axe.min.js").read_text())
    return [
        f"{each['id']}: {node['html'][:200]} ({node['failureSummary'].splitlines()[1].strip()})"
        for each in page.evaluate(AXE)
        if each["impact"] in ("serious", "critical")
        for node in each["nodes"]
    ]


@pytest.mark.parametrize("look", LOOKS)
def test_every_page_loads_without_errors_and_fits_the_window(
    browser: "Browser", site: str, played_store: str, look: str
) -> None:
    context = browser.new_context(**LOOKS[look])  # type: ignore[arg-type]
    found = Watched(context)
    SHOTS.mkdir(parents=True, exist_ok=True)
    with locked_run(StoreCache(played_store), "played", {"Prefect": f"{site}/prefect"}):
        for name, address in pages_of(found.page, site).items():
            found.page.goto(address)
            found.page.screenshot(path=SHOTS / f"{name}-{look}.png", full_page=look != "phone")
            wider = found.page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
            assert wider <= 0, f"{name} is {wider} px wider than the window"
            assert serious_findings(found.page) == [], name
    context.close()
    assert found.problems == []


def test_a_click_on_a_heading_sorts_and_another_turns_it_round(watched: Watched, site: str) -> None:
    page = watched.page
    page.goto(f"{site}/runs/played/index.html")
    models = "tbody tr:not(.paper) th"
    first = page.locator(models).all_inner_texts()
    page.get_by_role("button", name="Model").click()
    assert page.locator(models).all_inner_texts() == sorted(first)
    assert page.locator("th[aria-sort=ascending]").count() == 1
    page.get_by_role("button", name="Model").click()
    assert page.locator(models).all_inner_texts() == sorted(first, reverse=True)


def test_the_papers_rows_come_on_demand(watched: Watched, site: str) -> None:
    page = watched.page
    page.goto(f"{site}/runs/played/index.html")
    assert not page.locator("tr.paper").first.is_visible()
    page.get_by_label("Show table 2 of the paper as well").check()
    assert page.locator("tr.paper").first.is_visible()
    wider = page.evaluate(
        "(() => { const w = document.querySelector('.wide'); return w.scrollWidth - w.clientWidth })()"
    )
    assert wider <= 0, "the table needs scrolling at 1280 px"


@pytest.fixture(scope="module")
def contest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """Yields the URL of a server over a run of two models with long names, one with an agent, and a built-in agent."""
    names = ("provider/a-model-with-quite-a-long-name-70b-instruct-turbo", "b", "b + careful", "oracle")
    episodes = [
        leaking((name, n), "x", model=name, scenario_id=f"s{n}", **({"agent": "careful"} if "+" in name else {}))
        for name in names
        for n in range(3)
    ]
    episodes += [
        scored((name, family, n), {metric: (n + place) / 8}, model=name, family=family, scenario_id=f"{family}{n}")
        for place, name in enumerate(names)
        for family, metric in (("queue", "f1"), ("instruct", "accuracy"), ("meeting", "success"))
        for n in range(3)
    ]
    yield from served(store_of(tmp_path_factory.mktemp("contest") / "store", episodes, builtin={"oracle": "oracle"}))


def test_the_view_of_the_leaderboard_is_in_its_address(watched: Watched, contest: str) -> None:
    """Sort, columns and rows on request are kept by a link, by filters and by the back button."""
    page = watched.page
    page.goto(f"{contest}/runs/run-a/index.html")
    built_in = page.locator("tr.builtin").first
    assert not built_in.is_visible()
    page.get_by_label("Show 1 built-in agent").check()
    assert built_in.is_visible()
    page.get_by_role("button", name="Model").click()
    page.locator("details.columns summary").click()
    page.get_by_label("Cost").uncheck()
    assert urlsplit(page.url).query == "builtin=show&sort=model&hide=cost"
    assert not page.locator("th[data-column=cost]").is_visible()
    page.go_back()
    assert page.locator("th[data-column=cost]").is_visible()
    page.go_forward()
    page.get_by_label("family").select_option("queue")
    page.get_by_role("button", name="Show", exact=True).click()
    page.wait_for_url("**family=queue**")
    assert urlsplit(page.url).query == "family=queue&sort=model&hide=cost&builtin=show"
    assert page.locator("th[aria-sort=ascending]").inner_text().startswith("Model")
    assert not page.locator("th[data-column=cost]").is_visible()
    assert page.get_by_text("Ranked by queue alone, published scoring.").is_visible()
    page.get_by_role("link", name="corrected").click()
    page.wait_for_url("**/corrected.html**")
    assert "hide=cost" in page.url
    assert built_in.is_visible()


def test_the_leaderboard_fits_a_wide_window_and_keeps_names_in_a_narrow_one(watched: Watched, contest: str) -> None:
    page = watched.page
    page.set_viewport_size({"width": 1440, "height": 900})
    page.goto(f"{contest}/runs/run-a/index.html?builtin=show&paper=show")
    wider = "(() => { const w = document.querySelector('.wide'); return w.scrollWidth - w.clientWidth })()"
    assert page.evaluate(wider) <= 0
    page.set_viewport_size({"width": 390, "height": 844})
    average = page.locator("tbody tr").first.locator(".mean").first.bounding_box()
    assert average is not None
    assert average["x"] + average["width"] < 390
    page.locator(".wide").evaluate("e => { e.scrollLeft = 400 }")
    name = page.locator("tbody th").first.bounding_box()
    assert name is not None
    assert name["x"] >= 0


def test_filters_narrow_and_their_address_is_a_deep_link(watched: Watched, site: str) -> None:
    page = watched.page
    page.goto(f"{site}/runs/played/episodes/index.html")
    page.get_by_label("model").select_option("scripted/refuse")
    page.get_by_label("family").select_option("queue")
    page.get_by_role("button", name="Find").click()
    page.wait_for_url("**model=scripted**")
    rows = page.locator("tbody tr").all_inner_texts()
    assert len(rows) == 6
    assert all("scripted/refuse" in row for row in rows)
    link = page.url
    page.goto("about:blank")
    page.goto(link)
    assert page.locator("tbody tr").all_inner_texts() == rows
    assert page.get_by_label("model").input_value() == "scripted/refuse"


def test_the_leaderboard_of_a_family_and_back(watched: Watched, site: str) -> None:
    page = watched.page
    page.goto(f"{site}/runs/played/index.html")
    page.get_by_label("family").select_option("queue")
    page.get_by_role("button", name="Show").click()
    page.wait_for_url("**family=queue**")
    assert page.locator("thead th.num").count() == 4  # one column, the average, coverage, cost
    page.get_by_role("link", name="All episodes").click()
    page.wait_for_url(lambda url: "family" not in url)
    page.locator("tbody a.mean").first.click()
    page.wait_for_url("**/episodes/**model=**")


def test_two_runs_are_chosen_and_compared_down_to_their_transcripts(watched: Watched, site: str) -> None:
    page = watched.page
    page.goto(f"{site}/")
    page.locator("select[name=second]").select_option("earlier")
    page.get_by_role("button", name="Compare").click()
    page.wait_for_url("**first=played&second=earlier")
    page.locator("select[name=a]").select_option("scripted/random")
    page.locator("select[name=b]").select_option("scripted/refuse")
    page.get_by_role("button", name="Compare").click()
    page.wait_for_url("**a=scripted**")
    page.locator("a", has_text="both").first.click()
    page.wait_for_url("**/beside/played/**")
    assert page.locator(".beside > div").count() == 2


def test_leaks_are_marked_and_reached_by_key_and_a_principals_view_hides_the_rest(
    browser: "Browser", tmp_path: Path
) -> None:
    """With scripts in an export, and without scripts on a server."""
    episode = access_episode(9)
    cache = store_of(tmp_path / "store", [episode])
    export(cache, tmp_path / "site")
    found = Watched(browser.new_context())
    page = found.page
    page.goto((tmp_path / "site" / "runs" / "run-a" / "episodes" / f"{episode.episode_id}.html").as_uri())
    marks, folded = page.locator("article.leaked mark"), page.locator("details.fold:not([open])")
    colour = "e => getComputedStyle(e).backgroundColor"
    assert marks.first.evaluate(colour) != page.locator("article.leaked").first.evaluate(colour)
    for key, target in (("n", "#leak-1"), ("n", "#leak-2"), ("n", "#leak-2"), ("p", "#leak-1")):
        page.keyboard.press(key)
        assert page.evaluate("location.hash") == target
    page.get_by_role("link", name="Bob, turn 5").click()
    assert folded.count() == 4
    page.get_by_role("button", name="Open all turns").click()
    assert folded.count() == 0
    assert len({lane.bounding_box()["x"] for lane in page.locator("article[data-who=Bob]").all()}) == 1  # type: ignore[index]
    page.get_by_label("See it as").select_option("Bob")
    assert not any(lane.is_visible() for lane in page.locator("article[data-who=Ana], .why, .judged, .briefing").all())
    assert page.locator("article[data-who=Bob] p", has_text="it is the").is_visible()
    assert found.problems == []
    for address in served(cache):
        plain = browser.new_context(java_script_enabled=False).new_page()
        plain.goto(f"{address}/runs/run-a/episodes/{episode.episode_id}.html")
        plain.get_by_label("See it as").select_option("Ana")
        plain.get_by_role("button", name="Show").click()
        plain.wait_for_url("**?as=Ana")
        assert plain.locator("article[data-who=Ana] p", has_text="ana asks").is_visible()
        assert not any(each.is_visible() for each in plain.locator("article[data-who=Bob], .why, .judged").all())


@pytest.mark.parametrize("family", ["queue", "instruct", "meeting"])
def test_the_reasons_of_a_score_scroll_within_themselves_on_a_phone(browser: "Browser", site: str, family: str) -> None:
    context = browser.new_context(**LOOKS["phone"])  # type: ignore[arg-type]
    found = Watched(context)
    found.page.goto(f"{site}/runs/played/episodes/index.html?model=scripted%2Fcompliant&family={family}&order=worst")
    found.page.goto(found.page.locator("tbody th a").first.evaluate("a => a.href"))
    table = found.page.locator(".why .wide")
    assert table.locator("tbody tr").count() > 1
    assert table.locator("tbody th:not([scope=row]), thead th:not([scope=col])").count() == 0
    wider = "e => e.scrollWidth - e.clientWidth"
    assert found.page.locator("html").evaluate(wider) <= 0
    if table.evaluate(wider) > 0:
        assert table.evaluate("e => { e.scrollLeft = 50; return e.scrollLeft; }") > 0
    assert family != "meeting" or table.evaluate(wider) > 0
    context.close()
    assert found.problems == []


def test_the_theme_is_switched_and_remembered(watched: Watched, site: str) -> None:
    page = watched.page
    page.emulate_media(color_scheme="light")
    page.goto(f"{site}/")
    colour = "getComputedStyle(document.body).backgroundColor"
    light = page.evaluate(colour)
    page.get_by_role("button", name="Theme").click()
    dark = page.evaluate(colour)
    assert dark != light
    page.goto(f"{site}/history.html")
    assert page.evaluate(colour) == dark


def test_a_query_result_is_saved_as_csv(watched: Watched, site: str, tmp_path: Path) -> None:
    page = watched.page
    page.goto(f"{site}/sql.html")
    page.get_by_label("One SELECT").fill(
        "select 'a \"b\", c' as text, 1.5 as number union all select 'd', 2.5 order by 2"
    )
    page.get_by_label("One SELECT").press("Control+Enter")
    page.wait_for_selector("table[data-csv=result]")
    with page.expect_download() as download:
        page.get_by_role("button", name="CSV").click()
    download.value.save_as(tmp_path / "result.csv")
    with (tmp_path / "result.csv").open(newline="", encoding="utf-8") as file:
        assert list(csv.reader(file)) == [["text", "number"], ['a "b", c', "1.5"], ["d", "2.5"]]


def test_a_refused_query_shows_an_alert(watched: Watched, site: str) -> None:
    page = watched.page
    page.goto(f"{site}/sql.html?q={quote('drop view episodes')}")
    page.get_by_role("button", name="Run").click()
    assert page.get_by_role("alert").is_visible()


@pytest.mark.parametrize("kind", ["SVG", "PNG"])
def test_a_chart_is_saved_on_its_own(watched: Watched, site: str, tmp_path: Path, kind: str) -> None:
    page = watched.page
    page.goto(f"{site}/runs/played/figures/index.html")
    with page.expect_download() as download:
        page.get_by_role("button", name=kind).first.click()
    download.value.save_as(tmp_path / "chart")
    content = (tmp_path / "chart").read_bytes()
    assert content.startswith(b"<svg" if kind == "SVG" else b"\x89PNG")
    if kind == "SVG":
        assert b"class=" not in content
        assert b"run played" in content


def test_the_keyboard_reaches_the_content_first_and_sorts(watched: Watched, site: str) -> None:
    page = watched.page
    page.goto(f"{site}/runs/played/index.html")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    assert page.locator(".skip").bounding_box()["x"] >= 0  # type: ignore[index]
    page.keyboard.press("Enter")
    for _ in range(40):
        page.keyboard.press("Tab")
        if page.evaluate("document.activeElement.className") == "sort":
            break
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") != "none"
    page.keyboard.press("Enter")
    assert page.locator("th[aria-sort]").count() == 1


def test_without_scripts_every_page_can_be_read(browser: "Browser", site: str) -> None:
    context = browser.new_context(java_script_enabled=False)
    page = context.new_page()
    page.set_default_timeout(120_000)
    page.goto(f"{site}/runs/played/index.html")
    assert "scripted/oracle" in page.locator("tbody").inner_text()
    context.close()


def test_the_export_works_from_a_folder(browser: "Browser", played_store: str, tmp_path: Path) -> None:
    export(StoreCache(played_store), tmp_path)
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    found = Watched(context)
    page = found.page
    page.goto((tmp_path / "index.html").as_uri())
    page.get_by_role("link", name="played").first.click()
    page.get_by_role("button", name="Model").click()
    assert page.locator("th[aria-sort]").count() == 1
    for name in ("Figures", "Compare", "Episodes"):
        page.get_by_role("link", name=name, exact=True).click()
        assert page.get_by_role("heading", level=1).inner_text() == name
    page.locator("tbody th a").first.click()
    assert page.locator("section.turn").count() > 0
    page.get_by_role("link", name="SQL").click()
    assert "need a server" in page.locator("main").inner_text()
    assert found.problems == []
    context.close()


def test_hostile_text_runs_nowhere(browser: "Browser", tmp_path: Path) -> None:
    """Hostile text opens no dialog and sends no request, and the content security policy has nothing to block."""
    episodes = [
        leaking((model, n), HOSTILE, model=model, scenario_id=f"{HOSTILE} {n}", attack=HOSTILE, template=HOSTILE)
        for model in (HOSTILE, QUOTED)
        for n in range(2)
    ]
    cache = store_of(tmp_path / "store", episodes)
    for address in served(cache):
        context = browser.new_context()
        found = Watched(context)
        for path in (
            "",
            "history.html",
            "runs/run-a/index.html",
            "runs/run-a/figures/index.html",
            "runs/run-a/compare/index.html",
            "runs/run-a/episodes/index.html",
            f"runs/run-a/episodes/{episodes[0].episode_id}.html",
            f"sql.html?q={quote('select content from messages')}",
        ):
            found.page.goto(f"{address}/{path}")
            if path.startswith("sql"):
                found.page.get_by_role("button", name="Run").click()
            assert found.page.locator("main img, main script, main iframe").count() == 0
        found.page.goto(f"{address}/runs/run-a/compare/index.html")
        found.page.locator("tbody a").first.click()
        assert found.page.locator("main h1").count() == 1
        context.close()
        assert found.problems == []


def test_a_shared_link_leads_through_the_sign_in_and_other_sites_cannot_post(
    browser: "Browser", played_store: str, tmp_path: Path
) -> None:
    token = "token-of-the-browser-test"
    for address in served(StoreCache(played_store), AccessRules(AccessToken.parse(token, "the test"))):
        context = browser.new_context()
        page = context.new_page()
        page.set_default_timeout(120_000)
        shared = f"{address}/runs/played/episodes/index.html?model=scripted%2Frefuse"
        page.goto(shared)
        page.get_by_label("Access token").fill(token)
        page.get_by_role("button", name="Sign in").click()
        page.wait_for_url(shared)
        assert page.get_by_label("model").input_value() == "scripted/refuse"
        page.goto(f"{address}/sql.html")
        page.get_by_label("One SELECT").fill("select 40 + 2 as answer")
        page.get_by_role("button", name="Run").click()
        assert page.locator("td[data-value='42']").count() == 1, "the own form is accepted over plain HTTP"
        # The file stands for a foreign site: its origin is another one, and the visitor has signed in.
        (tmp_path / "evil.html").write_text(
            f"<form method=post action='{address}/sql.html'><input name=q value='select 1'><button>Win</button></form>"
            f"<img src='{address}/sql.html?q=select+1'><a href='{shared}'>link</a>"
        )
        page.goto((tmp_path / "evil.html").as_uri())
        assert page.locator("img").evaluate("image => image.naturalWidth") == 0
        page.get_by_role("button", name="Win").click()
        page.wait_for_url(f"{address}/sql.html")
        assert "another site sent this request" in page.locator("body").inner_text()
        page.goto((tmp_path / "evil.html").as_uri())
        page.get_by_role("link", name="link").click()
        page.wait_for_url(shared)
        assert page.get_by_label("model").input_value() == "scripted/refuse", "a link keeps the session"
        page.get_by_role("button", name="Sign out").click()
        assert page.get_by_label("Access token").is_visible()
        context.close()
