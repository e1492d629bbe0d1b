"""Prompts for models without a system role."""

import pytest
from muses_eval.pipeline.episode.system_role import fold_system

Pairs = list[tuple[str, str]]


@pytest.mark.parametrize(
    ("prompt", "folded"),
    [
        ([("system", "s"), ("user", "a"), ("assistant", "b")], [("user", "s\n\na"), ("assistant", "b")]),
        ([("user", "a"), ("user", "b")], [("user", "a"), ("user", "b")]),
        ([("system", "s"), ("system", "t"), ("user", "a")], [("user", "s\n\nt\n\na")]),
        ([("system", "s"), ("Ana", "a"), ("Bo", "b")], [("user", "s"), ("Ana", "a"), ("Bo", "b")]),
        ([("system", "s"), ("assistant", "hi"), ("user", "a")], [("user", "s"), ("assistant", "hi"), ("user", "a")]),
        ([("system", "s")], [("user", "s")]),
        ([("user", "a"), ("system", "s"), ("user", "b")], [("user", "a"), ("user", "s\n\nb")]),
        ([], []),
    ],
)
def test_system_messages_begin_the_next_users_message(prompt: Pairs, folded: Pairs) -> None:
    """No text is lost or attributed to a principal, and the order of messages stays."""
    found = fold_system([{"role": role, "content": content} for role, content in prompt])
    assert [(message["role"], message["content"]) for message in found] == folded
