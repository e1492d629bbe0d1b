"""No reply, however malformed or long, makes a reader fail or hang."""

from collections.abc import Callable

import pytest
from hypothesis import given, note, settings
from muses_eval.pipeline.episode.addressing import interpret
from muses_eval.pipeline.episode.principal import AGENT
from muses_eval.pipeline.episode.transcript import Message, Transcript
from muses_eval.pipeline.families.instruct.answers import read_answers
from muses_eval.pipeline.families.meeting.announcement import find_announcement
from muses_eval.pipeline.families.meeting.attendees import parse_attendees
from muses_eval.pipeline.families.meeting.consent import has_consented
from muses_eval.pipeline.families.meeting.goal_value import is_true
from muses_eval.pipeline.families.meeting.schedule_values import parse_schedule
from muses_eval.pipeline.families.meeting.slot import Slot
from muses_eval.pipeline.families.meeting.time_expressions import parse_slot
from muses_eval.pipeline.families.queue.decision import read_decision
from muses_eval.pipeline.families.queue.scenario import QueueTruth
from muses_eval.pipeline.text.reasoning import split_reasoning
from muses_eval.pipeline.text.reply_parsing import json_spans

from tests.cpu_limit import cpu_limit
from tests.strategies import model_texts

NAMES = ("Ana", "Bo", "Cy")
TRUTH = QueueTruth(accepted=("Ana_task_1111", "Bo_task_2222"), rejected=(("Cy_task_3333", "harmful"),))
READERS: dict[str, Callable[[str], object]] = {
    "objects": lambda text: list(json_spans(text)),
    "reasoning": split_reasoning,
    "queue": lambda text: read_decision(TRUTH, text),
    "instruct": lambda text: read_answers(NAMES, text),
    "addressing": lambda text: interpret(NAMES, text),
    "announcement": lambda text: find_announcement(text, NAMES),
    "time": parse_slot,
    "schedule": parse_schedule,
    "attendees": lambda text: parse_attendees(text, NAMES),
    "goal": is_true,
    "consent": lambda text: has_consented(Transcript((Message(1, "Ana", (AGENT,), text),)), "Ana", Slot(0, 780), 1),
}
SIZE = 20_000
"""Characters of the texts for all pieces; a linear reader takes a tenth of the limit, a quadratic one more."""
LARGE = 80_000
LIMIT_S = 3.0
REPEATED = (
    *("{", "[", '{"a":', '["', '["x", ', "[1", "[[{", '{"a": "x', "{'a': 'it's ", '{"a": "x", ', "{a: ", '{"a": x '),
    *('{"a": (', "[/*", "[ //", "[#", "{'''", '{\\"a\\": \\"', '["x" + ', '{"a": 1}', '{"a": 1,}\n', "{}", "}", "\\"),
    *("<think>", "</think>", "<think></think>", "<|channel|>final<|message|>", "x <think> ", "```\n", "<", "analysis "),
    *(
        "1111 ",
        "1111, ",
        "1111: accept\n",
        "| 1111 | accept |\n",
        "accepted: ",
        '{"ref": "1111", "decision": "accept"}\n',
    ),
    *("Ana: x\n", "@Ana ", "<Ana>", "## Ana\n", "| Ana | x |\n", '{"Ana": "x"}\n', '"Ana": "x ', "Dear ", "To "),
    *(
        '{"target": "Ana", "content": "x"}\n',
        '{"goal_achieved": true}\n',
        "Mon 13:00 ",
        "if ",
        "not ",
        "13:",
        "9",
        "x\n",
        " ",
    ),
)


@pytest.mark.slow
@given(text=model_texts())
@settings(max_examples=500, deadline=None)
def test_no_reply_makes_a_reader_fail(text: str) -> None:
    for name, reader in READERS.items():
        note(name)
        reader(text)


@pytest.mark.slow
@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
def test_long_numbers_and_deep_nesting(reader: Callable[[str], object]) -> None:
    """Python refuses to convert more than 4,300 digits, and to nest more than about 1,000 levels."""
    for value in ("9" * 5_000, "[" * 2_000 + "]" * 2_000, '{"a":' * 2_000 + "1" + "}" * 2_000):
        reader(f'{{"accepted": {value}, "Ana": {value}, "goal_achieved": {value}}}')
        reader(f"{{'target': 'Ana', 'content': {value},}}")


@pytest.mark.slow
@pytest.mark.parametrize("reader", READERS.values(), ids=READERS)
def test_long_texts_of_one_piece(reader: Callable[[str], object]) -> None:
    for piece in REPEATED:
        with cpu_limit(LIMIT_S):
            reader(piece * (SIZE // len(piece)))
    for piece in ("{", '{"a": 1}', "Ana: x\n", "Mon 13:00 ", "9"):
        with cpu_limit(LIMIT_S):
            reader(piece * (LARGE // len(piece)))
