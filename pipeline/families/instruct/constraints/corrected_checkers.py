"""The 25 checkers, with the decisions of a careful reader.

The kinds and their arguments are those of IFEval (Zhou et al. 2023).  Each docstring states the rule and, in
parentheses, what the released checker does instead.  In general: an empty answer follows no constraint; a word is a
whole word and never a pattern; formatting that a reader would not notice has no effect; a text always gets the same
result.  The work is linear in the length of the text.
"""

import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache

from muses_eval.pipeline.families.instruct.constraints.languages import likely_languages
from muses_eval.pipeline.families.instruct.constraints.published_checkers import OPTIONS
from muses_eval.pipeline.families.instruct.constraints.sentences import sentences

Checker = Callable[..., bool]
"""A function of a text that is not blank and, as keyword arguments, the constraint's arguments."""

_COMMAS = re.compile("[,\u060c\u3001\uff0c]")
_STRAIGHT = str.maketrans({"\u2018": "'", "\u2019": "'", "\u201c": '"', "\u201d": '"'})
_OPENING, _CLOSING = " \t\r\n\"'*_`>#", ' \t\r\n"*_`'
_QUOTES = ('""', "\u201c\u201d")
_OPENING_FENCE = re.compile(r"\A```\w*")
_BLANK_LINES = re.compile(r"\n[^\S\n]*\n")
_NAME = re.compile(r"[^\W_]+(?:['-][^\W_]+)*")
_BULLET = re.compile(r"^[^\S\n]*(?:[-*+\u2022][^\S\n][^\w\n]*\w|[-\u2022][^\W\d]|\*[^\W\d][^*\n]*$)", re.MULTILINE)
_HIGHLIGHT = re.compile(r"(?<![0-9A-Za-z_*])(\*{1,3})(?![\s*])[^*\n]*[^\s*]\1(?![0-9A-Za-z_*])")
_STRONG_EMPHASIS = re.compile(r"(?<![0-9A-Za-z_*])\*{3}(?![\s*])([^*\n.!?]*[^\s*.!?])\*{3}(?![0-9A-Za-z_*])")
_DIVIDER = re.compile(r"\*{3,}")
_SIX_STARS = re.compile(r"(?<!\*)\*{6}(?!\*)")
_PLACEHOLDER = re.compile(r"\[([^\[\]\n]+)\](?!\()")
_TITLE = re.compile(r"<<([^<>\n]+)>>")


def passes(identifier: str, arguments: Mapping[str, object], text: str) -> bool:
    """Returns whether a text follows a constraint.  *arguments*: :attr:`.constraint.Constraint.kwargs`."""
    return bool(text.strip()) and CHECKERS[identifier](text, **arguments)


def capital_word_frequency(text: str, *, capital_relation: str, capital_frequency: int) -> bool:
    """Counts words in capitals: ``CAN'T`` is one (released: two); ``I`` and ``A`` are not counted."""
    capital = sum(len(word) > 1 and word.isupper() for word in map(_bare, _words(text)))
    return _holds(capital_relation, capital, capital_frequency)


def english_capital(text: str) -> bool:
    """The text has no lower-case letter, and is English when lower-cased (the detector skips words in capitals)."""
    return text.isupper() and "en" in likely_languages(text.lower())


def english_lowercase(text: str) -> bool:
    """The text has no capital letter, and is English."""
    return text.islower() and "en" in likely_languages(text)


def repeat_prompt(text: str, *, prompt_to_repeat: str) -> bool:
    """The text begins with the prompt, word for word; quotes or emphasis around it and white space are ignored."""
    return _plain(text).lstrip(_OPENING).startswith(_plain(prompt_to_repeat).strip(_OPENING))


def two_responses(text: str) -> bool:
    """Exactly six asterisks (released: or more) separate two texts that differ in more than case and spacing."""
    answers = [_plain(part) for part in _SIX_STARS.split(text) if part.strip()]
    return len(answers) == 2 and answers[0] != answers[1]


def number_placeholders(text: str, *, num_placeholders: int) -> bool:
    """Counts words in square brackets (released: also ``[]`` and links)."""
    found = sum(any(map(str.isalnum, inside)) for inside in _PLACEHOLDER.findall(text))
    return found >= num_placeholders


def postscript(text: str, *, postscript_marker: str) -> bool:
    """The text has the marker as a separate word, followed by text; "map. S. Korea" does not (released: does)."""
    return _postscript(postscript_marker).search(text) is not None


def constrained_response(text: str) -> bool:
    """The text has exactly one of the three answers, ignoring case and spacing (released: one or more, exactly)."""
    plain = _plain(text)
    return sum(option.lower() in plain for option in OPTIONS) == 1


def json_format(text: str) -> bool:
    """The text is a JSON object or array, except one code fence (released: any JSON value, such as ``12``)."""
    text = text.strip()
    if _OPENING_FENCE.match(text):
        text = _OPENING_FENCE.sub("", text).removesuffix("```")
    try:
        return isinstance(json.loads(text, strict=False), (dict, list))
    except (ValueError, RecursionError):
        return False


def multiple_sections(text: str, *, section_spliter: str, num_sections: int) -> bool:
    """Counts lines that begin with the section word and a new number (released: any occurrence counts)."""
    return len({number.lower() for number in _section(section_spliter).findall(text)}) >= num_sections


def number_bullet_lists(text: str, *, num_bullets: int) -> bool:
    """Counts list items; ``---`` and ``-5`` are not list items (released: are)."""
    return len(_BULLET.findall(text)) == num_bullets


