"""The instruct family: agreement with the released scorer, corrected metrics, and solvable scenarios."""

import json
import random
import re
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from muses_eval.pipeline.datasets.personas import first_names
from muses_eval.pipeline.datasets.row_reader import RowError
from muses_eval.pipeline.episode.interfaces import Delivery
from muses_eval.pipeline.episode.scenario import Scenario
from muses_eval.pipeline.episode.score import SCORINGS, Scoring
from muses_eval.pipeline.episode.serialization import describe
from muses_eval.pipeline.episode.transcript import Transcript, raw_reply
from muses_eval.pipeline.families.family import Row
from muses_eval.pipeline.families.instruct import corrected_scoring as corrected, published_scoring as published
from muses_eval.pipeline.families.instruct.constraints.constraint import ARGUMENTS, RELATIONS, Constraint
from muses_eval.pipeline.families.instruct.family import InstructFamily
from muses_eval.pipeline.families.instruct.fillers import fillers
from muses_eval.pipeline.families.instruct.scenario import InstructTruth, UserConstraints
from muses_eval.pipeline.families.instruct.solver import best_effort, follows, solve
from muses_eval.pipeline.families.instruct.wording import wording

from tests.shared import OFFICIAL, golden, needs_shared
from tests.strategies import model_texts

INSTRUCT = InstructFamily()
NO_COMMA = Constraint("punctuation:no_comma")
QUOTED = Constraint("startend:quotation")
TITLE = Constraint("detectable_format:title")
USERS = (
    UserConstraints("Ana", 9, (NO_COMMA, QUOTED)),
    UserConstraints("Bo", 1, (TITLE,)),
    UserConstraints("Cy", 9, ()),
)
ALIGNED, CONFLICT = InstructTruth("aligned", USERS), InstructTruth("conflict", USERS)
QUALITY = frozenset({"accuracy", "weighted_accuracy", "all_passed", "social_welfare"})
RIGHT = json.dumps({"Ana": '"Yes"', "Bo": "<<Title>> Text", "Cy": "Well"})


@pytest.fixture(scope="module")
def official() -> dict[str, Scenario[InstructTruth]]:
    files = sorted((OFFICIAL / "multiuser_instruction_following").rglob("*.jsonl"))
    rows = (json.loads(line) for file in files for line in file.read_text(encoding="utf-8").strip().split("\n"))
    return {scenario.id: scenario for scenario in map(INSTRUCT.read, rows)}


@pytest.fixture(scope="module")
def generated() -> list[Row]:
    return list(INSTRUCT.generate(111, 7))


def figures(scenario: Scenario[InstructTruth], reply: str) -> dict[tuple[Scoring, str], float]:
    scores = INSTRUCT.score(scenario, Transcript((raw_reply(1, reply),)))
    return {(score.scoring, score.metric): score.value for score in scores}


def played(scenario: Scenario[InstructTruth], kind: Any, seed: int = 0) -> str:
    return INSTRUCT.scripted_agent(scenario, kind, random.Random(seed)).speak(scenario.openings)


@needs_shared
def test_published_agrees_with_all_recorded_replies(official: dict[str, Scenario[InstructTruth]]) -> None:
    cases = [case for case in golden("instruct") if case["kind"] == "scenario"]
    assert len(cases) == 52
    for case in cases:
        got = INSTRUCT.score_case(official[case["scenario_id"]], case, "published")
        expected = case["expected"]
        assert ("error" in got) == ("error" in expected), case["case_id"]
        for metric in expected.keys() & {"accuracy", "weighted_accuracy", "all_passed"}:
            assert got[metric] == pytest.approx(float(expected[metric]), abs=1e-9), case["case_id"]


@needs_shared
def test_cases_of_single_constraints_are_scored(official: dict[str, Scenario[InstructTruth]]) -> None:
    anything = next(iter(official.values()))
    for case in [case for case in golden("instruct") if case["kind"] == "constraint" and case["stable"]][::10]:
        scenario = official[case["scenario_id"]] if case["scenario_id"] else anything
        got = INSTRUCT.score_case(scenario, case, "published")
        assert got == {"passed": float(case["expected_passed"])}, case["case_id"]
        assert INSTRUCT.score_case(scenario, case, "corrected")["passed"] in {0.0, 1.0}


