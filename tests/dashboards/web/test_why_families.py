"""The sections "why this score" of queue, instruct and meeting, on pages of real episodes."""

from typing import Any

import pytest
from muses_eval.dashboards.web.page import PageRequest
from muses_eval.dashboards.web.pages.transcript import transcript_page
from muses_eval.dashboards.web.render import render
from muses_eval.dashboards.web.store_cache import StoreCache
from muses_eval.dashboards.web.why.meeting import meeting_section
from muses_eval.dashboards.web.why.section import why_section
from muses_eval.pipeline.episode.evidence import Evidence

from tests.dashboards.web.site import parse
from tests.storage.samples import episode


def page(cache: StoreCache, family: str, agent: str) -> tuple[Any, str]:
    """Returns the section and the HTML of the first episode of an agent."""
    query = "SELECT min(episode_id) FROM episodes WHERE run_id = 'played' AND family = $1 AND model = $2"
    found = cache.query(lambda c: c.execute(query, [family, f"scripted/{agent}"]).fetchone(), "played")
    assert found is not None
    shown = transcript_page(cache, PageRequest({"run": "played", "episode": found[0]}))
    return shown.values["why"], render(shown, "runs/played/episodes/e.html", live=True)


@pytest.mark.parametrize("family", ["queue", "instruct"])
def test_failed_checks_stand_first(cache: StoreCache, family: str) -> None:
    good, html = page(cache, family, "oracle")
    assert (good.failed, "✗" in html, "✓" in html) == (0, False, True)
    bad, html = page(cache, family, "refuse")
    assert 0 < bad.failed <= len(bad.checks)
    assert [check.failed for check in bad.checks] == [True] * bad.failed + [False] * (len(bad.checks) - bad.failed)
    text = " ".join(" ".join(parse(html).texts).split())
    for check in bad.checks:
        assert " ".join((check.first.span or check.first.expected).split()) in text
    assert html.count("✗") == sum(row.verdict == "fail" for check in bad.checks for row in check.rows.values())


def test_the_grid_of_slots(cache: StoreCache) -> None:
    why, html = page(cache, "meeting", "oracle")
    (slot,) = why.announced_slots
    assert slot in why.feasible
    column = why.slots.index(slot)
    invited = [each for each in why.attendees if each.outcomes["corrected"][0].found == "invited"]
    assert all(each.cells[column].calendar and each.cells[column].answer == "consent" for each in invited)
    assert {each.name for each in why.attendees if each.presence == "required"} <= {each.name for each in invited}
    assert "suits all required principals" in html
    refused, html = page(cache, "meeting", "refuse")
    assert (refused.announced_slots, "no meeting in 10 turns" in html) == ({}, True)


def test_slots_are_in_the_order_of_the_week_and_texts_that_are_none_come_last() -> None:
    rows = (
        Evidence(scoring="published", metric="success", rule="announced", verdict="pass", found="<b>Soon</b>"),
        Evidence(scoring="corrected", metric="success", rule="invited", principal="Ana", expected="required"),
        Evidence(
            scoring="corrected",
            metric="success",
            rule="preferred_slots",
            principal="Ana",
            expected="Tue 9:00, Mon 13:30",
        ),
        Evidence(scoring="corrected", metric="success", rule="proposed", principal="Ana", turn=2, found="Mon 9:00"),
    )
    section = meeting_section(episode(family="meeting", evidence=rows))
    assert section is not None
    assert section.slots == ("Mon 9:00", "Mon 13:30", "Tue 9:00", "<b>Soon</b>")
    (ana,) = section.attendees
    words = ("proposed in turn 2", "preferred", "preferred", "not available")
    assert [cell.words for cell in ana.cells] == list(words)


@pytest.mark.parametrize("evidence", [None, ()])
@pytest.mark.parametrize("family", ["queue", "instruct", "meeting"])
def test_no_section_without_evidence(family: str, evidence: tuple[Evidence, ...] | None) -> None:
    assert why_section(episode(family=family, evidence=evidence)) is None
