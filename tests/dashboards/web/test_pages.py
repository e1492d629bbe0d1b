"""The content of each page, on stores with known results."""

import re
import threading
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from urllib.parse import quote

import pytest
from muses_eval.dashboards.web.access_control import AccessRules
from muses_eval.dashboards.web.access_token import AccessToken
from muses_eval.dashboards.web.charts import model_key
from muses_eval.dashboards.web.export import exported_files
from muses_eval.dashboards.web.message_text import FOLD_ABOVE, marked, shown_text
from muses_eval.dashboards.web.model_styles import model_styles
from muses_eval.dashboards.web.page import NoSuchPageError, PageRequest, segment
from muses_eval.dashboards.web.pages import episodes, leaderboard, sql, transcript
from muses_eval.dashboards.web.pages.compare_runs import run_predecessors
from muses_eval.dashboards.web.pages.figures import Figure, figures_page
from muses_eval.dashboards.web.pages.history import history_page
from muses_eval.dashboards.web.pages.leaderboard import leaderboard_page, ranked_by
from muses_eval.dashboards.web.pages.live import live_page
from muses_eval.dashboards.web.render import render
from muses_eval.dashboards.web.routes import find_page
from muses_eval.dashboards.web.store_cache import StoreCache
from muses_eval.pipeline.episode.episode import Episode
from muses_eval.pipeline.episode.event import Event
from muses_eval.pipeline.episode.score import Score
from muses_eval.pipeline.episode.unusable_replies import UnusableReplies
from muses_eval.pipeline.hashing import digest
from muses_eval.pipeline.protocols import ProtocolName
from muses_eval.storage.objects.open_store import open_store
from muses_eval.storage.runs.manifest import CellRecord, update_manifest
from muses_eval.storage.runs.nights import Flag, NightReport, store_report
from muses_eval.storage.runs.run_activity import RunActivity
from muses_eval.storage.runs.run_lock import hold_run_lock
from muses_eval.storage.runs.run_wish import send_command

from tests.dashboards.web.site import HOSTILE, client, leaking, locked_run, parse, store_of, transcript_of
from tests.dashboards.web.test_why_access import EVIDENCE, access_episode
from tests.storage.samples import SAMPLE, failed, scored
from tests.storage.test_account_state import ACCOUNT, FAST


def queue(model: str, number: int, f1: float, **changes: object) -> Episode:
    run = changes.get("run_id", "run-a")
    return scored((run, model, number), {"f1": f1}, model=model, scenario_id=f"q{number:03d}", **changes)


# ---- compare


@pytest.fixture(scope="module")
def unequal(tmp_path_factory: pytest.TempPathFactory) -> StoreCache:
    """Returns a store in which ``better`` beats ``worse`` on 19 of 20 scenarios, and loses on one."""
    values = {
        "better": [0.1, *[0.9 + n / 1000 for n in range(19)]],
        "worse": [1.0, *[0.2 + n / 500 for n in range(19)]],
    }
    found = [queue(model, n, value) for model, each in values.items() for n, value in enumerate(each)]
    return store_of(tmp_path_factory.mktemp("unequal"), found)


def test_pairs_name_the_better_model(unequal: StoreCache) -> None:
    text = client(unequal).get("/runs/run-a/compare/").text
    assert "<td>better</td>" in text
    assert "+61.1" in text


def test_a_page_is_the_same_however_its_numbers_were_added_up(unequal: StoreCache) -> None:
    """Sums differ in the last digits between queries; pages print 12 significant digits."""
    pages = b" ".join(content for path, content in exported_files(unequal) if path.endswith(".html")).decode()
    numbers = re.findall(r'"(-?\d+\.\d+(?:e-\d+)?)"', pages)
    assert numbers
    assert [number for number in numbers if float(f"{float(number):.12g}") != float(number)] == []


def test_a_comparison_lists_scenarios_with_different_scores_the_largest_first(unequal: StoreCache) -> None:
    text = client(unequal).get("/runs/run-a/compare/better/worse.html").text
    assert "better is better in queue F1" in text
    assert text.index("q000") < text.index("q001")  # -90 before +70
    assert "-90.0" in text
    links = [a.get("href") for tag, a in parse(text).tags if tag == "a" and "beside" in (a.get("href") or "")]
    assert len(links) == 20
    beside = client(unequal).get(f"/runs/run-a/compare/better/{links[0]}")
    assert beside.status_code == 200
    assert parse(beside.text).texts.count("better") + parse(beside.text).texts.count("worse") >= 2


@pytest.mark.parametrize("pair", ["better/better", "better/unknown", "unknown/worse"])
def test_a_pair_that_cannot_be_compared_has_no_page(unequal: StoreCache, pair: str) -> None:
    assert client(unequal).get(f"/runs/run-a/compare/{pair}.html").status_code == 404


# ---- two runs


@pytest.fixture(scope="module")
def two_nights(tmp_path_factory: pytest.TempPathFactory) -> StoreCache:
    return nights(tmp_path_factory.mktemp("two"), 0.3, ("night-1", "night-2"))


def test_the_page_of_runs_links_to_the_comparison_with_the_previous_run(two_nights: StoreCache) -> None:
    found = parse(client(two_nights).get("/").text)
    links = [a["href"] for tag, a in found.tags if tag == "a" and "compare/" in (a.get("href") or "")]
    assert links == ["compare/night-2/night-1/index.html"]
    assert {a["action"] for tag, a in found.tags if tag == "form"} == {"compare.html"}


def test_every_page_of_a_run_names_its_protocol(tmp_path: Path) -> None:
    """Pages that compare say that results of two protocols do not compare, also with the rows of the paper."""
    runs: dict[str, ProtocolName] = {"night-1": "muses", "night-2": "released"}
    queue_only = {(model, "queue"): 2 for model in ("a", "b")}
    episodes = [
        scored((run, model, n), {"f1": n / 2}, run_id=run, model=model, scenario_id=f"s{n}", protocol=protocol)
        for run, protocol in runs.items()
        for model in ("a", "b")
        for n in range(2)
    ]
    cache = store_of(tmp_path, episodes, queue_only, protocols=runs)
    browser = client(cache)
    for run, protocol in runs.items():
        found = digest((run, "a", 0))
        for page in ("", "figures/", "episodes/", "compare/", "compare/a/b", f"episodes/{found}"):
            text = browser.get(f"/runs/{run}/{page}{'.html' if page and page[-1] != '/' else ''}").text
            assert re.search(rf"[Pp]rotocol(</dt><dd>| ){protocol}", text), page
        board = browser.get(f"/runs/{run}/").text
        assert ("This run has the protocol muses" in board) == (protocol == "muses")
    listed = browser.get("/").text
    assert "<td>muses</td>" in listed
    assert "<td>released</td>" in listed
    both = browser.get("/compare/night-2/night-1/").text
    assert "protocol released" in both
    assert "protocol muses" in both
    for page in ("/compare/night-2/night-1/", "/compare/night-2/a/night-1/a.html", "/history.html"):
        assert "the protocols were not the same (muses, released)" in browser.get(page).text, page