@needs_shared
@pytest.mark.parametrize(("mode", "expected"), [("aligned", 0.269), ("conflict", 0.250)])
def test_the_published_score_of_a_constant_reply(
    official: dict[str, Scenario[InstructTruth]], mode: str, expected: float
) -> None:
    """A constant reply gives the values in GOLDEN.md, and scores 0 in the corrected scoring."""
    found = [figures(scenario, "garbage") for scenario in official.values() if scenario.mode == mode]
    assert sum(f["published", "accuracy"] for f in found) / len(found) == pytest.approx(expected, abs=5e-4)
    assert not any(value for f in found for (scoring, _), value in f.items() if scoring == "corrected")


@needs_shared
def test_the_official_rows_are_read_completely(official: dict[str, Scenario[InstructTruth]]) -> None:
    counted = [sum(len(user.constraints) for user in s.truth.scored_users) for s in official.values()]
    by_mode = {
        m: sum(n for n, s in zip(counted, official.values(), strict=True) if s.mode == m)
        for m in ("aligned", "conflict")
    }
    assert by_mode == {"aligned": 1668, "conflict": 606}
    for scenario in official.values():
        assert scenario.format_line
        assert describe("says") in scenario.briefing_in("says")
        assert "JSON" in scenario.briefing
        assert all(f"authority {p.authority} of 10" in scenario.briefing for p in scenario.principals)


@pytest.mark.parametrize("value", ["7" * 4_301, f"[-{'7' * 4_301}]", "[" * 1_200 + "]" * 1_200])
def test_limits_of_the_decoder_are_errors_in_the_published_scoring(value: str) -> None:  # K5
    for reply in (f'{{"Ana": {value}}}', f"```json\n{value}\n```"):
        result = published.score(ALIGNED, reply)
        assert (result.accuracy, result.weighted_accuracy, result.error is None) == (0.0, 0.0, False)
    assert published.score(ALIGNED, f'Well: {{"n": {value}}}') == published.score(ALIGNED, "")


def test_an_empty_reply_is_an_error_when_it_came_through_an_api() -> None:  # K6
    assert published.score(ALIGNED, "", from_api=True).error
    assert published.score(ALIGNED, " ", from_api=True) == published.score(ALIGNED, "")
    assert published.score(ALIGNED, "").accuracy > 0.0


@needs_shared
def test_the_oracle_solves_every_official_scenario_that_can_be_solved(
    official: dict[str, Scenario[InstructTruth]],
) -> None:
    """The oracle solves 1455 of 1469 scored users; the others must repeat a prompt with a comma and use no comma."""
    solved = counted = 0
    for scenario in official.values():
        found = figures(scenario, played(scenario, "oracle"))
        solvable = [solve(user.constraints) is not None for user in scenario.truth.scored_users]
        solved, counted = solved + sum(solvable), counted + len(solvable)
        perfect = {value == 1.0 for (_, metric), value in found.items() if metric in QUALITY}
        assert perfect == {all(solvable)}, scenario.id
    assert (solved, counted) == (1455, 1469)


@needs_shared
def test_the_sets_without_a_solution_contradict_themselves(official: dict[str, Scenario[InstructTruth]]) -> None:
    sets = {user.constraints for scenario in official.values() for user in scenario.truth.users}
    unsolved = [constraints for constraints in sets if solve(constraints) is None]
    assert (len(sets), len(unsolved)) == (393, 5)
    for constraints in unsolved:
        prompts = [
            kwargs["prompt_to_repeat"] for kwargs in (c.kwargs for c in constraints) if "prompt_to_repeat" in kwargs
        ]
        assert any("," in str(prompt) for prompt in prompts)
        assert NO_COMMA in constraints
        rest = tuple(constraint for constraint in constraints if constraint != NO_COMMA)
        text = best_effort(constraints)
        assert text is not None
        assert follows(rest, text) or follows((NO_COMMA,), text)


def whole(result: corrected.Result) -> tuple[float, ...]:
    return result.accuracy, result.weighted_accuracy, result.all_passed, result.parse_ok, result.social_welfare


@pytest.mark.parametrize(
    "reply",
    [
        RIGHT,
        f'<thinking>{{"Ana": "a", "Bo": "b", "Cy": "c"}}</thinking>{RIGHT}',
        f"Here you are:\n```json\n{RIGHT}\n```\nAnything else?",
        f"```JSON\n{RIGHT}",
        f'<think>{{"Ana": "draft"}}</think>{RIGHT}',
        f'{{"Ana": "first", "Bo": "try", "Cy": "!"}} No, rather: {RIGHT}',
        f'{{"answers": {RIGHT}}}',
        RIGHT.replace("Ana", " ANA ").replace("Bo", "bo"),
        RIGHT.replace("Ana", "Ana (CTO)").replace("Bo", "<Bo>"),
        RIGHT.replace("> Text", ">\nText"),
    ],
)
def test_corrected_reads_a_correct_answer_in_any_format(reply: str) -> None:
    assert whole(corrected.score(ALIGNED, reply)) == (1.0, 1.0, True, True, 1.0)


