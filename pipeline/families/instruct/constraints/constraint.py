"""The kinds of constraints, and the arguments of each.

The ids and the names of the arguments are those of IFEval (Zhou et al. 2023, "Instruction-Following Evaluation for
Large Language Models"), which the benchmark's rows use.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, get_args

from muses_eval.pipeline.datasets.row_reader import RowError, refuse
from muses_eval.pipeline.families.instruct.constraints.languages import LANGUAGES

Argument = str | int | tuple[str, ...]
ArgumentKind = Literal["text", "texts", "count", "positive", "letter", "language", "relation"]
"""``count`` is at least 0, ``positive`` at least 1; ``letter`` is any one character; ``texts`` is not empty."""

Relation = Literal["at least", "less than"]
RELATIONS: tuple[Relation, ...] = get_args(Relation)

ARGUMENTS: Mapping[str, Mapping[str, ArgumentKind]] = {
    "change_case:capital_word_frequency": {"capital_relation": "relation", "capital_frequency": "count"},
    "change_case:english_capital": {},
    "change_case:english_lowercase": {},
    "combination:repeat_prompt": {"prompt_to_repeat": "text"},
    "combination:two_responses": {},
    "detectable_content:number_placeholders": {"num_placeholders": "count"},
    "detectable_content:postscript": {"postscript_marker": "text"},
    "detectable_format:constrained_response": {},
    "detectable_format:json_format": {},
    "detectable_format:multiple_sections": {"section_spliter": "text", "num_sections": "count"},
    "detectable_format:number_bullet_lists": {"num_bullets": "count"},
    "detectable_format:number_highlighted_sections": {"num_highlights": "count"},
    "detectable_format:title": {},
    "keywords:existence": {"keywords": "texts"},
    "keywords:forbidden_words": {"forbidden_words": "texts"},
    "keywords:frequency": {"relation": "relation", "keyword": "text", "frequency": "count"},
    "keywords:letter_frequency": {"let_relation": "relation", "letter": "letter", "let_frequency": "count"},
    "language:response_language": {"language": "language"},
    "length_constraints:nth_paragraph_first_word": {
        "first_word": "text",
        "num_paragraphs": "positive",
        "nth_paragraph": "positive",
    },
    "length_constraints:number_paragraphs": {"num_paragraphs": "count"},
    "length_constraints:number_sentences": {"relation": "relation", "num_sentences": "count"},
    "length_constraints:number_words": {"relation": "relation", "num_words": "count"},
    "punctuation:no_comma": {},
    "startend:end_checker": {"end_phrase": "text"},
    "startend:quotation": {},
}
"""Constraint id -> its arguments, all of which are required."""

_EXPECTED: Mapping[ArgumentKind, str] = {
    "text": "a text that is not blank",
    "texts": "a list of one or more texts that are not blank",
    "count": "a whole number of 0 or more",
    "positive": "a whole number of 1 or more",
    "letter": "one character",
    "language": f"a language code, one of {', '.join(sorted(LANGUAGES))}",
    "relation": f"one of {', '.join(map(repr, RELATIONS))}",
}


@dataclass(frozen=True, slots=True)
class Constraint:
    """One constraint on one text, with valid arguments."""

    id: str
    arguments: tuple[tuple[str, Argument], ...] = ()

    @property
    def kwargs(self) -> dict[str, Argument]:
        """The arguments by name, for the checkers."""
        return dict(self.arguments)


def read_constraint(identifier: object, kwargs: object, where: str) -> Constraint:
    """Reads a constraint of a row.  *where* is the path of the arguments, for messages.

    Raises:
        RowError: the constraint is unknown, or an argument is missing, unknown or of the wrong kind.
    """
    if not isinstance(identifier, str) or identifier not in ARGUMENTS:
        problem = f"unknown constraint {identifier!r}; known are {', '.join(ARGUMENTS)}"
        return refuse(RowError(problem, where), Constraint(str(identifier)))
    expected = ARGUMENTS[identifier]
    if not isinstance(kwargs, Mapping):
        problem = f"expected an object with the arguments of {identifier}, got {kwargs!r}"
        return refuse(RowError(problem, where), Constraint(identifier))
    if unknown := kwargs.keys() - expected.keys():
        problem = f"{identifier} takes {', '.join(expected) or 'no arguments'}; got also {sorted(unknown)}"
        refuse(RowError(problem, where), None)
    for name in expected:
        if name not in kwargs:
            problem = f"missing; {identifier} needs {_EXPECTED[expected[name]]}"
            refuse(RowError(problem, f"{where}.{name}"), None)
    given = ((name, kind) for name, kind in expected.items() if name in kwargs)
    return Constraint(
        identifier, tuple((name, _argument(kwargs[name], kind, f"{where}.{name}")) for name, kind in given)
    )


def _argument(value: object, kind: ArgumentKind, where: str) -> Argument:
    if isinstance(value, (list, tuple)):
        if kind == "texts" and value and all(isinstance(text, str) and text.strip() for text in value):
            return tuple(value)
    elif isinstance(value, str):
        if _fits(value, kind):
            return value
    elif isinstance(value, int) and not isinstance(value, bool) and _in_range(value, kind):
        return value
    return refuse(RowError(f"expected {_EXPECTED[kind]}, got {value!r}", where), "")


def _fits(value: str, kind: ArgumentKind) -> bool:
    match kind:
        case "text":
            return bool(value.strip())
        case "letter":
            return len(value) == 1
        case "language":
            return value in LANGUAGES
        case "relation":
            return value in RELATIONS
        case _:
            return False


def _in_range(value: int, kind: ArgumentKind) -> bool:
    return (kind == "count" and value >= 0) or (kind == "positive" and value >= 1)