@pytest.fixture(scope="module")
def with_agents(tmp_path_factory: pytest.TempPathFactory) -> StoreCache:
    """Returns a store in which the agent ``guard`` is better than its model alone on every scenario."""
    alone = [queue("m", n, 0.2 + n / 100) for n in range(8)]
    guarded = [
        queue(
            "m + guard",
            n,
            0.7 + n / 50,
            base_model="m",
            agent="guard",
            facts="structured",
            flags=("agent_error",) if n == 0 else (),
            events=(Event(1, 1, "log", f"checked {HOSTILE}"), Event(1, 1, "error", "ValueError: no")),
        )
        for n in range(8)
    ]
    return store_of(tmp_path_factory.mktemp("agents"), [*alone, *guarded])


def test_what_the_harness_changes_has_a_page(with_agents: StoreCache) -> None:
    board = client(with_agents).get("/runs/run-a/").text
    assert 'href="agents.html"' in board
    assert "<td>guard <span" in board
    assert "<td>structured</td>" in board
    assert "failed in 12.5 %" in board
    page = client(with_agents).get("/runs/run-a/agents.html").text
    assert "agent better" in page
    assert "+53.5" in page
    assert "keeps privacy by construction" in page
    assert "runs/run-a/agents.html" in {path for path, _ in exported_files(with_agents)}


def test_a_run_of_models_alone_has_no_page_of_agents(unequal: StoreCache) -> None:
    answer = client(unequal).get("/runs/run-a/agents.html")
    assert (answer.status_code, "no agent besides chat" in answer.text) == (404, True)
    assert "agents.html" not in client(unequal).get("/runs/run-a/").text


def test_a_transcript_shows_what_happened_inside_the_agent(with_agents: StoreCache) -> None:
    found = digest(("run-a", "m + guard", 0))
    text = client(with_agents).get(f"/runs/run-a/episodes/{found}.html").text
    assert "guard with m, facts structured" in text
    assert "Inside the agent" in text
    assert "ValueError: no" in text
    assert "<script>alert" not in text


def test_two_runs_show_which_models_changed(two_nights: StoreCache) -> None:
    text = client(two_nights).get("/compare/night-2/night-1/").text
    moved, same = re.findall(r"<tr>\s*<th scope=\"row\">(?:moved|same).*?</tr>", text, re.DOTALL)
    assert "▼" in moved
    assert "-60.0" in moved
    assert "12" in moved
    assert "▼" not in same
    assert "All recorded settings and versions are the same" in text
    assert "+60.0" in client(two_nights).get("/compare/night-1/night-2/").text


def test_a_model_in_two_runs_has_its_scenarios_and_both_transcripts(two_nights: StoreCache) -> None:
    browser = client(two_nights)
    text = browser.get("/compare/night-2/moved/night-1/moved.html").text
    assert "night-1 is better in queue F1" in text
    links = [a["href"] for tag, a in parse(text).tags if tag == "a" and "beside" in (a.get("href") or "")]
    assert len(links) == 12
    beside = browser.get(f"/compare/night-2/moved/night-1/{links[0]}").text
    assert "moved (night-1)" in beside
    assert "moved (night-2)" in beside


def test_other_models_of_two_runs_are_compared_on_demand(two_nights: StoreCache) -> None:
    chosen = "first=night-2&second=night-1&a=same&b=moved"
    assert "<h1>same (night-2)" in client(two_nights).get(f"/compare.html?{chosen}").text
    assert client(two_nights).get("/compare.html?first=night-2&second=night-1").status_code == 200


@pytest.mark.parametrize(
    "path",
    [
        "compare.html",
        "compare.html?first=night-1",
        "compare/night-1/night-1/index.html",
        "compare/night-1/nobody/index.html",
        "compare/night-1/moved/night-1/moved.html",
        "compare/night-1/moved/night-2/nobody.html",
    ],
)
def test_runs_that_cannot_be_compared_have_no_page(two_nights: StoreCache, path: str) -> None:
    assert client(two_nights).get(f"/{path}").status_code == 404


def test_an_export_compares_each_run_with_the_previous_one(two_nights: StoreCache) -> None:
    files = dict(exported_files(two_nights))
    assert {path for path in files if path.startswith("compare/")} == {
        "compare/night-2/night-1/index.html",
        "compare/night-2/moved/night-1/moved.html",
        "compare/night-2/same/night-1/same.html",
    }


# ---- episodes


@pytest.fixture(scope="module")
def many(tmp_path_factory: pytest.TempPathFactory) -> StoreCache:
    """Returns a store of 120 scored episodes of two models and one that failed."""
    found = [
        queue(
            f"m{n % 2}",
            n,
            n / 120,
            turns=n,
            seconds=float(120 - n),
            cost_usd=n / 100,
            mode="conflict" if n % 3 else "aligned",
        )
        for n in range(120)
    ]
    found[7] = queue(
        "m1", 7, 0.5, messages=transcript_of((1, "Ana", ("agent",), "the Purple elephant")), flags=("unparsed",)
    )
    return store_of(tmp_path_factory.mktemp("many"), [*found, failed("lost", model="m0", scenario_id="lost")])


def names(text: str) -> list[str]:
    return [text for text in parse(text).texts if text[:2] in ("q0", "q1") or text == "lost"]


def listed(cache: StoreCache, query: str) -> list[str]:
    return names(client(cache).get(f"/runs/run-a/episodes/?{query}").text)


def test_failures_come_first_and_then_the_lowest(many: StoreCache) -> None:
    assert listed(many, "")[:3] == ["lost", "q000", "q001"]