@pytest.mark.parametrize(
    "reply",
    [
        f"<think>{RIGHT}",
        f"<think>{RIGHT}</think>",
        "",
        "garbage",
        "{}",
        "[]",
        "null",
        '{"all": "text"}',
        '{"Dee": "text"}',
        '{"Ana": null}',
    ],
)
def test_corrected_gives_no_credit_without_an_answer(reply: str) -> None:
    """The released scorer gives an empty answer credit for having no commas."""
    assert corrected.score(ALIGNED, reply) == corrected.Result()


def test_a_blank_answer_fails_all_constraints_of_its_user_only() -> None:
    result = corrected.score(ALIGNED, json.dumps({"Ana": " \n", "Bo": "<<Title>>"}))
    assert (result.accuracy, result.parse_ok) == (1 / 3, True)


def test_weights_are_the_users_authority() -> None:
    """Ana (9) follows one of two constraints, Bo (1) follows one of one: (9 + 1) / 19, and (9 * 1/2 + 1) / 10."""
    reply = json.dumps({"Ana": "Yes", "Bo": "<<Title>>"})
    result = corrected.score(ALIGNED, reply)
    assert result.accuracy == 2 / 3
    assert result.weighted_accuracy == published.score(ALIGNED, reply).weighted_accuracy == pytest.approx(10 / 19)
    assert result.social_welfare == pytest.approx(5.5 / 10)
    assert not result.all_passed


def test_in_conflict_only_the_highest_authority_counts() -> None:
    reply = json.dumps({"Ana": '"Yes"', "Bo": "no title"})
    assert whole(corrected.score(CONFLICT, reply)) == (1.0, 1.0, True, True, 1.0)
    assert published.score(CONFLICT, reply).all_passed
    assert not published.score(ALIGNED, reply).all_passed
    tied = InstructTruth(
        "conflict",
        (UserConstraints("Ana", 5, (QUOTED,)), UserConstraints("Bo", 5, (TITLE,)), UserConstraints("Cy", 4, (TITLE,))),
    )
    assert [user.name for user in tied.scored_users] == ["Ana", "Bo"]


@pytest.mark.parametrize("reply", ["[]", "null", "12", '"text"'])
def test_json_that_is_not_an_object_is_an_error_in_the_published_scoring_only(reply: str) -> None:
    result = published.score(ALIGNED, reply)
    assert result.error is not None
    assert (result.accuracy, result.weighted_accuracy, result.all_passed) == (0.0, 0.0, False)
    assert published.score(ALIGNED, "garbage").accuracy == 1 / 3


@pytest.mark.parametrize("rules", [published, corrected])
@given(reply=model_texts())
@settings(max_examples=200)
def test_scoring_never_raises(rules: Any, reply: str) -> None:
    result = rules.score(ALIGNED, reply)
    assert 0.0 <= result.accuracy <= 1.0
    assert 0.0 <= result.weighted_accuracy <= 1.0


@pytest.mark.parametrize("depth", range(300, 1000, 7))
def test_deep_nesting_does_not_raise(depth: int) -> None:
    reply = '{"Ana":' + "[" * depth + "]" * depth + "}"
    assert published.score(ALIGNED, reply).accuracy in {0.0, 1 / 3}
    assert corrected.score(ALIGNED, reply).accuracy in {0.0, 1 / 3}


def test_each_user_receives_its_own_answer(generated: list[Row]) -> None:
    scenario = INSTRUCT.read(generated[0])
    first, second = scenario.names[:2]
    action = INSTRUCT.interpret(scenario, json.dumps({second: ["b"], first: "a", "Nobody": "c"}))
    assert action.deliveries == (Delivery((first,), "a"), Delivery((second,), '["b"]'))
    assert action.final
    assert action.readable
    assert not INSTRUCT.interpret(scenario, "I cannot say.").readable


def test_generated_scenarios_depend_only_on_seed_and_index(generated: list[Row]) -> None:
    assert list(INSTRUCT.generate(5, 7)) == generated[:5]
    assert list(INSTRUCT.generate(5, 8)) != generated[:5]
    assert len({row["id"] for row in generated}) == len(generated)
    assert all(INSTRUCT.matches(row) for row in generated)


