"""Hypothesis strategies that several tests share."""

import json

from hypothesis import strategies as st

JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)

_KEYS = st.sampled_from(
    ("accepted_instructions", "rejected_instructions", "accepted", "target", "content", "goal_achieved", "final_report")
)
_MARKS = (
    *("<think>", "</think>", "[THINK]", "<|channel|>analysis<|message|>", "<|channel|>final<|message|>", "<|end|>"),
    *("“", "”", "'a': ", "a: ", "None", "// x\n", "# x\n", "/*", "...", "(", ")", "=>", '\\"', "｛", "٣"),
    *("- ", "| ", "\n|---|\n", "**", "## ", "> ", "\n\n", "Ana: ", "@Ana ", "<Ana>", "</Ana>", "To Ana:", "[Ana]: "),
    *("Accepted: ", "rejected", "✅", "[ref: 1111]", "not ", "if ", "because ", "Mon 13:00", "Tuesday at 9", "all"),
)
_PIECES = st.one_of(
    st.text(max_size=30),
    st.sampled_from(
        ("```json\n", "```", "{", "}", "[", "]", '"', "'", ":", ",", "\\", "\n", "\ud800", "\x00", "null", "1111")
    ),
    st.sampled_from(_MARKS),
    JSON_VALUES.map(json.dumps),
    st.dictionaries(_KEYS, JSON_VALUES, max_size=4).map(json.dumps),
)


def model_texts() -> st.SearchStrategy[str]:
    """Generates replies of a model: prose, JSON of all shapes, fragments of both, and unusual characters."""
    return st.lists(_PIECES, max_size=12).map("".join)