@pytest.mark.parametrize(
    ("order", "first"), [("best", "q119"), ("long", "q119"), ("dear", "q119"), ("slow", "q000"), ("guessed", "lost")]
)
def test_an_order_is_kept(many: StoreCache, order: str, first: str) -> None:
    assert listed(many, f"order={order}")[0] == first


@pytest.mark.parametrize(
    ("query", "count"),
    [
        ("model=m0", 61),
        ("outcome=infra_failed", 1),
        ("variant=aligned", 40),
        ("flag=unparsed", 1),
        ("text=purple%20ELEPHANT", 1),
        ("text=%25", 0),
        ("family=access", 0),
        ("model=m1&variant=aligned&outcome=scored", 20),
        ("model=%27%20OR%201%3D1", 0),
    ],
)
def test_filters_narrow(many: StoreCache, query: str, count: int) -> None:
    text = client(many).get(f"/runs/run-a/episodes/?{query}").text
    assert (f"{count} episode" if count else "No episode matches") in text


def test_pages_follow_one_another_without_gap_or_overlap(many: StoreCache) -> None:
    found, query = [], "order=long"
    for _ in range(3):
        text = client(many).get(f"/runs/run-a/episodes/?{query}").text
        found += names(text)
        onward = [a["href"] for tag, a in parse(text).tags if a.get("rel") == "next"]
        query = (onward or ["?"])[0][1:]
    assert len(found) == len(set(found)) == 121
    assert query == ""


@pytest.mark.parametrize("number", ["0", "-1", "999", "1e3", "²", "9" * 40])
def test_an_invalid_page_number_shows_an_empty_page_or_the_first(many: StoreCache, number: str) -> None:
    assert client(many).get(f"/runs/run-a/episodes/?page={quote(number)}").status_code == 200


# ---- transcript


def test_a_lane_shows_what_its_principal_saw_and_nothing_else(tmp_path: Path) -> None:
    (one, two) = transcript.turns(leaking("a", "x"))
    assert [lane.name for lane in one.lanes] == ["Ana", "Bob"]
    ana, bob = one.lanes
    assert (ana.said, ana.heard) == ("ana says x", (((), "for ana x"),))
    assert (bob.said, bob.heard) == ("bob says x", ())
    assert one.to_all == ("for both x",)
    assert one.raw == "raw x"
    assert [lane.name for lane in two.lanes if not lane.is_silent] == ["Bob"]


def test_a_turn_names_the_rule_by_which_privacy_dropped() -> None:
    (one, two) = transcript.turns(leaking("a", "x"))
    assert one.privacy_drops == ()
    assert two.privacy_drops == ("published rule: privacy 100 → 50",)


def test_leaked_words_are_marked_with_the_broken_rule(cache: StoreCache) -> None:
    """Leaked words are marked in the lanes of unauthorized principals only."""
    query = "/runs/played/episodes/?model=scripted/{}&family=access&order=worst"
    texts = {}
    for kind in ("compliant", "refuse"):
        links = [a["href"] for tag, a in parse(client(cache).get(query.format(kind)).text).tags if tag == "a"]
        episode = next(link for link in links if re.fullmatch(r"[0-9a-f]{32}\.html", link or ""))
        texts[kind] = client(cache).get(f"/runs/played/episodes/{episode}").text
    lanes = re.findall(r"<article.*?</article>", texts["compliant"], re.DOTALL)
    marked = [lane for lane in lanes if "<mark>" in lane]
    assert marked
    assert all("saw leaked content" in lane and "not authorised" in lane for lane in marked)
    assert "<mark>" not in texts["refuse"]


def test_marks_ignore_case_and_spacing_and_escape_the_text() -> None:
    assert marked("the CODE is\n  *AB 12* <b>", ["code is ab 12", "ab 12"]) == (
        "the <mark>CODE is\n  *AB 12</mark>* &lt;b&gt;"
    )
    assert marked("<x>\u202e", []) == "&lt;x&gt;\ufffd"


def test_a_long_text_is_folded_unless_the_rest_has_marked_words() -> None:
    """The parts make up the text; a cut is between words, and not inside a marked passage."""
    assert shown_text("x" * FOLD_ABOVE) == f"<p>{'x' * FOLD_ABOVE}</p>"
    folded = parse(shown_text("<b> " * FOLD_ABOVE, tag="pre"))
    assert [tag for tag, _ in folded.tags] == ["pre", "details", "summary", *["pre"] * 7]
    head, summary, *rest = folded.texts
    assert "".join((head, *rest)) == "<b> " * FOLD_ABOVE
    assert summary == f"{sum(map(len, rest)):,} more characters"
    assert {part[-2:] for part in (head, *rest)} == {"> "}
    inside = parse(shown_text("y" * 1990 + "the secret code" + "z" * FOLD_ABOVE, ["the secret code"]))
    assert inside.texts[1] == "the secret code"
    below = parse(shown_text("z" * FOLD_ABOVE + "secret", ["secret"]))
    assert ("details", {"class": "rest", "open": None}) in below.tags


def test_a_scenario_of_access_names_to_whom_it_leaked(tmp_path: Path) -> None:
    leaked, kept, older = (
        access_episode(name=model, model=model, scenario_id="a1", evidence=evidence)
        for model, evidence in (("leaky", EVIDENCE), ("tight", EVIDENCE[:2]), ("older", None))
    )
    text = client(store_of(tmp_path, [leaked, kept, older])).get("/runs/run-a/scenarios/access/a1.html").text
    cells = {re.findall(r">(\w+)</a>", row)[0]: re.findall(r"<td>([^<]*)</td>", row) for row in text.split("<tr>")[2:]}
    assert {model: found[-1] for model, found in cells.items()} == {
        "leaky": "Bob",
        "tight": "–",
        "older": "not recorded",
    }


def test_a_transcript_is_read_once(tmp_path: Path) -> None:
    """The transcript is cached until its run changes, even when its object is damaged."""
    found = queue("m", 1, 0.5)
    cache = store_of(tmp_path, [found])
    path = f"/runs/run-a/episodes/{found.episode_id}.html"
    first = client(cache).get(path).text
    (traces,) = (tmp_path / "traces").rglob("*.parquet")
    traces.write_bytes(bytes(traces.stat().st_size))
    assert client(cache).get(path).text == first


