"""Reasoning is set apart from the answer in any form in which models write it."""

import pytest
from hypothesis import given
from muses_eval.pipeline.text.reasoning import Reply, split_reasoning

from tests.strategies import model_texts


@pytest.mark.parametrize(
    "text",
    [
        "<think>why</think>Yes.",
        "<thinking>\nwhy\n</thinking>\nYes.",
        "<THINK time='3'>why</THINK> Yes.",
        "<thought>why</thought>Yes.",
        "<reasoning>why</reasoning>Yes.",
        "<scratchpad>why</scratchpad>Yes.",
        "<inner_monologue>why</inner_monologue>Yes.",
        "<chain_of_thought>why</chain_of_thought>Yes.",
        "<antThinking>why</antThinking>Yes.",
        "<seed:think>why</seed:think>Yes.",
        "<longcat_think>why</longcat_think>Yes.",
        "[THINK]why[/THINK]Yes.",
        "◁think▷why◁/think▷Yes.",
        "<|begin_of_thought|>why<|end_of_thought|><|begin_of_solution|>Yes.<|end_of_solution|>",
        "<|START_THINKING|>why<|END_THINKING|><|START_RESPONSE|>Yes.<|END_RESPONSE|>",
        "<|inner_prefix|>why<|inner_suffix|>Yes.",
        "<unused94>thought\nwhy<unused95>Yes.",
        "<|channel>thought\nwhy<channel|>Yes.",
        '<details type="reasoning" done="true">why</details>\nYes.',
        "```thinking\nwhy\n```\nYes.",
        "<|channel|>analysis<|message|>why<|end|><|start|>assistant<|channel|>final<|message|>Yes.<|return|>",
        "<|channel|>analysis<|message|>why<|start|>assistant<|channel|>final <|constrain|>json<|message|>Yes.",
        "<|channel|>analysis<|message|>why<|end|><|channel|>commentary to=functions.send<|message|>Yes.<|call|>",
        "analysis\nwhy\nassistantfinalYes.",
        "why</think>Yes.",
        "why\n[/THINK]\nYes.",
        "Yes.\n<think>why</think>",
        "Yes. <think>why",
        "<think>why <answer>Yes.</answer>",
        "<think>why</think><answer>Yes.</answer>",
        "<think>\n<think>\nwhy</think>Yes.",
    ],
)
def test_reasoning_is_set_apart(text: str) -> None:
    reply = split_reasoning(text)
    assert (reply.answer.strip(), reply.reasoning.removeprefix("<think>").strip()) == ("Yes.", "why")


@pytest.mark.parametrize(
    "text",
    [
        "Yes.",
        "I think: yes.",
        "The tag `<think>` opens a block and `</think>` closes it.",
        'Write "<thinking>" first.',
        '{"content": "use <think> here"}',
        "<thinker>Yes.</thinker>",
        "[REASONING]\nwhy\n[DECISION]\nYes.",
        "[Thinking of you]",
        "```json\n{}\n```",
        "```\n<Ana>Yes.</Ana>\n```",
        "<Ana>Yes.</Ana>",
        "<details><summary>More</summary>Yes.</details>",
        "analysis of the market",
    ],
)
def test_other_text_is_the_answer(text: str) -> None:
    assert split_reasoning(text) == Reply("", text)


def test_several_blocks_are_one_reasoning() -> None:
    assert split_reasoning("<think>a</think>Yes,<think>b</think> Bo.[THINK]c[/THINK]") == Reply("a\nb\nc", "Yes, Bo.")


def test_reasoning_inside_a_message_is_set_apart() -> None:
    text = '{"content": "<think>why</think>Yes."}'
    assert split_reasoning(text) == Reply("why", '{"content": "Yes."}')


def test_a_reply_may_be_only_reasoning() -> None:
    assert split_reasoning("<|channel|>analysis<|message|>why") == Reply("why", "")
    assert split_reasoning("<think>why") == Reply("why", "")


@given(model_texts())
def test_nothing_is_lost_of_a_reply_without_tags(text: str) -> None:
    if not {"<", "[", "◁", "`", "~"} & set(text):
        assert split_reasoning(text).answer == text
