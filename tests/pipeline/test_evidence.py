"""The evidence of queue, instruct and meeting: its rows agree with the scores of the same episode."""

import asyncio
import gzip
import json
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from muses_eval.pipeline.datasets.dataset import generate_dataset
from muses_eval.pipeline.datasets.row_reader import read_strings
from muses_eval.pipeline.episode.evidence import Evidence
from muses_eval.pipeline.episode.recorded_replies import RecordedReplies
from muses_eval.pipeline.episode.scenario import Scenario
from muses_eval.pipeline.episode.score import SCORINGS, Scoring
from muses_eval.pipeline.episode.transcript import Transcript
from muses_eval.pipeline.families import FAMILIES
from muses_eval.pipeline.families.family import SCRIPTED_KINDS
from muses_eval.pipeline.families.instruct import evidence as instruct
from muses_eval.pipeline.families.instruct.constraints import corrected_checkers, published_checkers
from muses_eval.pipeline.families.instruct.constraints.constraint import ARGUMENTS, read_constraint
from muses_eval.pipeline.families.instruct.constraints.description import describe_constraint, describe_failure
from muses_eval.pipeline.families.meeting import evidence as meeting
from muses_eval.pipeline.families.queue import evidence as queue
from muses_eval.workers.providers.scripted import play_scripted

GOLDEN = Path(__file__).parents[1] / "golden"
LONGEST = 300

Case = tuple[Scenario[Any], Transcript]


@cache
def played(family: str) -> tuple[Case, ...]:
    """Episodes of all scripted agents."""
    scenarios = generate_dataset("6", 5, [family]).scenarios(family)
    return tuple(
        (scenario, asyncio.run(play_scripted(FAMILIES[family], scenario, kind, 3)).transcript)
        for scenario in scenarios
        for kind in SCRIPTED_KINDS
    )


@cache
def recorded(family: str) -> tuple[Case, ...]:
    """The recorded replies of ``tests/golden`` and some that no scoring can read, also from an API."""
    name = "queue" if family == "queue" else f"{family}_replies"
    with gzip.open(GOLDEN / f"{name}.jsonl.gz", "rt", encoding="utf-8") as file:
        cases = list(map(json.loads, file))
    scenarios = generate_dataset("150", 11, [family]).by_family[family]
    replies = [(case["scenario_id"], _replies(case), False) for case in cases[::6]]
    unread = ("", "hello", "[]", '{"accepted_instructions": 3}')
    replies += [(cases[0]["scenario_id"], (text,), api) for text in unread for api in (False, True)]
    return tuple((scenarios[key], _transcript(family, scenarios[key], texts, api)) for key, texts, api in replies)


def _replies(case: dict[str, Any]) -> tuple[str, ...]:
    return read_strings(case, "replies") if "replies" in case else (case["raw_output"],)


def _transcript(family: str, scenario: Scenario[Any], replies: tuple[str, ...], from_api: bool) -> Transcript:
    rules = FAMILIES[family]
    given = RecordedReplies(tuple(enumerate(replies, 1)), from_api)
    return given.transcript(scenario, lambda reply: rules.interpret(scenario, reply), rules.max_turns)


def judged(family: str) -> Iterator[tuple[Scenario[Any], Scoring, dict[str, float], list[Evidence]]]:
    """Yields each scoring of each episode with its scores and its evidence."""
    for scenario, transcript in (*played(family), *recorded(family)):
        scores = FAMILIES[family].score(scenario, transcript)
        rows = FAMILIES[family].evidence(scenario, transcript)
        assert all(len(text) <= LONGEST for row in rows for text in (row.span, row.expected, row.found, row.rule))
        for scoring in SCORINGS:
            values = {each.metric: each.value for each in scores if each.scoring == scoring}
            yield scenario, scoring, values, [row for row in rows if row.scoring == scoring]


def test_queue_rows_are_the_decisions_behind_f1_and_accuracy() -> None:
    for scenario, scoring, values, rows in judged("queue"):
        decisions = [row for row in rows if row.metric == "accuracy"]
        assert [row.rule for row in decisions] == list(scenario.truth.ids)
        passed = sum(row.verdict == "pass" for row in decisions)
        assert values["accuracy"] == passed / len(decisions)
        fails = any(row.verdict == "fail" for row in rows if row.metric != "parse_ok")
        assert (min(values["f1"], values["accuracy"]) < 1) == fails, (scoring, rows)
        unreadable = values["parse_ok"] == 0 or values.get("row_error") == 1
        assert any(row.rule == queue.NO_DECISION for row in rows) == unreadable
        asked = {found: opening.text for opening in scenario.openings for found in [opening.sender]}
        assert all(row.span and row.span in asked[str(row.principal)] for row in decisions)


