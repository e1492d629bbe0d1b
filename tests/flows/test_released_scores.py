"""The scoring ``published`` agrees with the released scorers on the cases in ``tests/golden``.

Cases with a known difference are listed here with the reason; a case that begins to agree must leave the list.
"""

import asyncio
import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from muses_eval.flows.cli import main
from muses_eval.pipeline.datasets.dataset import dataset_from_rows
from muses_eval.pipeline.episode.interfaces import Observation, PrincipalView
from muses_eval.pipeline.episode.model_call import Reply
from muses_eval.pipeline.episode.play_episode import play_episode
from muses_eval.pipeline.episode.scenario import Scenario
from muses_eval.pipeline.families import FAMILIES
from muses_eval.pipeline.protocols.muses import muses_dialogue
from muses_eval.storage.objects.dataset_files import read_rows

from tests.shared import GOLDEN as RECORDED, OFFICIAL, needs_shared

GOLDEN = Path(__file__).parents[1] / "golden"
SIZE, SEED = 150, 11
SCORED = {
    "queue": "queue",
    "instruct_replies": "instruct",
    "instruct_constraints": "instruct",
    "access_rounds": "access",
    "meeting_fields": "meeting",
}
"""Files of cases for ``muses score``, with their families."""
PLAYED = {"access_replies": "access", "meeting_replies": "meeting"}
"""Files of cases that are whole episodes, with their families."""
DIFFERENT = {
    "the released code fails on JSON that is nested about a thousand deep": "q4-11 i4-219 m4-121 m4-154 m4-629",
    "the released code fails on an integer of more than 4,300 digits": "m4-223 m4-278 m4-410 m4-443",
    "the released code fails on a target, or a content, that is no text": (
        "m4-16 m4-41 m4-137 m4-149 m4-164 m4-167 m4-169 m4-229 m4-251 m4-317 m4-323 m4-341 m4-376 m4-474 m4-493 m4-526"
        " m4-607 m4-610 m4-613 m4-623 m4-704"
    ),
    "the released code reads digits that are not ASCII": "mf4-572 mf4-691 mf4-770 mf4-945 mf4-964 mf4-1051",
    "the released code takes a day's name out of the middle of digits": "mf4-661",
    "the released flow asks the agent again when its reply reaches nobody": (
        "a4-126 a4-232 a4-347 a4-399 a4-432 a4-455 a4-482 a4-505 m4-241 m4-455"
    ),
}
KNOWN = {case_id for cases in DIFFERENT.values() for case_id in cases.split()}


def cases_of(name: str, folder: Path = GOLDEN) -> list[dict[str, Any]]:
    """Returns all cases of one file except those for which the released code has no stable result."""
    with gzip.open(folder / f"{name}.jsonl.gz", "rt", encoding="utf-8") as file:
        return [case for case in map(json.loads, file) if case.get("stable", True)]


def agrees(figures: Mapping[str, Any], case: Mapping[str, Any], metrics: tuple[str, ...]) -> bool:
    """Returns True when the figures equal the expected ones that the case has, to 1e-9."""
    expected = {metric: float(case["expected"][metric]) for metric in metrics if metric in case["expected"]}
    assert expected, case["case_id"]
    return {metric: figures.get(metric) for metric in expected} == pytest.approx(expected, abs=1e-9)


def assert_known(differing: set[str], cases: list[dict[str, Any]]) -> None:
    assert differing == KNOWN & {case["case_id"] for case in cases}