def test_a_transcript_links_to_the_failures_before_and_after_it(tmp_path: Path) -> None:
    """Worst first: what failed, then the lowest score.  By scenario: in the order of ids.  Full scores are left out."""
    found = [queue("m", n, value) for n, value in enumerate((0.5, 1.0, 0.25, 0.75))]
    found.append(failed("lost", model="m", scenario_id="q009"))
    cache = store_of(tmp_path, [*found, queue("other", 0, 0.1)])
    ids = {episode.episode_id: n for n, episode in enumerate(found)}
    live = {n: steps(client(cache).get(f"/runs/run-a/episodes/{key}.html").text, ids) for key, n in ids.items()}
    assert live == {
        0: [("previous failure, worst first", 2), ("next failure, worst first", 3), ("next failure, by scenario", 2)],
        1: [
            ("previous failure, worst first", 3),
            ("previous failure, by scenario", 0),
            ("next failure, by scenario", 2),
        ],
        2: [
            ("previous failure, worst first", 4),
            ("next failure, worst first", 0),
            ("previous failure, by scenario", 0),
            ("next failure, by scenario", 3),
        ],
        3: [
            ("previous failure, worst first", 0),
            ("previous failure, by scenario", 2),
            ("next failure, by scenario", 4),
        ],
        4: [("next failure, worst first", 2), ("previous failure, by scenario", 3)],
    }
    assert "2 of 4" in client(cache).get(f"/runs/run-a/episodes/{found[2].episode_id}.html").text
    files = dict(exported_files(cache))
    assert {n: steps(files[f"runs/run-a/episodes/{key}.html"].decode(), ids) for key, n in ids.items()} == live


def steps(text: str, ids: dict[str, int]) -> list[tuple[str | None, int]]:
    """Returns (label, number of the episode) of the links to other failures."""
    links = [a for tag, a in parse(text).tags if tag == "a" and "failure" in (a.get("aria-label") or "")]
    return [(a["aria-label"], ids[(a["href"] or "").removesuffix(".html")]) for a in links]


def test_a_scenario_lists_the_episodes_of_all_models(tmp_path: Path) -> None:
    """Best first, with both scorings and what failed; two episodes are shown side by side; an export has the page."""
    better, worse = (
        replace(queue(model, 1, value), scores=(*queue(model, 1, value).scores, Score("corrected", "f1", value / 4)))
        for model, value in ((f"better {HOSTILE}", 0.8), ("worse", 0.4))
    )
    lost = failed("lost", model="lost", scenario_id="q001")
    cache = store_of(tmp_path, [worse, better, lost, queue("worse", 2, 0.3)])
    path = "runs/run-a/scenarios/queue/q001.html"
    text = client(cache).get(f"/{path}").text
    rows = [re.findall(r'<td class="num" data-value="[^"]*">([^<]*)', row) for row in text.split("<tr>")[2:]]
    assert rows == [["80.0", "20.0"], ["40.0", "10.0"], ["–", "–"]]
    assert text.index("better ") < text.index(">worse<") < text.index(">lost<")
    assert "infra failed" in text
    both = client(cache).get(f"/{path}?a={better.episode_id}&b={worse.episode_id}").text
    assert [tag for tag, a in parse(both).tags if tag == "div" and a.get("class") == "beside"] == ["div"]
    assert client(cache).get("/runs/run-a/scenarios/queue/q009.html").status_code == 404
    exported = dict(exported_files(cache))[path].decode()
    assert f"../../episodes/{better.episode_id}.html" in exported
    assert "<form" not in exported


def test_a_prefix_of_an_id_is_enough_and_an_unknown_id_is_not_found(tmp_path: Path) -> None:
    found = queue("m", 1, 0.5)
    browser = client(store_of(tmp_path, [found]))
    assert found.episode_id in browser.get(f"/runs/run-a/episodes/{found.episode_id[:10]}.html").text
    answer = browser.get("/runs/run-a/episodes/zzz.html")
    assert answer.status_code == 404
    assert "no episode of the run" in answer.text


def test_every_exported_transcript_can_be_reached_from_the_exported_list(many: StoreCache) -> None:
    files = dict(exported_files(many))
    (listing,) = [text.decode() for path, text in files.items() if path.endswith("episodes/index.html")]
    linked = {a["href"] for tag, a in parse(listing).tags if tag == "a"}
    there = {path.rpartition("/")[2] for path in files if "/episodes/" in path} - {"index.html"}
    assert len(there) == 121
    assert there <= linked


def test_prefetched_transcripts_are_the_same(many: StoreCache) -> None:
    files = dict(exported_files(many))
    path = next(path for path in files if "/episodes/" in path and not path.endswith("index.html"))
    served = client(StoreCache(many.store_url)).get(f"/{path}").text
    assert "Stored in" in served
    assert parse(files[path].decode()).texts[-40:-10] == parse(served).texts[-40:-10]


# ---- leaderboard


@pytest.fixture(scope="module")
def varied(tmp_path_factory: pytest.TempPathFactory) -> StoreCache:
    """Returns a store of two models, one of which follows aligned and the other conflicting instructions."""
    found = []
    for model, aligned, conflict in (("agreeable", 1.0, 0.0), ("stubborn", 0.0, 1.0)):
        for n in range(10):
            mode, value = ("aligned", aligned) if n % 2 else ("conflict", conflict)
            found.append(
                scored((model, n), {"accuracy": value}, model=model, family="instruct", scenario_id=f"i{n}", mode=mode)
            )
            found.append(queue(model, n, 0.5))
    return store_of(tmp_path_factory.mktemp("varied"), found)


def means(cache: StoreCache, **query: str) -> dict[str, float]:
    rows = leaderboard_page(cache, PageRequest({"run": "run-a"}, query)).values["rows"]
    return {row.line.model: row.line.estimates["avg"].mean for row in rows}


def test_the_leaderboard_of_a_variant_has_its_episodes_only(varied: StoreCache) -> None:
    assert means(varied, variant="aligned") == {"agreeable": 1.0, "stubborn": 0.0}
    assert means(varied, variant="conflict") == {"agreeable": 0.0, "stubborn": 1.0}
    assert means(varied, family="queue") == {"agreeable": 0.5, "stubborn": 0.5}
    assert means(varied) == {"agreeable": 0.5, "stubborn": 0.5}  # a filter leaves no trace