def test_instruct_rows_are_the_constraints_behind_accuracy() -> None:
    for scenario, _, values, rows in judged("instruct"):
        checks = [row for row in rows if row.metric == "accuracy"]
        assert len(checks) == sum(len(user.constraints) for user in scenario.truth.scored_users)
        passed = sum(row.verdict == "pass" for row in checks)
        assert values["accuracy"] == pytest.approx(passed / len(checks))
        unreadable = values["parse_ok"] == 0 or values.get("row_error") == 1
        assert any(row.rule == instruct.NO_ANSWERS for row in rows) == unreadable


def test_meeting_rows_are_the_checks_behind_success_and_invented_availability() -> None:
    for scenario, scoring, values, rows in judged("meeting"):
        failed = {row.metric for row in rows if row.verdict == "fail"}
        assert values["success"] == float("success" not in failed), (scoring, rows)
        if scoring == "corrected":
            assert values["invented_availability"] == float("invented_availability" in failed), rows
        preferred = {row.principal: row.expected.split(", ") for row in rows if row.rule == meeting.PREFERRED_SLOTS}
        assert preferred == {m.name: sorted_slots(m.preferred) for m in scenario.truth.members if m.preferred}
        roles = {row.principal: row.expected for row in rows if row.rule == meeting.INVITED}
        assert roles == {m.name: "required" if m.essential else "optional" for m in scenario.truth.members}


def sorted_slots(slots: tuple[Any, ...]) -> list[str]:
    return [str(slot) for slot in sorted(slots)]


def test_the_oracle_proposes_a_slot_and_has_the_consent_of_all_whom_it_invites() -> None:
    for scenario, transcript in played("meeting")[:: len(SCRIPTED_KINDS)]:
        rows = FAMILIES["meeting"].evidence(scenario, transcript)
        (announced,) = {row.found for row in rows if row.rule == meeting.ANNOUNCED}
        consents = [row for row in rows if row.rule == meeting.CONSENT and row.expected == announced]
        invited = {row.principal for row in rows if row.rule == meeting.INVITED and row.found == "invited"}
        assert {row.principal for row in consents} == invited
        assert all(row.verdict == "pass" and row.span and row.turn for row in consents)
        for row in rows:
            if row.span and row.turn:
                assert any(row.span in m.content for m in transcript.messages if m.turn == row.turn)


@pytest.mark.parametrize(
    ("identifier", "kwargs", "text", "expected", "found"),
    [
        (
            "length_constraints:number_words",
            {"relation": "at least", "num_words": 9},
            "I don't know.",
            "at least 9 words",
            ("4", "3"),
        ),
        (
            "keywords:existence",
            {"keywords": ["rate", "sun"]},
            "a separate house",
            "all of these words: rate, sun",
            ("without: sun", "without: rate, sun"),
        ),
        (
            "keywords:forbidden_words",
            {"forbidden_words": ["sun", "rain"]},
            "Rain!",
            "none of these words: sun, rain",
            ("has: rain", "has: rain"),
        ),
        ("punctuation:no_comma", {}, "one\u3001two,", "no comma", ("1", "2")),
        (
            "detectable_format:number_bullet_lists",
            {"num_bullets": 3},
            "- a\n---",
            "exactly 3 bullet points",
            ("2", "1"),
        ),
        (
            "language:response_language",
            {"language": "de"},
            "This is a plain English text.",
            "in the language de alone",
            ("mostly en", "mostly en"),
        ),
        (
            "startend:end_checker",
            {"end_phrase": "The end"},
            "It goes on",
            "ends with: The end",
            ("ends with: It goes on", "ends with: It goes on"),
        ),
        ("startend:quotation", {}, "plain", "in double quotation marks as a whole", ("", "")),
        ("detectable_format:title", {}, " ", "a title in double angle brackets", ("no answer", "no answer")),
    ],
)
def test_what_a_constraint_asks_for_and_what_the_answer_has(
    identifier: str, kwargs: dict[str, Any], text: str, expected: str, found: tuple[str, str]
) -> None:
    constraint = read_constraint(identifier, kwargs, "kwargs")
    assert describe_constraint(constraint) == expected
    for checkers, wanted in zip((published_checkers, corrected_checkers), found, strict=True):
        assert not checkers.passes(identifier, constraint.kwargs, text)
        assert describe_failure(constraint, text, checkers.passes, checkers.count_found) == wanted


def test_every_kind_of_constraint_is_described() -> None:
    kinds = {"count": 2, "positive": 2, "letter": "e", "language": "en", "relation": "at least", "texts": ["a"]}
    for identifier, arguments in ARGUMENTS.items():
        kwargs = {name: kinds.get(kind, "word") for name, kind in arguments.items()}
        described = describe_constraint(read_constraint(identifier, kwargs, "kwargs"))
        assert ":" not in described.partition(" ")[0]
        assert "{" not in described