@pytest.mark.parametrize("name", SCORED)
def test_recorded_cases(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``muses score`` gives the expected figures and fails on the same rows, except for the known differences."""
    family = FAMILIES[SCORED[name]]
    dataset, replies, cases = tmp_path / "dataset.jsonl", tmp_path / "cases.jsonl", cases_of(name)
    dataset.write_text("".join(json.dumps(row) + "\n" for row in family.generate(SIZE, SEED)), encoding="utf-8")
    replies.write_text("".join(json.dumps(case) + "\n" for case in cases), encoding="utf-8")
    assert main(["score", family.name, "--dataset", str(dataset), "--cases", str(replies)]) == 0
    scored = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["case_id"] for line in scored] == [case["case_id"] for case in cases]
    metrics = (*family.metrics, "passed", "recall")
    differing = {
        case["case_id"]
        for line, case in zip(scored, cases, strict=True)
        if not agrees(line, case, metrics) or ("error" in line) != ("error" in case["expected"])
    }
    assert_known(differing, cases)


class Recorded:
    """An agent that gives recorded replies, one per turn."""

    def __init__(self, replies: list[str]) -> None:
        self._replies = iter(replies)

    async def reply(self, observation: Observation) -> Reply:
        return Reply(next(self._replies))


class Agreeable:
    """A user who replies "ok" to every message."""

    async def reply(self, view: PrincipalView) -> Reply:
        return Reply("ok")


def published(name: str, scenario: Scenario[Any], replies: list[str]) -> dict[str, float]:
    """Plays an episode with at most one turn per reply; returns its figures."""
    family = FAMILIES[name]
    dialogue = muses_dialogue(
        scenario, scenario.template, lambda reply: family.interpret(scenario, reply), len(replies)
    )
    users = {principal: Agreeable() for principal in scenario.names}
    transcript = asyncio.run(play_episode(dialogue, Recorded(replies), users)).transcript
    scores = family.score(scenario, transcript)
    return {score.metric: score.value for score in scores if score.scoring == "published" and score.round is None}


@pytest.mark.parametrize("name", PLAYED)
def test_recorded_episodes(name: str) -> None:
    """Recorded replies, played as whole episodes, give the expected figures except for the known differences."""
    family, cases = FAMILIES[PLAYED[name]], cases_of(name)
    scenarios = {scenario.id: scenario for scenario in map(family.read, family.generate(SIZE, SEED))}
    differing = {
        case["case_id"]
        for case in cases
        if not agrees(published(family.name, scenarios[case["scenario_id"]], case["replies"]), case, family.metrics)
    }
    assert_known(differing, cases)


def test_every_file_is_read() -> None:
    """Every file in the folder is read, and every case listed as different exists."""
    assert {path.name.removesuffix(".jsonl.gz") for path in GOLDEN.glob("*.gz")} == {*SCORED, *PLAYED}
    assert {case["case_id"] for name in (*SCORED, *PLAYED) for case in cases_of(name)} >= KNOWN


# Files beside the checkout


OFFICIAL_CASES = {
    "access_replies": 44,
    "access_rounds": 0,
    "instruct_constraints": 0,
    "instruct_replies": 86,
    "meeting_fields": 29,
    "meeting_replies": 150,
    "minimal": 13,
    "queue": 20,
}
"""Files of cases on official scenarios, with the number of known differences, for the reasons above."""
NOT_YET = {
    "corrected_access": "what a careful person would score; the corrected scoring is not held against it yet",
    "corrected_consent": "likewise",
    "corrected_instruct": "likewise",
    "corrected_meeting": "likewise",
    "corrected_queue": "likewise",
    "released_conversations": "what the released evaluator sends; this project's prompts are its own so far",
    "released_first_prompt": "likewise",
    "released_user_prompts": "likewise",
}
READ_ELSEWHERE = {
    "access": "pipeline/test_access.py",
    "instruct": "pipeline/test_instruct.py",
    "meeting": "pipeline/test_meeting.py",
    "queue": "pipeline/test_queue.py",
}
"""Files of recorded pairs, with the test files that read them."""


@pytest.fixture(scope="module")
def official() -> Mapping[str, Mapping[str, Scenario[Any]]]:
    return dataset_from_rows("official", read_rows(str(OFFICIAL))).by_family


@needs_shared
@pytest.mark.slow
@pytest.mark.parametrize("name", OFFICIAL_CASES)
def test_cases_on_official_scenarios(name: str, official: Mapping[str, Mapping[str, Scenario[Any]]]) -> None:
    differing = []
    for case in cases_of(name, RECORDED / "fuzz"):
        family = FAMILIES[case["family"]]
        scenario = official[family.name][case["scenario_id"]]
        if "replies" in case:
            same = agrees(published(family.name, scenario, case["replies"]), case, family.metrics)
        else:
            figures = family.score_case(scenario, case, "published")
            same = agrees(figures, case, (*family.metrics, "passed", "recall"))
            same = same and ("error" in figures) == ("error" in case["expected"])
        if not same:
            differing.append(case["case_id"])
    assert len(differing) == OFFICIAL_CASES[name], differing


@needs_shared
def test_every_file_beside_the_checkout_is_read_or_named() -> None:
    """Every file beside the checkout is read by a test or listed with the reason why none reads it."""
    found = {path.relative_to(RECORDED).as_posix() for path in (RECORDED).rglob("*.jsonl*")}
    fuzz = {f"fuzz/{name}.jsonl.gz" for name in (*OFFICIAL_CASES, *NOT_YET)}
    copied = {f"generated/{name}.jsonl.gz" for name in (*SCORED, *PLAYED)}
    assert found == {f"{name}.jsonl" for name in READ_ELSEWHERE} | fuzz | copied
    for name, path in READ_ELSEWHERE.items():
        assert f'golden("{name}")' in (Path(__file__).parents[1] / path).read_text(encoding="utf-8")


@needs_shared
def test_the_copies_are_those_beside_the_checkout() -> None:
    recorded = RECORDED / "generated"
    assert {path.name: path.read_bytes() for path in recorded.glob("*.gz")} == {
        path.name: path.read_bytes() for path in GOLDEN.glob("*.gz")
    }
