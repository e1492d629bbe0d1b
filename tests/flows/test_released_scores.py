"""The scoring ``published`` agrees with the released scorers on all recorded cases.

The cases in ``tests/golden`` are on generated scenarios, those beside the checkout on the official ones.  A case that
the released code leaves to chance is listed here with the reason; one that begins to agree must leave the list.
"""

import gzip
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
from muses_eval.flows.cli import main
from muses_eval.pipeline.datasets.dataset import dataset_from_rows
from muses_eval.pipeline.episode.scenario import Scenario
from muses_eval.pipeline.families import FAMILIES
from muses_eval.pipeline.families.access import published_scoring as access
from muses_eval.storage.objects.dataset_files import read_rows

from tests.shared import GOLDEN as RECORDED, OFFICIAL, golden, needs_shared

GOLDEN = Path(__file__).parents[1] / "golden"
SIZE, SEED = 150, 11
FILES = {
    "access_replies": "access",
    "access_rounds": "access",
    "instruct_constraints": "instruct",
    "instruct_replies": "instruct",
    "meeting_fields": "meeting",
    "meeting_replies": "meeting",
    "queue": "queue",
}
"""Files of cases with their families."""
CHANCE = {"i2-634": "a random letter in place of #"}
"""Cases that the released code leaves to chance, with the reason."""


def cases_of(name: str, folder: Path = GOLDEN) -> list[dict[str, Any]]:
    """Returns all cases of one file except those for which the released code has no stable result."""
    with gzip.open(folder / f"{name}.jsonl.gz", "rt", encoding="utf-8") as file:
        return [case for case in map(json.loads, file) if case.get("stable", True)]


def agrees(figures: Mapping[str, Any], case: Mapping[str, Any], metrics: tuple[str, ...]) -> bool:
    """Returns True when the figures equal the expected ones to 1e-9, and both or neither of the scorers failed."""
    expected = {metric: float(case["expected"][metric]) for metric in metrics if metric in case["expected"]}
    assert expected, case["case_id"]
    same = {metric: figures.get(metric) for metric in expected} == pytest.approx(expected, abs=1e-9)
    return same and ("error" in figures) == ("error" in case["expected"])


def rounds(scenario: Scenario[Any], case: Mapping[str, Any]) -> list[list[float]]:
    """Returns turn, privacy and utility of every scored round of an access case; none when the row fails."""
    replies = list(enumerate(case["replies"], 1))
    truth = scenario.truth
    final, by_turn = access.score_replies(scenario.names, truth.authorized, truth.markers, replies)
    return [] if final.error else [[turn, each.privacy, each.utility] for turn, each in by_turn.items()]


@pytest.mark.parametrize("name", FILES)
def test_recorded_cases(name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """``muses score`` gives the expected figures and fails on the same rows."""
    family = FAMILIES[FILES[name]]
    dataset, replies, cases = tmp_path / "dataset.jsonl", tmp_path / "cases.jsonl", cases_of(name)
    dataset.write_text("".join(json.dumps(row) + "\n" for row in family.generate(SIZE, SEED)), encoding="utf-8")
    replies.write_text("".join(json.dumps(case) + "\n" for case in cases), encoding="utf-8")
    assert main(["score", family.name, "--dataset", str(dataset), "--cases", str(replies)]) == 0
    scored = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [line["case_id"] for line in scored] == [case["case_id"] for case in cases]
    metrics = (*family.metrics, "passed", "recall")
    pairs = zip(scored, cases, strict=True)
    assert [case["case_id"] for line, case in pairs if not agrees(line, case, metrics)] == []


def test_recorded_rounds() -> None:
    """Every round of the access episodes has the expected figures, and the same rounds are scored."""
    scenarios = {each.id: each for each in map(FAMILIES["access"].read, FAMILIES["access"].generate(SIZE, SEED))}
    for case in cases_of("access_replies"):
        wanted = [pytest.approx(each, abs=1e-9) for each in case["expected"]["rounds"]]
        assert rounds(scenarios[case["scenario_id"]], case) == wanted, case["case_id"]


def test_every_file_is_read() -> None:
    """Every file in the folder is read."""
    assert {path.name.removesuffix(".jsonl.gz") for path in GOLDEN.glob("*.gz")} == set(FILES)


# Files beside the checkout


NOT_YET = {
    "corrected_access": "what a careful person would score; the corrected scoring is not held against it yet",
    "corrected_consent": "likewise",
    "corrected_instruct": "likewise",
    "corrected_meeting": "likewise",
    "corrected_queue": "likewise",
}
PROMPTS = ("released_conversations", "released_first_prompt", "released_user_prompts")
"""Files of what the released evaluator sends, which ``pipeline/test_released_protocol.py`` reads."""
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
@pytest.mark.parametrize("name", [*FILES, "minimal"])
def test_cases_on_official_scenarios(name: str, official: Mapping[str, Mapping[str, Scenario[Any]]]) -> None:
    """The cases on official scenarios agree as those on generated ones, with every round of access."""
    differing = []
    cases = cases_of(name, RECORDED / "fuzz")
    for case in cases:
        family = FAMILIES[case["family"]]
        scenario = official[family.name][case["scenario_id"]]
        figures = family.score_case(scenario, case, "published")
        same = agrees(figures, case, (*family.metrics, "passed", "recall"))
        if "rounds" in case["expected"]:
            wanted = [pytest.approx(each, abs=1e-9) for each in case["expected"]["rounds"]]
            same = same and rounds(scenario, case) == wanted
        if not same:
            differing.append(case["case_id"])
    assert differing == [case["case_id"] for case in cases if case["case_id"] in CHANCE]


@needs_shared
def test_an_empty_reply_through_an_api_is_a_row_error(official: Mapping[str, Mapping[str, Scenario[Any]]]) -> None:
    """The cases of the queue that have a second result for APIs agree with it."""
    found = 0
    for case in golden("queue"):
        if "expected_api_provider" in case:
            scenario = official["queue"][case["scenario_id"]]
            figures = FAMILIES["queue"].score_case(scenario, {**case, "from_api": True}, "published")
            assert "error" in case["expected_api_provider"]
            assert (figures["f1"], figures["accuracy"], figures["mais"], "error" in figures) == (0.0, 0.0, 0.0, True)
            found += 1
    assert found


@needs_shared
def test_every_file_beside_the_checkout_is_read_or_named() -> None:
    """Every file beside the checkout is read by a test or listed with the reason why none reads it."""
    found = {path.relative_to(RECORDED).as_posix() for path in (RECORDED).rglob("*.jsonl*")}
    fuzz = {f"fuzz/{name}.jsonl.gz" for name in (*FILES, "minimal", *PROMPTS, *NOT_YET)}
    copied = {f"generated/{name}.jsonl.gz" for name in FILES}
    assert found == {f"{name}.jsonl" for name in READ_ELSEWHERE} | fuzz | copied
    tests = Path(__file__).parents[1]
    for name, path in READ_ELSEWHERE.items():
        assert f'golden("{name}")' in (tests / path).read_text(encoding="utf-8")
    for name in PROMPTS:
        assert f'released_cases("{name}")' in (tests / "pipeline/test_released_protocol.py").read_text(encoding="utf-8")


@needs_shared
def test_the_copies_are_those_beside_the_checkout() -> None:
    recorded = RECORDED / "generated"
    assert {path.name: path.read_bytes() for path in recorded.glob("*.gz")} == {
        path.name: path.read_bytes() for path in GOLDEN.glob("*.gz")
    }
