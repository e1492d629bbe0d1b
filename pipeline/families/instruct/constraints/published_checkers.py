"""The 25 checkers of the released scorer, including its errors.  They are frozen: fix ``corrected_checkers`` instead.

The rules are those of IFEval (Zhou et al. 2023).  Where the released checkers use random numbers (in the language
detector, and for the letter that replaces a character that is not a letter), these have a fixed seed, so a text always
gets the same result.  They also bound the work: where the released patterns take quadratic time, these work line by
line, and a keyword that is an expensive pattern is limited to one second.
"""

import json
import random
import re
from collections.abc import Callable, Mapping, Sequence

from muses_eval.pipeline.families.instruct.constraints.languages import detect_language
from muses_eval.pipeline.families.instruct.constraints.sentences import sentences, tokens

Checker = Callable[..., bool]
"""A function of the text and, as keyword arguments, the constraint's arguments."""

OPTIONS = ("My answer is yes.", "My answer is no.", "My answer is maybe.")

_PATTERN_SECONDS = 1.0
_PLAIN = re.compile(r"[^.^$*+?{}\[\]\\|()]*")
_WORD = re.compile(r"\w+")
_STAR_BULLET = re.compile(r"^[^\S\n]*\*[^*].*$", re.MULTILINE)
_DASH_BULLET = re.compile(r"^[^\S\n]*-.*$", re.MULTILINE)
_SINGLE_STARS = re.compile(r"\*([^\n*]*)\*")
_DOUBLE_STARS = re.compile(r"\*\*([^\n*]*)\*\*")
_DIVIDER = re.compile(r"\s?\*\*\*\s?")
_POSTSCRIPTS = {"P.P.S": re.compile(r"p\.\s?p\.\s?s"), "P.S.": re.compile(r"p\.\s?s\.")}


def passes(identifier: str, arguments: Mapping[str, object], text: str) -> bool:
    """Returns whether a text follows a constraint; False when the checker raises any exception."""
    try:
        return CHECKERS[identifier](text, **arguments)
    except Exception:  # noqa: BLE001 - as in the released scorer
        return False


def count_found(identifier: str, arguments: Mapping[str, object], text: str) -> int | None:
    """Returns what the checker of a constraint counts in a text; None when it counts nothing, or fails."""
    counter = COUNTERS.get(identifier)
    try:
        return None if counter is None else counter(text, arguments)
    except Exception:  # noqa: BLE001 - as in ``passes``
        return None


def capital_word_frequency(text: str, *, capital_relation: str, capital_frequency: int) -> bool:
    """Counts tokens in capitals: ``I`` and ``3D`` are such, and ``CAN'T`` is two."""
    return _holds(capital_relation, _capital_tokens(text), capital_frequency)


def english_capital(text: str) -> bool:
    """All letters are capitals, and the language is English or cannot be detected."""
    return text.isupper() and detect_language(text) in {None, "en"}


def english_lowercase(text: str) -> bool:
    """The text has letters, none is a capital, and the language is English or cannot be detected."""
    return text.islower() and detect_language(text) in {None, "en"}


def repeat_prompt(text: str, *, prompt_to_repeat: str) -> bool:
    """The text begins with the prompt, ignoring case."""
    if not prompt_to_repeat:
        raise ValueError("expected a prompt to repeat, got an empty text")
    return text.strip().lower().startswith(prompt_to_repeat.strip().lower())


def two_responses(text: str) -> bool:
    """Six asterisks separate two different texts; they may also be at the beginning and the end."""
    parts = text.split("******")
    if not all(part.strip() for part in parts[1:-1]):
        return False
    answers = [part.strip() for part in parts if part.strip()]
    return len(answers) == 2 and answers[0] != answers[1]


def number_placeholders(text: str, *, num_placeholders: int) -> bool:
    """Counts spans in square brackets, each within a line, including empty ones and links."""
    return _placeholders(text) >= num_placeholders


def postscript(text: str, *, postscript_marker: str) -> bool:
    """The text contains the marker, even inside a word; markers other than the two usual ones are patterns."""
    if usual := _POSTSCRIPTS.get(postscript_marker):
        return usual.search(text.lower()) is not None
    return _count(postscript_marker.lower(), text.lower()) > 0