def test_the_leaderboard_with_the_averaging_of_the_released_code(tmp_path: Path, varied: StoreCache) -> None:
    """The page leaves the failed rows out and says so; without stored row errors there is no such page."""
    found = [
        scored(n, {"f1": value, "row_error": failed}, scenario_id=f"q{n}")
        for n, (value, failed) in enumerate([(0.5, 0.0), (0.0, 1.0), (1.0, 0.0)])
    ]
    cache = store_of(tmp_path, found)
    assert means(cache) == {"model-a": 0.5}
    assert means(cache, averaging="released") == {"model-a": 0.75}
    page = find_page(cache, "runs/run-a/index.html", {"averaging": "released"})
    assert "Averaging: released, 1 of 3 rows left out" in render(page, "runs/run-a/index.html", live=True)
    with pytest.raises(NoSuchPageError, match="muses rescore run-a"):
        means(varied, averaging="released")


def drawn(cache: StoreCache, **query: str) -> list[Figure]:
    return list(figures_page(cache, PageRequest({"run": "run-a"}, query)).values["figures"])


def test_figures_draw_the_best_models_and_built_in_agents_on_request(tmp_path: Path) -> None:
    """The best eight of nine models are drawn, best first, each in its style on all pages, with the source."""
    values = {f"m{n}": n / 10 for n in range(9)} | {"oracle": 1.0}
    episodes = [
        scored((model, n), {"f1": value}, model=model, scenario_id=f"q{n}", num_users=2 + n)
        for model, value in values.items()
        for n in range(2)
    ]
    cache = store_of(tmp_path / "evals", episodes, builtin={"oracle": "oracle"})
    users = next(figure for figure in drawn(cache) if figure.name == "users")
    chart = users.panels[0].chart
    legend = re.findall(r'class="name"[^>]*>([^<]*)<', chart)
    assert legend == [f"m{n}" for n in range(8, 0, -1)]
    assert users.note == "The 8 best of 9 models are drawn; the table lists all."
    assert {row[0] for row in users.rows} == set(values)
    source = " ".join(re.findall(r'class="source"[^>]*>([^<]*)<', chart))
    date = f"{episodes[0].started_at:%Y-%m-%d}"
    assert source.startswith(
        f"store evals · run run-a · published scoring · protocol muses · {date} · muses-eval 0.1.0"
    )
    assert str(tmp_path) not in chart
    with_builtin = next(figure for figure in drawn(cache, builtin="show") if figure.name == "users")
    assert re.findall(r'class="name"[^>]*>([^<]*)<', with_builtin.panels[0].chart) == [*legend, "oracle"]
    style = model_styles(cache.runs()).of("m8")
    assert f'class="line {style.stroke}"' in chart
    board = render(find_page(cache, "runs/run-a/index.html", {}), "runs/run-a/index.html", live=True)
    assert f"{model_key(style)} m8" in board


def test_the_cost_of_an_episode_is_that_of_the_played_ones(tmp_path: Path) -> None:
    """A night's copies cost nothing, so they say nothing about the cost of a model."""
    copies = [queue("m", n, 0.5, cost_usd=0.0, flags=("reused",)) for n in range(3)]
    cache = store_of(tmp_path, [*copies, queue("m", 3, 0.5, cost_usd=0.25)])
    (costs,) = [figure for figure in drawn(cache) if figure.name == "cost"]
    assert [row[:2] for row in costs.rows] == [("m", 0.25)]


def test_a_family_has_coverage_and_ranks_and_a_variant_has_neither(varied: StoreCache) -> None:
    family = leaderboard_page(varied, PageRequest({"run": "run-a"}, {"family": "queue"})).values["rows"]
    variant = leaderboard_page(varied, PageRequest({"run": "run-a"}, {"variant": "aligned"})).values["rows"]
    assert [(row.line.measured.coverage, row.band is None) for row in family] == [(1.0, False), (1.0, False)]
    assert [(row.line.measured.coverage, row.line.measured.rank) for row in variant] == [(None, None), (None, None)]


@pytest.mark.parametrize(
    ("query", "said"),
    [
        ({}, ""),
        ({"family": "queue"}, "Ranked by queue alone, corrected scoring."),
        (
            {"family": "queue", "template": "t", "users": "3"},
            "Sorted by queue alone, template t, 3 users, corrected scoring; not ranked, since",
        ),
    ],
)
def test_a_filtered_leaderboard_says_what_it_ranks(query: dict[str, str], said: str) -> None:
    found = ranked_by(query, "corrected")
    assert found.startswith(said)
    assert bool(found) == bool(said)


def test_built_in_agents_of_a_run_with_models_are_shown_on_request(tmp_path: Path) -> None:
    """Their rows and pairs are there, hidden until the toggle; filters name the number of users, in its order."""
    episodes = [
        queue(model, n, value * (1 - n / 40), num_users=2 if n % 2 else 10)
        for model, value in (("weak", 0.1), ("good", 0.6), ("oracle", 1.0))
        for n in range(4)
    ]
    cache = store_of(tmp_path / "store", episodes, builtin={"oracle": "oracle"})
    text = client(cache).get("/runs/run-a/").text
    row = re.compile(
        r'<tr class="([^"]*)">\s*<td data-value="(\d+)">.*?<th scope="row" data-value="([^"]*)"', re.DOTALL
    )
    ours = [(kind.split(), place, name) for kind, place, name in row.findall(text) if "paper" not in kind]
    assert ours == [([], "1", "good"), ([], "2", "weak"), (["builtin", "apart", "unranked"], "9999", "oracle")]
    assert re.search(r'<input [^>]*name="builtin"[^>]*>', text)
    assert "checked" not in text
    assert re.search(r'name="builtin"[^>]* checked>', client(cache).get("/runs/run-a/?builtin=show").text)
    assert re.search(r'name="users">.*?value="2".*?value="10"', text)
    few = leaderboard_page(cache, PageRequest({"run": "run-a"}, {"users": "10"})).values["rows"]
    assert {row.line.measured.episodes for row in few} == {2}
    pairs = client(cache).get("/runs/run-a/compare/").text
    assert pairs.count('<tr class="apart">') == 2


def test_a_large_run_has_bands_as_soon_as_its_pairs_are_known(
    varied: StoreCache, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leaderboard, "MAX_BANDED", 0)
    browser = client(StoreCache(varied.store_url))
    assert "Ranks are by the average" in browser.get("/runs/run-a/").text
    browser.get("/runs/run-a/compare/")
    assert "Ranks are bands" in browser.get("/runs/run-a/").text