def number_highlighted_sections(text: str, *, num_highlights: int) -> bool:
    """Counts spans emphasised by one to three asterisks (released: ``2*3*4`` is one span, ``***x***`` two)."""
    return len(_HIGHLIGHT.findall(text)) >= num_highlights


def title(text: str) -> bool:
    """The text has a title in double angle brackets on one line."""
    return any(inside.strip() for inside in _TITLE.findall(text))


def existence(text: str, *, keywords: Sequence[str]) -> bool:
    """The text has every keyword as a whole word (released: ``rate`` is found in ``separate``)."""
    return all(_whole(keyword).search(text) for keyword in keywords)


def forbidden_words(text: str, *, forbidden_words: Sequence[str]) -> bool:
    """The text has no forbidden word as a whole word."""
    return not any(_whole(word).search(text) for word in forbidden_words)


def frequency(text: str, *, relation: str, keyword: str, frequency: int) -> bool:
    """Counts the keyword as a whole word."""
    return _holds(relation, _number(_whole(keyword).finditer(text)), frequency)


def letter_frequency(text: str, *, let_relation: str, letter: str, let_frequency: int) -> bool:
    """Counts the character, ignoring case; ``!`` is counted itself (released: a random letter instead)."""
    return _holds(let_relation, text.lower().count(letter.lower()), let_frequency)


def response_language(text: str, *, language: str) -> bool:
    """The language is a likely one; a text without letters fails (released: passes)."""
    return language in likely_languages(text)


def nth_paragraph_first_word(text: str, *, first_word: str, num_paragraphs: int, nth_paragraph: int) -> bool:
    """Blank lines separate paragraphs; punctuation and emphasis are not part of a word (``**It**``, ``it:``)."""
    paragraphs = [part for part in _BLANK_LINES.split(text.translate(_STRAIGHT)) if part.strip()]
    if len(paragraphs) != num_paragraphs or nth_paragraph > num_paragraphs:
        return False
    first = _NAME.search(paragraphs[nth_paragraph - 1])
    return first is not None and first.group().casefold() == first_word.casefold()


def number_paragraphs(text: str, *, num_paragraphs: int) -> bool:
    """Three or more asterisks that are not emphasis separate exactly *num_paragraphs* parts that are not blank."""
    parts = _DIVIDER.split(_STRONG_EMPHASIS.sub(r"\1", text))
    return sum(bool(part.strip()) for part in parts) == num_paragraphs


def number_sentences(text: str, *, relation: str, num_sentences: int) -> bool:
    """Counts sentences; a blank line ends a sentence too, and a sentence has at least one letter or digit."""
    found = (sentence for part in _BLANK_LINES.split(text) for sentence in sentences(part))
    return _holds(relation, sum(any(map(str.isalnum, sentence)) for sentence in found), num_sentences)


def number_words(text: str, *, relation: str, num_words: int) -> bool:
    """Counts words between spaces: ``don't`` and ``3.14`` are one word each (released: two)."""
    return _holds(relation, _number(_words(text)), num_words)


def no_comma(text: str) -> bool:
    """The text has no comma of any script (released: Arabic and full-width commas are allowed)."""
    return _COMMAS.search(text) is None


def end_checker(text: str, *, end_phrase: str) -> bool:
    """The text ends with the phrase, optionally followed by quotes and emphasis."""
    return _plain(text).rstrip(_CLOSING).endswith(_plain(end_phrase).rstrip(_CLOSING))


def quotation(text: str) -> bool:
    """The text is enclosed in double quotes, straight or curly, and not empty."""
    text = text.strip()
    return len(text) > 2 and text[0] + text[-1] in _QUOTES


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


def _holds(relation: str, count: int, bound: int) -> bool:
    return count >= bound if relation == "at least" else count < bound


def _number(found: Iterator[object]) -> int:
    return sum(1 for _ in found)


def _words(text: str) -> Iterator[str]:
    """Yields the parts between spaces that have a letter or a digit."""
    return (word for word in text.split() if any(map(str.isalnum, word)))


def _bare(word: str) -> str:
    """Returns a word without surrounding punctuation and a possessive s."""
    start, end = 0, len(word)
    while not word[start].isalnum():
        start += 1
    while not word[end - 1].isalnum():
        end -= 1
    return word[start:end].removesuffix("'s").removesuffix("\u2019s")


def _plain(text: str) -> str:
    """Returns a text with single spaces, straight quotes and lower-case letters."""
    return " ".join(text.translate(_STRAIGHT).lower().split())


def _literal(words: str) -> str:
    """Returns a pattern for these words with any white space between them."""
    return r"\s+".join(map(re.escape, words.split()))


@lru_cache(maxsize=4096)
def _whole(word: str) -> re.Pattern[str]:
    """Returns a pattern for a word (or several) that is not part of a longer one, ignoring case."""
    return re.compile(rf"(?<!\w){_literal(word)}(?!\w)", re.IGNORECASE)


@lru_cache(maxsize=64)
def _postscript(marker: str) -> re.Pattern[str]:
    """Returns a pattern for the marker's letters with full stops, the last one optional, and optional spaces."""
    letters = r"\.\s?".join(map(re.escape, marker.replace(".", " ").split()))
    return re.compile(rf"(?<![\w.]){letters}(?!\w)\W*\w", re.IGNORECASE)


@lru_cache(maxsize=256)
def _section(word: str) -> re.Pattern[str]:
    """Returns a pattern for a line that begins with the word and an Arabic or Roman number, in any formatting."""
    return re.compile(rf"^[^\w\n]*{_literal(word)}[^\w\n]*(\d+|[ivxlc]+\b)", re.IGNORECASE | re.MULTILINE)