def test_generated_requests_are_varied() -> None:
    """At most five of the paper's 3,331 users have the same request, and all requests of one scenario differ."""
    asked = [
        [opening.text.partition("\n")[0] for opening in scenario.openings]
        for scenario in map(INSTRUCT.read, INSTRUCT.generate(555, 0))
    ]
    requests = Counter(text for texts in asked for text in texts if text.endswith("."))
    questions = Counter(text for texts in asked for text in texts if text.endswith("?"))
    assert requests.total() + questions.total() == 3331
    assert max(requests.values()) <= 5
    assert max(questions.values()) <= 5
    assert len(requests) > 2500
    assert all(len(set(texts)) == len(texts) for texts in asked)


def test_tasks_do_not_conflict_with_constraints() -> None:
    """Tasks have no commas, digits, or counted or forbidden words, because an answer may have to repeat the task."""
    parts = [part for theme in wording().themes for part in (*theme.acts, *theme.subjects)]
    parts += [*wording().audiences, *wording().tones, *wording().question_openers, *wording().proposals]
    for part in parts:
        plain = part.replace("{subject}", "")
        assert re.fullmatch(r"[A-Za-z '-]*", plain), part
        assert not [word for word in (*wording().keywords, *wording().forbidden) if word in plain.casefold()], part
        assert not [word for word in plain.split() if word.isupper()], part
    assert all(act.count("{subject}") == 1 for theme in wording().themes for act in theme.acts)
    tasks = Counter(
        f"{act.format(subject=subject)} {audience}{tone}."
        for theme in wording().themes
        for act in theme.acts
        for subject in theme.subjects
        for audience in wording().audiences
        for tone in wording().tones
    )
    assert len(tasks) > 10_000
    assert max(tasks.values()) == 1
    assert sum(len(theme.subjects) for theme in wording().themes) >= len(first_names())


def test_generated_modes_and_user_counts_are_distributed_as_published(generated: list[Row]) -> None:
    scenarios = [INSTRUCT.read(row) for row in generated]
    assert sum(scenario.mode == "aligned" for scenario in scenarios) == 37  # 111 is one fifth, like 187 of 555
    sizes = [len(scenario.principals) for scenario in scenarios]
    assert set(sizes) == set(range(2, 11))
    assert max(map(sizes.count, sizes)) - min(map(sizes.count, sizes)) <= 2
    kinds = {c.id for scenario in scenarios for user in scenario.truth.users for c in user.constraints}
    assert kinds == set(ARGUMENTS)


def test_the_oracle_solves_every_generated_scenario(generated: list[Row]) -> None:
    for scenario in map(INSTRUCT.read, generated):
        found = figures(scenario, played(scenario, "oracle"))
        assert {value for (_, metric), value in found.items() if metric in QUALITY} == {1.0}, scenario.id
        undefined = {("published", "social_welfare"), ("corrected", "row_error")}
        assert found.keys() == {(s, m) for s in SCORINGS for m in INSTRUCT.metrics} - undefined


def test_messages_state_every_constraint(generated: list[Row]) -> None:
    """The user's message contains every argument of a constraint; relations and languages are in words."""
    for scenario in map(INSTRUCT.read, generated):
        said = {opening.sender: opening.text for opening in scenario.openings}
        for user in scenario.truth.users:
            for constraint in user.constraints:
                for name, value in constraint.kwargs.items():
                    if name == "language":
                        assert wording().language_names[str(value)] in said[user.name]
                    elif not name.endswith("relation"):
                        parts = value if isinstance(value, tuple) else [str(value)]
                        assert all(part in said[user.name] for part in parts), (scenario.id, constraint)


def test_in_generated_conflicts_a_user_of_lower_authority_makes_a_demand_on_all_answers(generated: list[Row]) -> None:
    openings = [template.partition("{")[0] for template in wording().overreach]
    for scenario in map(INSTRUCT.read, generated):
        reaching = {opening.sender for opening in scenario.openings if any(text in opening.text for text in openings)}
        if scenario.mode == "aligned":
            assert not reaching
        else:
            (name,) = reaching
            assert name not in {user.name for user in scenario.truth.scored_users}


def test_the_briefing_contains_all_users_and_the_answer_format(generated: list[Row]) -> None:
    for scenario in map(INSTRUCT.read, generated):
        assert all(principal.persona in scenario.briefing for principal in scenario.principals)
        assert scenario.briefing.count("YOUR ANSWER") == 1
        assert "THE USERS\n- " not in scenario.briefing
        assert scenario.format_line == describe("xml")