def test_a_filter_without_matches_is_empty(varied: StoreCache) -> None:
    assert "No episode matches" in client(varied).get("/runs/run-a/?family=x'%20OR%20'1'='1").text


def test_a_score_links_to_its_episodes(varied: StoreCache) -> None:
    browser = client(varied)
    text = browser.get("/runs/run-a/?variant=aligned").text
    links = [a["href"] for tag, a in parse(text).tags if tag == "a" and "model=agreeable" in (a.get("href") or "")]
    assert "5 episodes" in browser.get(f"/runs/run-a/{links[0]}").text


# ---- SQL


def test_a_result_is_a_table(varied: StoreCache) -> None:
    query = "select model, count(*) as n, null as nothing, [1, 2] as list from episodes group by model order by model"
    text = client(varied).post("/sql.html", data={"q": query}).text
    assert "2 rows" in text
    assert (
        '<td>agreeable</td><td class="num" data-value="20">20</td><td class="nothing">NULL</td><td>[1, 2]</td>' in text
    )


@pytest.mark.parametrize(
    "query",
    [
        "drop view episodes",
        "select * from read_text('/etc/passwd')",
        "selec",
        "copy episodes to '/tmp/x'",
        "select 1; select 2",
    ],
)
def test_a_refused_query_shows_the_reason_and_stays_in_the_form(varied: StoreCache, query: str) -> None:
    answer = client(varied).post("/sql.html", data={"q": query})
    assert answer.status_code == 200
    assert 'role="alert"' in answer.text
    assert "root:" not in answer.text
    assert "<table" not in answer.text


@pytest.mark.parametrize("columns", ["run_id, episode_id", "model, episode_id"])
def test_the_ids_of_episodes_lead_to_their_transcripts(varied: StoreCache, columns: str) -> None:
    browser = client(varied)
    text = browser.post("/sql.html", data={"q": f"select {columns} from episodes order by episode_id limit 2"}).text
    links = [a["href"] or "" for tag, a in parse(text).tags if tag == "a" and "/episodes/" in (a.get("href") or "")]
    assert len(links) == 2
    assert browser.get(f"/{links[0]}").status_code == 200
    foreign = browser.post(
        "/sql.html", data={"q": "select 'x' as episode_id, '../a' as run_id union all select 1, null"}
    )
    assert 'href="runs/_2e._2fa/episodes/x.html"' in foreign.text, "a value of the query is one segment of the path"


def test_the_page_of_a_large_result_stays_small(varied: StoreCache) -> None:
    query = "select repeat('<', 20000) as a, i from range(5000) t(i)"
    answer = client(varied).post("/sql.html", data={"q": query})
    assert "texts of more than 10,000 characters are cut" in answer.text
    assert "the limit cut off further rows" in answer.text
    assert len(answer.content) < 12_000_000


def test_only_some_queries_run_at_once(varied: StoreCache, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sql, "_SLOTS", threading.BoundedSemaphore(1))
    browser = client(varied)
    with sql._SLOTS:
        busy = browser.post("/sql.html", data={"q": "select 41 + 1"}).text
    assert "queries are running" in busy
    assert 'data-value="42"' not in busy
    for text in ("drop view episodes", "select 41 + 1"):  # a refused query frees its place
        free = browser.post("/sql.html", data={"q": text}).text
    assert 'data-value="42"' in free


def test_a_plan_and_a_pivot_are_shown(varied: StoreCache) -> None:
    browser = client(varied)
    assert "<pre>" in browser.post("/sql.html", data={"q": "explain select 1"}).text
    pivot = browser.post("/sql.html", data={"q": "pivot episodes on outcome using count(*) group by family"}).text
    assert ">scored</th>" in pivot


# ---- history

NIGHTS = ("nightly-2026-11-21", "nightly-2026-11-22")


def nights(folder: Path, last: float, run_ids: tuple[str, ...] = NIGHTS) -> StoreCache:
    """Returns two nights of 12 scenarios: ``moved`` scores *last* in the second, ``same`` scores the same in both."""
    found = []
    for night, run in enumerate(run_ids):
        when = SAMPLE.started_at + timedelta(days=night)
        for n in range(12):
            moved = last if night else 0.9
            found.append(queue("moved", n, moved - n / 100, run_id=run, started_at=when))
            found.append(queue("same", n, 0.5 + n / 100, run_id=run, started_at=when))
    return of_nights(store_of(folder, found), *run_ids)


def of_nights(cache: StoreCache, *run_ids: str) -> StoreCache:
    """Gives the runs the record of cells that the nightly evaluation writes."""
    cell = CellRecord(model="m", family="queue", template="says", content_key="k", played_in=NIGHTS[0])
    for run_id in run_ids:
        update_manifest(open_store(cache.store_url), run_id, lambda manifest: replace(manifest, cells=(cell,)))
    return cache


def test_a_significant_change_is_marked(tmp_path: Path) -> None:
    cache = nights(tmp_path, 0.3)
    (section,) = history_page(cache, PageRequest({})).values["sections"]
    moved, same = section.histories
    assert [result.run.run_id for result in moved.results] == [*reversed(NIGHTS)]
    assert moved.change.is_significant
    assert moved.change.contrast.difference.mean == pytest.approx(-0.6)
    assert not same.change.is_significant
    text = client(cache).get("/history.html").text
    assert "▼" in text
    assert "▲" not in text.partition("</caption>")[2]
    assert '<svg class="chart"' in text


def test_no_change_is_not_marked(tmp_path: Path) -> None:
    text = client(nights(tmp_path, 0.9)).get("/history.html").text
    assert "▼" not in text.partition("</caption>")[2]
    assert "▲" not in text.partition("</caption>")[2]