def constrained_response(text: str) -> bool:
    """The text contains at least one of the three answers exactly."""
    return any(option in text for option in OPTIONS)


def json_format(text: str) -> bool:
    """The whole text, except one code fence, is any JSON value."""
    text = text.strip()
    for opener in ("```json", "```Json", "```JSON", "```"):
        text = text.removeprefix(opener)
    json.loads(text.removesuffix("```").strip())
    return True


def multiple_sections(text: str, *, section_spliter: str, num_sections: int) -> bool:
    """The section word, as a pattern, precedes a number at least *num_sections* times, anywhere."""
    return _sections(text, section_spliter) >= num_sections


def number_bullet_lists(text: str, *, num_bullets: int) -> bool:
    """Exactly *num_bullets* lines begin with one asterisk or with a hyphen, whatever follows."""
    return _bullets(text) == num_bullets


def number_highlighted_sections(text: str, *, num_highlights: int) -> bool:
    """Counts spans in single or double asterisks; a span in triple asterisks counts twice."""
    return _highlights(text) >= num_highlights


def title(text: str) -> bool:
    """A line has something other than angle brackets between ``<<`` and ``>>``."""
    for line in text.split("\n"):
        start, end = line.find("<<"), line.rfind(">>")
        if 0 <= start < end - 2 and line[start:end].lstrip("<").rstrip(">").strip():
            return True
    return False


def existence(text: str, *, keywords: Sequence[str]) -> bool:
    """Every keyword, as a pattern, is found, even inside a longer word, ignoring case."""
    return all(_count(keyword, text, re.IGNORECASE) for keyword in keywords)


def forbidden_words(text: str, *, forbidden_words: Sequence[str]) -> bool:
    """No forbidden word, as a pattern, is found as a whole word."""
    return not any(_count(word, text, re.IGNORECASE, r"\b", r"\b") for word in forbidden_words)


def frequency(text: str, *, relation: str, keyword: str, frequency: int) -> bool:
    """Counts the matches of the keyword as a pattern, inside longer words too."""
    return _holds(relation, _count(keyword, text, re.IGNORECASE), frequency)


def letter_frequency(text: str, *, let_relation: str, letter: str, let_frequency: int) -> bool:
    """Counts the letter, ignoring case; anything but a to z is replaced by a random letter."""
    wanted = letter.strip().lower()
    if not (len(wanted) == 1 and "a" <= wanted <= "z"):
        wanted = random.Random(f"{letter}:{text}").choice("abcdefghijklmnopqrstuvwxyz")
    return _holds(let_relation, text.lower().count(wanted), let_frequency)


def response_language(text: str, *, language: str) -> bool:
    """The most likely language is *language*; a text without letters passes."""
    return detect_language(text) in {None, language}


def nth_paragraph_first_word(text: str, *, first_word: str, num_paragraphs: int, nth_paragraph: int) -> bool:
    """Blank lines separate *num_paragraphs* paragraphs, and the n-th begins with the word, before punctuation."""
    parts = text.split("\n\n")
    number = sum(bool(part.strip()) for part in parts)
    if number != num_paragraphs or nth_paragraph > number:
        return False
    words = parts[nth_paragraph - 1].split()
    if not words:
        return False
    word = re.split(r"""[.,?!'"]""", words[0].lstrip("'").lstrip('"'), maxsplit=1)[0]
    return word.lower() == first_word.lower()


def number_paragraphs(text: str, *, num_paragraphs: int) -> bool:
    """``***`` separates exactly *num_paragraphs* parts; only the first and the last may be empty in addition."""
    parts = _DIVIDER.split(text)
    if not all(part.strip() for part in parts[1:-1]):
        return False
    return sum(bool(part.strip()) for part in parts) == num_paragraphs


def number_sentences(text: str, *, relation: str, num_sentences: int) -> bool:
    """Counts sentences; a line break does not end one."""
    return _holds(relation, len(sentences(text)), num_sentences)


def number_words(text: str, *, relation: str, num_words: int) -> bool:
    """Counts runs of letters, digits and underscores: ``don't`` is two."""
    return _holds(relation, len(_WORD.findall(text)), num_words)


def no_comma(text: str) -> bool:
    """The text has no ASCII comma."""
    return "," not in text


