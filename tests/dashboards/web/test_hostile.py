"""Texts and names of models are printed as text; none of them becomes markup on any page."""

from pathlib import Path
from urllib.parse import quote

import pytest
from muses_eval.dashboards.web.export import exported_files
from muses_eval.dashboards.web.page import segment
from muses_eval.dashboards.web.routes import ROUTES
from muses_eval.dashboards.web.store_cache import StoreCache

from tests.dashboards.web.site import HOSTILE, QUOTED, client, leaking, parse, store_of

ALL_TEXTS = "select model, content, messages, {k: content} as s from messages join episodes e using (episode_id)"
TAGS_WITH_NO_PLACE = {"img", "iframe", "object", "embed", "base", "video", "audio", "style"}


@pytest.fixture(scope="module")
def hostile_cache(tmp_path_factory: pytest.TempPathFactory) -> StoreCache:
    """Returns a cache over a store of two models with hostile names and messages."""
    folder = tmp_path_factory.mktemp("hostile") / "store"
    episodes = [
        leaking(
            (model, number),
            HOSTILE,
            model=model,
            scenario_id=f"{HOSTILE} {number}",
            attack=HOSTILE,
            flags=("unparsed",),
            dataset=HOSTILE,
            users=HOSTILE,
            template=HOSTILE,
            provider_model=HOSTILE,
        )
        for model in (HOSTILE, QUOTED)
        for number in range(3)
    ]
    return store_of(folder, episodes)


def every_path(cache: StoreCache) -> list[str]:
    paths = [route.path(**params) for route in ROUTES for params in route.exported_params(cache)]
    ids = [path.rpartition("/")[2].removesuffix(".html") for path in paths if "/episodes/" in path][1:]
    return [
        *paths,
        "live.html",
        f"runs/run-a/episodes/beside/{ids[0]}/{ids[1]}.html",
        f"runs/run-a/episodes/index.html?text={quote(HOSTILE)}&order={quote(HOSTILE)}&model={quote(HOSTILE)}",
        f"runs/run-a/index.html?template={quote(HOSTILE)}&variant={quote(HOSTILE)}",
        f"runs/run-a/index.html?family={quote(HOSTILE)}",
        f"sql.html?q={quote(HOSTILE)}",
        f"{segment(HOSTILE)}.html",
        f"runs/{segment(HOSTILE)}/index.html",
    ]


def check(text: str) -> None:
    for tag, attributes in parse(text).tags:
        assert tag not in TAGS_WITH_NO_PLACE
        assert not [name for name in attributes if name.startswith("on") or name == "style"]
        assert not (attributes.get("href") or "").strip().lower().startswith(("javascript:", "data:", "http:", "//"))
        if tag == "script":
            assert (attributes["src"] or "").endswith("static/site.js")
    for character in "\u202e\x1b\x00\x07":
        assert character not in "".join(parse(text).texts)


def test_in_no_page_does_it_become_markup(hostile_cache: StoreCache) -> None:
    browser = client(hostile_cache)
    for path in every_path(hostile_cache):
        answer = browser.get(f"/{path}")
        assert answer.status_code in (200, 404), path
        check(answer.text)
    check(browser.post("/sql.html", data={"q": ALL_TEXTS}).text)


def test_it_is_shown_as_text(hostile_cache: StoreCache) -> None:
    browser = client(hostile_cache)
    (path, *_) = [path for path in every_path(hostile_cache) if "/episodes/" in path][1:]
    text = browser.get(f"/{path}").text
    assert "ana says &#34;&gt;&lt;script&gt;alert(1)" in text
    assert "{{ 7*7 }}" in text


def test_in_no_exported_file_either(hostile_cache: StoreCache) -> None:
    pages = 0
    for path, content in exported_files(hostile_cache):
        if path.endswith(".html"):
            check(content.decode())
            pages += 1
    assert pages > 10


def test_names_with_quotes_and_slashes_have_their_pages(hostile_cache: StoreCache) -> None:
    browser = client(hostile_cache)
    board = browser.get("/runs/run-a/index.html").text
    links = [a["href"] for tag, a in parse(board).tags if tag == "a" and "model=" in (a.get("href") or "")]
    assert len(links) >= 6
    for link in links:
        answer = browser.get(f"/runs/run-a/{link}")
        assert "3 episodes" in answer.text
    both = [f"/runs/run-a/compare/{segment(a)}/{segment(b)}.html" for a, b in ((HOSTILE, QUOTED), (QUOTED, HOSTILE))]
    assert [browser.get(path).status_code for path in both] == [200, 200]


@pytest.mark.slow
def test_a_message_of_ten_megabytes_is_cut_and_says_so(tmp_path: Path) -> None:
    text = "<b>" + "x\u202e" * 5_000_000
    episodes = [leaking(n, text if n else "short", scenario_id=f"a{n}") for n in range(2)]
    browser = client(store_of(tmp_path / "store", episodes))
    shown = browser.get(f"/runs/run-a/episodes/{episodes[1].episode_id}.html").text
    assert "more characters in the store" in shown
    assert "<b>" not in shown
    assert len(shown) < 3_000_000
    query = "select content from messages order by length(content) desc limit 1"
    table = browser.post("/sql.html", data={"q": query}).text
    assert len(table) < 3_000_000