def test_nights_show_flags_and_reused_cells_and_canaries_have_a_section(tmp_path: Path) -> None:
    found = []
    for night, run in enumerate(NIGHTS):
        when = SAMPLE.started_at + timedelta(days=night)
        for n in range(6):
            # The last episode of the second night is a copy, which keeps its times.
            copied = {"started_at": SAMPLE.started_at, "flags": ("reused",)} if night and n == 5 else {}
            found.append(queue("m", n, 0.9 - night / 2, **({"run_id": run, "started_at": when} | copied)))
            found.append(queue("m", n, 0.9, run_id=run.replace("nightly-", "nightly-canary-"), started_at=when))
    cache = store_of(tmp_path, found)
    canary = NIGHTS[1].replace("nightly-", "nightly-canary-")
    flag = {"model": "m", "column": "queue_f1", "now": 0.4, "before": 0.9, "se": 0.01, "p_adjusted": 0.001}
    flag |= {"difference": -0.5, "scenarios": 6, "against": NIGHTS[0], "runs": 1}
    flags = tuple(Flag(kind=kind, **flag) for kind in ("regression", "drift"))  # type: ignore[arg-type]
    store_report(open_store(cache.store_url), night_report(NIGHTS[1], canary, flags))
    of_nights(cache, NIGHTS[1])  # the first night is known by its canary
    sections = {section.name: section for section in history_page(cache, PageRequest({})).values["sections"]}
    results = {name: section.histories[0].results for name, section in sections.items()}
    assert [[flag.kind for flag in result.flags] for result in results["nights-nightly"]] == [["regression"], []]
    assert [[flag.kind for flag in result.flags] for result in results["canaries-nightly"]] == [["drift"], []]
    assert [(result.reused, result.cells) for result in results["nights-nightly"]] == [(1, 1), (0, 0)]
    assert [result.seconds for result in results["nights-nightly"]] == [1.0, SAMPLE.seconds]  # as reported, as played
    assert [result.seconds for result in results["canaries-nightly"]] == [SAMPLE.seconds, SAMPLE.seconds]
    assert run_predecessors(cache.runs()) == [(canary, canary[:-2] + "21"), NIGHTS[::-1]]
    text = client(cache).get("/history.html").text
    assert "<h2>Canaries: nightly</h2>" in text
    assert "▼ drift: queue f1 -50.0" in text
    assert "Cells reused" in text


def test_nights_are_on_an_axis_of_their_dates_and_other_runs_are_listed_apart(tmp_path: Path) -> None:
    """Neither the order nor the time of playing moves a night: the first of these was played last, under its date."""
    days = ("2026-11-20", "2026-11-21", "2026-11-25")
    hours = (90, 0, 100)  # until a night was played
    run_ids = [f"nightly-{day}" for day in days]
    found = [
        queue("m", n, 0.5, run_id=run_id, started_at=SAMPLE.started_at + timedelta(hours=hour))
        for run_id, hour in zip((*run_ids, "by-hand", "by-hand-2026-11-22"), (*hours, 1, 2), strict=True)
        for n in range(3)
    ]
    cache = of_nights(store_of(tmp_path, found), *run_ids)
    night, other = history_page(cache, PageRequest({})).values["sections"]
    assert [result.night.day.isoformat() for result in night.histories[0].results] == [*reversed(days)]
    assert (night.kind, other.kind, other.chart) == ("nights", "other", None)
    assert {result.run.run_id for result in other.histories[0].results} == {"by-hand", "by-hand-2026-11-22"}
    (line,) = re.findall(r'<polyline [^>]*points="([^"]*)"', night.chart)
    first, second, third = (float(point.partition(",")[0]) for point in line.split())
    assert third - first == pytest.approx(5 * (second - first), rel=0.01)
    assert re.findall(r">(11-2\d)<", night.chart) == [f"11-2{day}" for day in range(6)]
    assert "2 runs outside the nights" in client(cache).get("/history.html").text


def test_the_time_of_a_run_is_that_in_which_it_was_played(tmp_path: Path) -> None:
    """Two starts, a day apart: the time between them does not count, and an overlap counts once."""
    starts = (0.0, 6.0, 86_400.0)
    found = [
        queue("m", n, 0.5, started_at=SAMPLE.started_at + timedelta(seconds=start), seconds=10.0)
        for n, start in enumerate(starts)
    ]
    (other,) = history_page(store_of(tmp_path, found), PageRequest({})).values["sections"]
    assert other.histories[0].results[0].seconds == pytest.approx(26.0)


def test_a_history_shows_the_shares_of_unusable_replies(tmp_path: Path) -> None:
    found = [queue("m", n, 0.5, turns=1, unusable=UnusableReplies(truncated=int(n == 0))) for n in range(4)]
    cache = store_of(tmp_path, found)
    (other,) = history_page(cache, PageRequest({})).values["sections"]
    share = other.histories[0].results[0].line.measured.unusable_share
    assert share
    text = client(cache).get("/history.html").text
    assert f'<td class="num">{100 * share:.3g} % <span class="se">truncated</span></td>' in text


def night_report(run_id: str, canary_id: str, flags: tuple[Flag, ...]) -> NightReport:
    return NightReport(
        run_id=run_id,
        canary_id=canary_id,
        store="",
        started_at=SAMPLE.started_at,
        seconds=1.0,
        planned=6,
        scored=6,
        canary_planned=6,
        canary_scored=6,
        complete=True,
        budget_reached=False,
        cost_usd=None,
        cells_played=0,
        cells_reused=1,
        before=None,
        flags=flags,
        problems=(),
        notes=(),
        site="",
    )


# ---- live


def test_the_live_page_shows_usage_of_limits_and_external_links(tmp_path: Path) -> None:
    cache = store_of(tmp_path, [queue("m", 1, 0.5)])
    with locked_run(cache, "run-a", {"Prefect": "http://127.0.0.1:4200/runs/1", "Ray": "javascript:alert(1)"}):
        text = client(cache).get("/live.html").text
    assert "12.5" in text
    assert '<td class="num">12.5 <span class="se">of 20 calls/s</span><svg class="level"' in text
    assert '<td class="num">7 <span class="se">of 8</span><svg class="level"' in text
    assert '<td class="num">900 <span class="se">tokens/s, no limit</span></td>' in text
    assert "25 %" in text
    assert "last error: 429" in text
    (link,) = [a for tag, a in parse(text).tags if tag == "a" and "4200" in (a.get("href") or "")]
    assert "noopener" in (link["rel"] or "")
    assert "javascript:" not in text


def test_a_stalled_run_shows_no_accounts(tmp_path: Path) -> None:
    now = 0.0
    cache = StoreCache(store_of(tmp_path, [queue("m", 1, 0.5)]).store_url, lambda: now)
    with locked_run(cache, "run-a", {}):
        claim = (tmp_path / "claims" / "run-a.json").read_bytes()
    (tmp_path / "claims" / "run-a.json").write_bytes(claim)
    assert ACCOUNT.name in client(cache).get("/live.html").text
    now = 21.0
    assert ACCOUNT.name not in client(cache).get("/live.html").text