def end_checker(text: str, *, end_phrase: str) -> bool:
    """The text ends with the phrase, optionally followed by double quotes."""
    return text.strip().strip('"').lower().endswith(end_phrase.strip().lower())


def quotation(text: str) -> bool:
    """The text begins and ends with an ASCII double quote."""
    text = text.strip()
    return len(text) > 1 and text[0] == text[-1] == '"'


CHECKERS: Mapping[str, Checker] = {
    "change_case:capital_word_frequency": capital_word_frequency,
    "change_case:english_capital": english_capital,
    "change_case:english_lowercase": english_lowercase,
    "combination:repeat_prompt": repeat_prompt,
    "combination:two_responses": two_responses,
    "detectable_content:number_placeholders": number_placeholders,
    "detectable_content:postscript": postscript,
    "detectable_format:constrained_response": constrained_response,
    "detectable_format:json_format": json_format,
    "detectable_format:multiple_sections": multiple_sections,
    "detectable_format:number_bullet_lists": number_bullet_lists,
    "detectable_format:number_highlighted_sections": number_highlighted_sections,
    "detectable_format:title": title,
    "keywords:existence": existence,
    "keywords:forbidden_words": forbidden_words,
    "keywords:frequency": frequency,
    "keywords:letter_frequency": letter_frequency,
    "language:response_language": response_language,
    "length_constraints:nth_paragraph_first_word": nth_paragraph_first_word,
    "length_constraints:number_paragraphs": number_paragraphs,
    "length_constraints:number_sentences": number_sentences,
    "length_constraints:number_words": number_words,
    "punctuation:no_comma": no_comma,
    "startend:end_checker": end_checker,
    "startend:quotation": quotation,
}

COUNTERS: Mapping[str, Callable[[str, Mapping[str, object]], int]] = {
    "change_case:capital_word_frequency": lambda text, _: _capital_tokens(text),
    "detectable_content:number_placeholders": lambda text, _: _placeholders(text),
    "detectable_format:multiple_sections": lambda text, given: _sections(text, str(given["section_spliter"])),
    "detectable_format:number_bullet_lists": lambda text, _: _bullets(text),
    "detectable_format:number_highlighted_sections": lambda text, _: _highlights(text),
    "keywords:frequency": lambda text, given: _count(str(given["keyword"]), text, re.IGNORECASE),
    "length_constraints:number_sentences": lambda text, _: len(sentences(text)),
    "length_constraints:number_words": lambda text, _: len(_WORD.findall(text)),
    "punctuation:no_comma": lambda text, _: text.count(","),
}
"""Constraint id -> what its checker counts."""


def _capital_tokens(text: str) -> int:
    return sum(token.isupper() for token in tokens(text))


def _placeholders(text: str) -> int:
    return sum(_brackets(line) for line in text.split("\n"))


def _sections(text: str, word: str) -> int:
    return _count(word, text, after=r"\s?\d+")


def _bullets(text: str) -> int:
    return len(_STAR_BULLET.findall(text)) + len(_DASH_BULLET.findall(text))


def _highlights(text: str) -> int:
    spans = [*_SINGLE_STARS.findall(text), *_DOUBLE_STARS.findall(text)]
    return sum(bool(span.strip()) for span in spans)


def _holds(relation: str, count: int, bound: int) -> bool:
    match relation:
        case "at least":
            return count >= bound
        case "less than":
            return count < bound
        case _:
            raise ValueError(f"unknown relation {relation!r}; expected 'at least' or 'less than'")


def _count(word: str, text: str, flags: int = 0, before: str = "", after: str = "") -> int:
    """Counts the matches of a word as a pattern, with the patterns before and after it."""
    pattern = re.compile(before + word + after, flags)
    if _PLAIN.fullmatch(word):
        return sum(1 for _ in pattern.finditer(text))
    import regex  # unlike ``re``, it supports a timeout

    return sum(1 for _ in regex.finditer(pattern.pattern, text, flags=flags | regex.V0, timeout=_PATTERN_SECONDS))


def _brackets(line: str) -> int:
    """Counts the shortest spans from an opening to a closing bracket."""
    found, start = 0, line.find("[")
    while start >= 0 and (end := line.find("]", start)) >= 0:
        found += 1
        start = line.find("[", end)
    return found