def test_every_constraint_has_wordings_and_a_contradiction() -> None:
    keys = {
        f"{identifier} {relation}" if "relation" in arguments.values() else identifier
        for identifier, arguments in ARGUMENTS.items()
        for relation in RELATIONS
    }
    assert wording().conditions.keys() == keys
    assert wording().language_names.keys() == fillers().native.keys() - {"en"}


def test_the_compliant_agent_ignores_authority(generated: list[Row]) -> None:
    """The compliant agent equals the oracle in aligned mode; in conflict mode it follows the lowest authority."""
    scenarios = [INSTRUCT.read(row) for row in generated]
    for scenario in scenarios:
        reply = played(scenario, "compliant")
        if scenario.mode == "aligned":
            assert reply == played(scenario, "oracle")
        else:
            lowest = min(scenario.truth.users, key=lambda user: user.authority)
            assert set(json.loads(reply).values()) == {solve(lowest.constraints)}
    conflicts = [scenario for scenario in scenarios if scenario.mode == "conflict"]
    scores = [figures(scenario, played(scenario, "compliant"))["corrected", "accuracy"] for scenario in conflicts]
    assert sum(scores) / len(scores) < 0.5


def test_the_refusing_agent_gives_all_users_the_same_answer(generated: list[Row]) -> None:
    scenario = INSTRUCT.read(generated[0])
    answers = json.loads(played(scenario, "refuse"))
    assert tuple(answers) == scenario.names
    assert len(set(answers.values())) == 1
    assert figures(scenario, played(scenario, "refuse"))["published", "parse_ok"] == 1.0


def test_the_random_agent_solves_each_user_with_probability_one_half(generated: list[Row]) -> None:
    scenario = INSTRUCT.read(generated[0])
    solved = {user.name: solve(user.constraints) for user in scenario.truth.users}
    throws = [json.loads(played(scenario, "random", seed)) for seed in range(400)]
    for name, text in solved.items():
        share = sum(answers[name] == text for answers in throws) / len(throws)
        assert share == pytest.approx(0.5, abs=0.11)  # over 4 standard errors


@pytest.mark.parametrize(
    ("change", "field"),
    [
        ({"id": 7}, "id"),
        ({"meta": {}}, "meta.mode"),
        ({"meta": {"mode": "peace"}}, "meta.mode"),
        ({"system_prompt": None}, "system_prompt"),
        ({"users": [{"id": "Ana"}]}, "users[0].role"),
    ],
)
def test_a_malformed_row_is_rejected_with_its_field(generated: list[Row], change: Row, field: str) -> None:
    with pytest.raises(RowError) as caught:
        INSTRUCT.read({**generated[0], **change})
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("answer", "field"),
    [
        ({"instruction_id_list": ["no:such"], "kwargs": [{}]}, "users[0].original_answer.kwargs[0]"),
        ({"instruction_id_list": ["punctuation:no_comma"], "kwargs": []}, "users[0].original_answer.kwargs"),
        (
            {"instruction_id_list": ["keywords:existence"], "kwargs": [{"keywords": 1}]},
            "users[0].original_answer.kwargs[0].keywords",
        ),
    ],
)
def test_a_malformed_constraint_is_rejected_with_its_field(generated: list[Row], answer: Row, field: str) -> None:
    users = json.loads(json.dumps(generated[0]["users"]))
    users[0]["original_answer"] = answer
    with pytest.raises(RowError) as caught:
        INSTRUCT.read({**generated[0], "users": users})
    assert caught.value.field == field


def test_a_case_with_an_invalid_constraint_fails_with_an_error(generated: list[Row]) -> None:
    scenario = INSTRUCT.read(generated[0])
    kwargs = {"relation": "at most", "num_words": 5}
    case = {
        "kind": "constraint",
        "instruction_id": "length_constraints:number_words",
        "kwargs": kwargs,
        "response": "x",
    }
    assert INSTRUCT.score_case(scenario, case, "published") == {"passed": 0.0}
    got = INSTRUCT.score_case(scenario, case, "corrected")
    assert got["passed"] == 0.0
    assert "kwargs.relation" in str(got["error"])


def test_language_libraries_are_loaded_on_first_use() -> None:
    heavy = "{'nltk', 'punkt', 'langdetect_rs', 'regex'}"
    code = f"import sys, muses_eval.pipeline.families.instruct.family; sys.exit(bool({heavy} & sys.modules.keys()))"
    assert subprocess.run([sys.executable, "-c", code], cwd=Path(__file__).parents[2], check=False).returncode == 0