def test_a_run_in_progress_shows_stored_episodes_and_the_time_left(tmp_path: Path) -> None:
    found = [queue("m", n, 0.5, started_at=SAMPLE.started_at, seconds=1.0) for n in range(5)]
    found.append(failed("lost", model="m", started_at=SAMPLE.started_at, seconds=1.0, cost_usd=None))
    cache = store_of(tmp_path, found, {("m", "queue"): 26})
    assert "No run of this store is in progress" in client(cache).get("/live.html").text
    with hold_run_lock(open_store(cache.store_url), "run-a", "muses run", FAST) as lock:
        (run,) = live_page(cache, PageRequest({})).values["runs"]
        assert (run.state, run.left_s, run.in_flight) == ("preparing", None, 0)
        lock.report_activity(RunActivity(playing=3, left_s=4800.0))
        until(lambda: cache.runs_in_progress()[0].activity is not None)
        five_minutes_later = SAMPLE.started_at + timedelta(minutes=5)
        (run,) = live_page(cache, PageRequest({}), lambda: five_minutes_later).values["runs"]
        assert (run.played, run.planned, run.unknown_costs) == (6, 26, 1)
        assert run.cost_usd == pytest.approx(0.005)
        assert run.episodes_per_minute == pytest.approx(6 / 10)
        assert (run.state, run.left_s, run.in_flight) == ("playing", 4800.0, 3)
        (idle,) = live_page(cache, PageRequest({}), lambda: datetime.now(UTC)).values["runs"]
        assert idle.episodes_per_minute == 0
        text = client(cache).get("/live.html").text
        assert "<code>muses run</code>" in text
        assert "<dd>1 h 20 min</dd>" in text
        assert "1 infra failed" in text
    assert "No run of this store is in progress" in client(cache).get("/live.html").text


def test_the_state_of_a_run_in_progress(tmp_path: Path) -> None:
    """What a person asked for is shown at once; a paused run is pausing until what has started is stored."""
    cache = store_of(tmp_path, [queue("m", 1, 0.5)])
    store = open_store(cache.store_url)

    def state() -> str:
        return live_page(cache, PageRequest({})).values["runs"][0].state

    with hold_run_lock(store, "run-a", "muses run", FAST) as lock:
        lock.report_activity(RunActivity(playing=3, left_s=None))
        until(lambda: state() == "playing")
        send_command(store, "run-a", "pause")
        assert state() == "pausing"
        lock.report_activity(RunActivity(playing=0, left_s=None))
        until(lambda: state() == "paused")
        send_command(store, "run-a", "resume")
        assert state() == "playing"
        send_command(store, "run-a", "stop")
        assert state() == "stopping"


def test_a_run_is_steered_from_the_page(tmp_path: Path) -> None:
    """The buttons work for visitors who have signed in, and the store gets the wish; a stop is confirmed first."""
    cache = store_of(tmp_path, [queue("m", 1, 0.5)])
    store, token = open_store(cache.store_url), AccessToken.parse("correct-horse-battery-staple", "the test")
    visitor, open_to_all = client(cache, AccessRules(token)), client(cache)
    assert visitor.post("/sign-in", data={"token": token.value, "next": ""}).status_code == 303

    def wish() -> object:
        return live_page(cache, PageRequest({})).values["runs"][0].run.wish

    with hold_run_lock(store, "run-a", "muses run", FAST) as lock:
        lock.report_activity(RunActivity(playing=3, left_s=None))
        until(lambda: live_page(cache, PageRequest({})).values["runs"][0].run.activity is not None)
        assert 'value="pause"' in visitor.get("/live.html").text
        for command, expected, button in (("pause", "pause", "resume"), ("resume", None, "pause")):
            sent = visitor.post("/live.html", data={"run": "run-a", "command": command})
            assert (sent.status_code, sent.headers["location"], wish()) == (303, "live.html", expected)
            assert f'value="{button}"' in visitor.get("/live.html").text
        assert 'value="stop"' not in visitor.get("/live.html").text
        assert 'value="stop"' in visitor.get("/live.html?stop=run-a").text
        for form, problem in (
            ({"run": "run-b", "command": "stop"}, "is not in progress"),
            ({"run": "run-a", "command": "kill"}, "expected pause, resume, stop"),
        ):
            assert problem in visitor.post("/live.html", data=form).text
        assert "pause" not in open_to_all.get("/live.html").text.partition("<main")[2].partition("</main")[0]
        refused = open_to_all.post("/live.html", data={"run": "run-a", "command": "stop"})
        assert "only on a server with a token" in refused.text
        stranger = client(cache, AccessRules(token)).post("/live.html", data={"run": "run-a", "command": "stop"})
        assert (stranger.status_code, wish()) == (401, None)
        foreign = {"Sec-Fetch-Site": "cross-site", "Origin": "https://evil.example"}
        assert visitor.post("/live.html", data={"run": "run-a", "command": "stop"}, headers=foreign).status_code == 403
        assert wish() is None
        visitor.post("/live.html", data={"run": "run-a", "command": "stop"})
        assert wish() == "stop"
    assert "is not in progress" in visitor.post("/live.html", data={"run": "run-a", "command": "pause"}).text


def until(true: Callable[[], bool]) -> None:
    """Waits for a heartbeat."""
    while not true():
        pass


def test_a_run_without_a_heartbeat_is_stalled(tmp_path: Path) -> None:
    now = 0.0
    cache = StoreCache(store_of(tmp_path, [queue("m", 1, 0.5)]).store_url, lambda: now)
    claims = tmp_path / "claims"
    with hold_run_lock(open_store(cache.store_url), "run-a", "muses run"):
        (claim,) = claims.iterdir()
        dead = claim.read_bytes()
    claim.write_bytes(dead)
    browser = client(cache)
    assert "No heartbeat" not in browser.get("/live.html").text
    now = 21.0
    assert "No heartbeat for 21 s" in browser.get("/live.html").text
    claim.write_bytes(b"not a claim")
    assert "No run of this store is in progress" in browser.get("/live.html").text


def test_filters_have_the_same_names_on_both_pages() -> None:
    assert set(leaderboard.FILTERS) - {"difficulty"} <= set(episodes.FILTERS)
    assert segment("a/b") != segment("a_b")
