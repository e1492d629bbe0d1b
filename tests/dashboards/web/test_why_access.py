"""The section of an access episode: standings, leaks, a matrix of principals and turns, and the view of a principal."""

from dataclasses import replace

import pytest
from muses_eval.dashboards.web.page import NoSuchPageError, PageRequest
from muses_eval.dashboards.web.pages.transcript import FOLD_ABOVE_TURNS, transcript_page, turns
from muses_eval.dashboards.web.render import render
from muses_eval.dashboards.web.store_cache import StoreCache
from muses_eval.dashboards.web.why.access import AccessSection, access_section
from muses_eval.pipeline.episode.episode import Episode
from muses_eval.pipeline.episode.evidence import Evidence
from muses_eval.pipeline.episode.principal import AGENT, SYSTEM

from tests.dashboards.web.site import HOSTILE, parse, transcript_of
from tests.storage.samples import scored

EVIDENCE = (
    *(
        Evidence(
            scoring=scoring,
            metric="utility",
            rule="access",
            verdict="pass",
            principal="Ana",
            expected="authorised as Director, authority 5",
            found="received",
        )
        for scoring in ("published", "corrected")
    ),
    *(
        Evidence(
            scoring=scoring,
            metric="privacy",
            rule="access",
            verdict=verdict,
            principal="Bob",
            expected="not authorised, Intern, authority 1",
            found=found,
        )
        for scoring, verdict, found in (("published", "fail", "received"), ("corrected", "fail", "received"))
    ),
    Evidence(scoring="corrected", metric="utility", rule="code", verdict="pass", principal="Ana", turn=1, span="K-7"),
    Evidence(
        scoring="corrected", metric="privacy", rule="code", verdict="fail", principal="Bob", turn=2, span="the K-7"
    ),
    Evidence(
        scoring="published", metric="privacy", rule="code", verdict="fail", principal="Bob", turn=2, span="the K-7"
    ),
    Evidence(
        scoring="published", metric="privacy", rule="phrase", verdict="fail", principal="Bob", turn=3, span="granted"
    ),
    Evidence(scoring="corrected", metric="utility", rule="amount", verdict="fail", principal="Ana", expected="$12"),
)


def access_episode(number_of_turns: int = 4, name: str = "leaky", **changes: object) -> Episode:
    """Returns an episode of Ana, who is authorised, and Bob, who receives parts of the resource in turns 2 and 3."""
    later = [(turn, AGENT, ("Bob",), f"no, in turn {turn}") for turn in range(4, number_of_turns + 1)]
    messages = transcript_of(
        (0, SYSTEM, (AGENT,), "the briefing"),
        (1, "Ana", (AGENT,), "ana asks"),
        (1, "Bob", (AGENT,), "bob asks"),
        (1, AGENT, (), "raw reply"),
        (1, AGENT, ("Ana",), "it is K-7"),
        (2, AGENT, ("Bob",), f"it is the  K-7 {HOSTILE}"),
        (3, AGENT, ("Ana", "Bob"), "access Granted"),
        *later,
    )
    given = {"family": "access", "messages": messages, "evidence": EVIDENCE} | changes
    return scored(name, {"privacy": 0.0}, **given)


def section_of(episode: Episode) -> AccessSection:
    section = access_section(episode)
    assert section is not None
    return section


def page_of(episode: Episode, viewer: str = "") -> str:
    """Returns the live page of an episode that needs no store."""
    cache = StoreCache("/nowhere")
    cache.get_or_compute(("episode", episode.episode_id), lambda: episode, episode.run_id)
    cache.get_or_compute(("failures", episode.model, episode.family), lambda: (), episode.run_id)
    params = {"run": episode.run_id, "episode": episode.episode_id}
    page = transcript_page(cache, PageRequest(params, {"as": viewer}))
    return render(page, f"runs/run-a/episodes/{episode.episode_id}.html", live=True)


def test_the_same_words_are_one_leak_of_both_scorings() -> None:
    leaks = section_of(access_episode()).leaks
    assert [(leak.number, leak.turn, leak.principal, leak.words, leak.rule) for leak in leaks] == [
        (1, 2, "Bob", "the K-7", "code (corrected and published scoring)"),
        (2, 3, "Bob", "granted", "phrase (published scoring)"),
    ]


def test_the_matrix_says_what_each_principal_received_in_each_turn() -> None:
    section = section_of(access_episode())
    kinds = {name: [section.cells[name, turn].kind for turn in section.turns] for name in ("Ana", "Bob")}
    assert kinds == {"Ana": ["received", "silent", "nothing", "silent"], "Bob": ["silent", "leak", "leak", "nothing"]}
    assert section.cells["Bob", 3].scorings == ("published",)
    assert [(standing.name, standing.is_authorized, standing.role) for standing in section.standings] == [
        ("Ana", True, "Director, authority 5"),
        ("Bob", False, "Intern, authority 1"),
    ]
    assert [row.expected for row in section.missing] == ["$12"]


def test_the_page_marks_each_leak_and_links_to_it() -> None:
    text = page_of(access_episode())
    tags = parse(text).tags
    anchors = {a["id"] for _, a in tags if a.get("id")}
    targets = {
        (a["href"] or "").removeprefix("#") for tag, a in tags if tag == "a" and (a["href"] or "").startswith("#")
    }
    assert {"leak-1", "leak-2", "turn-1", "turn-4"} <= targets <= anchors
    assert "<mark>the  K-7</mark>" in text
    assert "<mark>Granted</mark>" in text
    assert "it is K-7" in text  # what an authorised principal received is no leak
    assert [a["scope"] for tag, a in tags if tag == "th" and "scope" not in a] == []
    assert "<script>alert" not in text


def test_a_principal_stays_in_its_column() -> None:
    found = turns(access_episode())
    assert {tuple(lane.name for lane in turn.lanes) for turn in found} == {("Ana", "Bob")}
    assert [[lane.is_silent for lane in turn.lanes] for turn in found] == [
        [False, False],
        [True, False],
        [True, True],
        [True, False],
    ]


def test_only_turns_without_a_leak_are_folded_in_a_long_episode() -> None:
    short = access_episode(FOLD_ABOVE_TURNS)
    assert not any(turn.is_folded for turn in turns(short, access_section(short)))
    long = access_episode(FOLD_ABOVE_TURNS + 2)
    folded = [turn.number for turn in turns(long, access_section(long)) if turn.is_folded]
    assert folded == [4, 5, 6, 7]


def test_the_view_of_a_principal_names_it_and_marks_its_lanes() -> None:
    tags = parse(page_of(access_episode(), "Bob")).tags
    assert [a["data-as"] for _, a in tags if "data-as" in a] == ["Bob"]
    assert {a["data-who"] for tag, a in tags if tag == "article" and "seen" in (a["class"] or "").split()} == {"Bob"}
    with pytest.raises(NoSuchPageError, match="no principal 'Eve'; its principals: Ana, Bob"):
        page_of(access_episode(), "Eve")


def test_without_evidence_the_page_says_how_to_add_it() -> None:
    text = page_of(replace(access_episode(), evidence=None))
    assert "<code>muses rescore run-a</code>" in text
    assert "<mark>" not in text
    assert "muses rescore" not in page_of(access_episode())
