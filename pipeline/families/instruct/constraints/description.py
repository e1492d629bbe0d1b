"""Describes in words what a constraint asks for, and what a text that breaks it has instead."""

from collections.abc import Callable, Mapping

from muses_eval.pipeline.families.instruct.constraints.constraint import ARGUMENTS, Constraint
from muses_eval.pipeline.families.instruct.constraints.languages import detect_language

CountFound = Callable[[str, Mapping[str, object], str], int | None]
Passes = Callable[[str, Mapping[str, object], str], bool]
"""The functions ``count_found`` and ``passes`` of a module of checkers."""

_LONGEST = 300
"""Characters of a description."""
_END_CHARS = 60
"""Characters of the beginning or end of a text that are shown."""

_ASKED: Mapping[str, str] = {
    "change_case:capital_word_frequency": "{capital_relation} {capital_frequency} words in capitals",
    "change_case:english_capital": "English in capital letters alone",
    "change_case:english_lowercase": "English without capital letters",
    "combination:repeat_prompt": "begins with the request: {prompt_to_repeat}",
    "combination:two_responses": "two different answers, separated by six asterisks",
    "detectable_content:number_placeholders": "at least {num_placeholders} placeholders in square brackets",
    "detectable_content:postscript": "a postscript that begins with {postscript_marker}",
    "detectable_format:constrained_response": "“My answer is yes.”, “My answer is no.” or “My answer is maybe.”",
    "detectable_format:json_format": "JSON and nothing else",
    "detectable_format:multiple_sections": "at least {num_sections} sections with {section_spliter} and a number",
    "detectable_format:number_bullet_lists": "exactly {num_bullets} bullet points",
    "detectable_format:number_highlighted_sections": "at least {num_highlights} passages in asterisks",
    "detectable_format:title": "a title in double angle brackets",
    "keywords:existence": "all of these words: {keywords}",
    "keywords:forbidden_words": "none of these words: {forbidden_words}",
    "keywords:frequency": "{relation} {frequency} times the word {keyword}",
    "keywords:letter_frequency": "{let_relation} {let_frequency} times the letter {letter}",
    "language:response_language": "in the language {language} alone",
    "length_constraints:nth_paragraph_first_word": (
        "{num_paragraphs} paragraphs; paragraph {nth_paragraph} begins with {first_word}"
    ),
    "length_constraints:number_paragraphs": "exactly {num_paragraphs} paragraphs, separated by three asterisks",
    "length_constraints:number_sentences": "{relation} {num_sentences} sentences",
    "length_constraints:number_words": "{relation} {num_words} words",
    "punctuation:no_comma": "no comma",
    "startend:end_checker": "ends with: {end_phrase}",
    "startend:quotation": "in double quotation marks as a whole",
}
_LISTS = {"keywords:existence": "keywords", "keywords:forbidden_words": "forbidden_words"}
"""Constraint id -> its argument that lists words."""


def describe_constraint(constraint: Constraint) -> str:
    """Returns what a constraint asks for, in at most 300 characters; its id when an argument is missing."""
    arguments = constraint.kwargs
    if constraint.id not in _ASKED or arguments.keys() != ARGUMENTS[constraint.id].keys():
        return constraint.id
    shown = {name: ", ".join(value) if isinstance(value, tuple) else value for name, value in arguments.items()}
    return " ".join(_ASKED[constraint.id].format(**shown).split())[:_LONGEST]


def describe_failure(constraint: Constraint, text: str, passes: Passes, count_found: CountFound) -> str:
    """Returns the fact by which a text fails a constraint, where one says it; else an empty text.

    *passes*, *count_found*: of the checkers by which it fails.
    """
    if not text.strip():
        return "no answer"
    if constraint.id in _LISTS:
        return _failing_words(constraint, _LISTS[constraint.id], text, passes)
    count = count_found(constraint.id, constraint.kwargs, text)
    return _place(constraint, text) if count is None else str(count)


def _place(constraint: Constraint, text: str) -> str:
    """Returns the language, the beginning or the end of a text, if the constraint is on these."""
    match constraint.id:
        case "language:response_language":
            likely = detect_language(text)
            return "" if likely in (None, constraint.kwargs["language"]) else f"mostly {likely}"
        case "startend:end_checker":
            return f"ends with: {' '.join(text.split())[-_END_CHARS:]}"
        case "combination:repeat_prompt":
            return f"begins with: {' '.join(text.split())[:_END_CHARS]}"
        case _:
            return ""


def _failing_words(constraint: Constraint, argument: str, text: str, passes: Passes) -> str:
    """Returns the words of a list that are missing or forbidden, each by the same checker."""
    listed = constraint.kwargs[argument]
    words = listed if isinstance(listed, tuple) else ()
    failing = [word for word in words if not passes(constraint.id, {argument: (word,)}, text)]
    verb = "without" if constraint.id == "keywords:existence" else "has"
    return f"{verb}: {', '.join(failing)}"[:_LONGEST] if failing else ""
