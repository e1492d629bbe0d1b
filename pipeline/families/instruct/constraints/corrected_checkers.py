"""The 25 checkers, with the decisions of a careful reader.

The kinds and their arguments are those of IFEval (Zhou et al. 2023).  Each docstring states the rule and, in
parentheses, what the released checker does instead.  In general: an empty answer follows no constraint; a word is a
whole word and never a pattern; formatting that a reader would not notice has no effect; a text always gets the same
result.  The work is linear in the length of the text.
"""

import json
import re
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from functools import cache, lru_cache

from muses_eval.pipeline.families.instruct.constraints.common_words import common_words
from muses_eval.pipeline.families.instruct.constraints.list_items import LIST_MARK, bullets
from muses_eval.pipeline.families.instruct.constraints.plain_sentences import count_sentences
from muses_eval.pipeline.families.instruct.constraints.quotation_marks import is_quoted
from muses_eval.pipeline.families.instruct.constraints.visible_text import (
    folded,
    lines_made_equal,
    paragraphs,
    squeezed,
    unescaped,
    unfenced,
    visible,
    without_code,
)
from muses_eval.pipeline.families.instruct.constraints.words import (
    count_words,
    has_boundary,
    occurrences,
    words,
)
from muses_eval.pipeline.families.instruct.constraints.written_language import is_written_in

Checker = Callable[..., bool]
"""A function of a text that is not blank and, as keyword arguments, the constraint's arguments."""

_COMMAS = re.compile(
    "[,\u055d\u060c\u07f8\u1363\u1802\u1808\u2e32\u2e34\u2e41\u2e49\u2e4c\u3001\ua4fe\ua60d\ua6f5\ufe10\ufe11\ufe50\ufe51\uff0c\uff64]"
)
_POSSESSIVE = ("'s", "\u2019s", "'S", "\u2019S")
_AROUND_PROMPT = " \t\"'-*:>#()[]"
_AFTER_END = " \t\"')]}>*_`~|\u300d\u300f\u201c\u203a\u2039\u3011\uff09\u2069"
_FULL_STOPS = ".!?\u3002\uff01\uff1f\u0964\u061f\u06d4"
_NAMED_FENCE = re.compile(r"^[^\S\n]*(`{3,}|~{3,})[^\n`]*$", re.MULTILINE)
_INLINE_CODE = re.compile(r"(?<!`)(`{1,2})(?!`)[^`\n]*\1(?!`)")
_ANSWER = re.compile(
    r"(?<!\w)my answer is:? \W{0,4}(yes|no|maybe)(?=[\W_]{0,8}\Z|[\"'*_)\]]{0,4}[.!?]|[\"'*_)\]]{0,4}\n)"
)
_AFTER_MARKER = r"\s.,:;)\]*_>\"'\u2013\u2014-"
_HIGHLIGHT = re.compile(
    r"(?<![0-9A-Za-z\u00c0-\u024f_*\\])(\*{1,3})(?![\s*])(?:[^*\n]|\n(?!\s*\n|\s*[*\u2022-]\s))*(?<=[^\s*\\])\1"
    r"(?![0-9A-Za-z\u00c0-\u024f_*])"
)
_STRONG_EMPHASIS = re.compile(r"(?<![0-9A-Za-z_*])\*{3}(?![\s*])([^*\n.!?]*[^\s*.!?])\*{3}(?![0-9A-Za-z_*])")
_DIVIDER = re.compile(r"\*{3,}")
_DIVIDER_LINE = re.compile(r"^[^\S\n]*\*(?:[^\S\n]*\*){2,}[^\S\n]*$", re.MULTILINE)
_SIX_STARS = re.compile(r"(?<!\*)\*{6}(?!\*)")
_STARS = str.maketrans("\uff0a\u2217", "**")
_PLACEHOLDER = re.compile(
    r"(?P<before>[A-Za-z0-9_\])]?)\[(?P<inside>[^\[\]]{1,200})\](?!\(|:[^\S\n]*(?:https?:|www\.|[</#]))", re.DOTALL
)
_NOT_A_PLACEHOLDER = re.compile(r"\s*(?:[xX]|[\^@].*|[\"'{].*|.*\n\s*\n.*|\W*\d[\d\W]*|sic|\W*)\s*", re.DOTALL)
_BRACKETS = str.maketrans("\uff3b\uff3d", "[]")
_TITLE = re.compile(r"<<(?!<)([^<>]{1,300})>>")
_BEFORE_TITLE = ":.!?)-\u2013\u2014"
_BLANK_LINE = re.compile(r"\n\s*\n")
_ANGLES = str.maketrans("\uff1c\uff1e", "<>")


def passes(identifier: str, arguments: Mapping[str, object], text: str) -> bool:
    """Returns whether a text follows a constraint.  *arguments*: :attr:`.constraint.Constraint.kwargs`."""
    return bool(text.strip()) and CHECKERS[identifier](text, **arguments)


def count_found(identifier: str, arguments: Mapping[str, object], text: str) -> int | None:
    """Returns what the checker of a constraint counts in a text; None when it counts nothing."""
    counter = COUNTERS.get(identifier)
    return None if counter is None else counter(text, arguments)


def capital_word_frequency(text: str, *, capital_relation: str, capital_frequency: int) -> bool:
    """Counts words of two or more letters, all capital: ``CAN'T`` is one (released: two), ``I`` and ``3D`` are none."""
    return _holds(capital_relation, _capital_words(text), capital_frequency)


def english_capital(text: str) -> bool:
    """The text has no lower-case letter, and is English when lower-cased (the detector skips words in capitals)."""
    shown = _shown(text)
    return shown.isupper() and is_written_in(shown.lower(), "en")


def english_lowercase(text: str) -> bool:
    """The text has no capital letter, and is English."""
    shown = _shown(text)
    return shown.islower() and is_written_in(shown, "en")


def repeat_prompt(text: str, *, prompt_to_repeat: str) -> bool:
    """The text begins with the prompt, word for word; quotes or emphasis around it and white space are ignored."""
    answer = squeezed(unfenced(text)).lstrip(_AROUND_PROMPT)
    prompt = squeezed(prompt_to_repeat).strip(_AROUND_PROMPT)
    return answer.startswith(prompt) and not (prompt[-1:].isalnum() and answer[len(prompt) :][:1].isalnum())


def two_responses(text: str) -> bool:
    """Exactly six asterisks (released: or more) separate two texts that differ in more than case and spacing."""
    parts = _SIX_STARS.split(unescaped(text).translate(_STARS))
    answers = [squeezed(part) for part in parts if part.strip(" \t\r\n`~")]
    return len(answers) == 2 and answers[0] != answers[1]


def number_placeholders(text: str, *, num_placeholders: int) -> bool:
    """Counts words in square brackets (released: also ``[]``, links, ``[1]`` and ``array[0]``)."""
    return _placeholders(text) >= num_placeholders


def postscript(text: str, *, postscript_marker: str) -> bool:
    """The text has the marker, perhaps without full stops, and then text; "map. S. Korea" does not (released: does)."""
    return _postscript(postscript_marker).search(unicodedata.normalize("NFKC", visible(text))) is not None


def constrained_response(text: str) -> bool:
    """The text has exactly one of the three answers as a sentence, ignoring case (released: one or more, exactly)."""
    answers = {found.group(1) for found in _ANSWER.finditer(_spaced(folded(text)))}
    return len(answers) == 1


def json_format(text: str) -> bool:
    """The text is a JSON object or array, except one code fence (released: any JSON value, such as ``12``)."""
    text = unfenced(text)
    if _INLINE_CODE.fullmatch(text):
        text = text.strip("`")
    try:
        return isinstance(json.loads(text, strict=False, parse_int=str, parse_constant=_refuse), (dict, list))
    except (ValueError, RecursionError):
        return False


def multiple_sections(text: str, *, section_spliter: str, num_sections: int) -> bool:
    """Counts sections that begin with the word and a new number or letter (released: any occurrence counts).

    A section begins a line, or follows a sentence on the same line and has a colon.  The number may be a Roman numeral,
    a letter or a word (``Section Two``).
    """
    return _sections(text, section_spliter) >= num_sections


def number_bullet_lists(text: str, *, num_bullets: int) -> bool:
    """Counts list items with any bullet; ``---`` and ``-5`` are not list items (released: are)."""
    return bullets(text) == num_bullets


def number_highlighted_sections(text: str, *, num_highlights: int) -> bool:
    """Counts spans emphasised by one to three asterisks (released: ``2*3*4`` is one span, ``***x***`` two)."""
    return _highlights(text) >= num_highlights


def title(text: str) -> bool:
    """The text has a title in double angle brackets, which are not shift operators (released: may be)."""
    text = unescaped(lines_made_equal(text)).translate(_ANGLES)
    return any(_is_title(text, found) for found in _TITLE.finditer(text))


def existence(text: str, *, keywords: Sequence[str]) -> bool:
    """The text has every keyword as a whole word (released: ``rate`` is found in ``separate``)."""
    return all(occurrences(keyword, text) for keyword in keywords)


def forbidden_words(text: str, *, forbidden_words: Sequence[str]) -> bool:
    """The text has no forbidden word as a whole word; ``can't`` is not ``can`` (released: is)."""
    return not any(occurrences(word, text) for word in forbidden_words)


def frequency(text: str, *, relation: str, keyword: str, frequency: int) -> bool:
    """Counts the keyword as a whole word."""
    return _holds(relation, occurrences(keyword, text), frequency)


def letter_frequency(text: str, *, let_relation: str, letter: str, let_frequency: int) -> bool:
    """Counts the character, ignoring case; ``!`` is counted itself (released: a random letter instead)."""
    wanted = unicodedata.normalize("NFC", letter).lower()
    return _holds(let_relation, unicodedata.normalize("NFC", text).lower().count(wanted), let_frequency)


def response_language(text: str, *, language: str) -> bool:
    """The text is in the language, but names and terms; a text without letters fails (released: passes)."""
    return is_written_in(text, language)


def nth_paragraph_first_word(text: str, *, first_word: str, num_paragraphs: int, nth_paragraph: int) -> bool:
    """Blank lines separate paragraphs; punctuation and emphasis are not part of a word (``**It**``, ``it:``)."""
    parts = paragraphs(unfenced(text))
    if len(parts) != num_paragraphs or nth_paragraph > num_paragraphs:
        return False
    part = parts[nth_paragraph - 1]
    if mark := LIST_MARK.match(part):
        part = part[mark.end() :]
    wanted = folded(first_word).strip()
    if wanted and not has_boundary(wanted[-1]):
        return folded(part).lstrip(" \t\n#>\"'([{").startswith(wanted)
    first = next(words(part), None)
    return first is not None and folded(first).strip() == wanted


def number_paragraphs(text: str, *, num_paragraphs: int) -> bool:
    """Three or more asterisks that are not emphasis separate exactly *num_paragraphs* parts that are not blank."""
    return _parts(text) == num_paragraphs


def number_sentences(text: str, *, relation: str, num_sentences: int) -> bool:
    """Counts sentences of any script; headings and list items without a mark count only towards a minimum.

    The released checker knows English only, and counts no list items.
    """
    return _holds(relation, _sentences(text, relation), num_sentences)


def number_words(text: str, *, relation: str, num_words: int) -> bool:
    """Counts words of any script: ``don't`` and ``3.14`` are one word each (released: two)."""
    return _holds(relation, _words(text, relation), num_words)


def no_comma(text: str) -> bool:
    """The text has no comma of any script (released: only ASCII commas count)."""
    return _COMMAS.search(text) is None


def end_checker(text: str, *, end_phrase: str) -> bool:
    """The text ends with the phrase as whole words, optionally followed by quotes, brackets, emphasis and emoji."""
    phrase = squeezed(end_phrase).rstrip(_AFTER_END)
    answer = _without_symbols(squeezed(_without_last_fence(text)))
    if phrase[-1:].isalnum():
        answer = answer.rstrip(_AFTER_END + _FULL_STOPS)
    if not answer.endswith(phrase):
        return False
    before = answer[: len(answer) - len(phrase)][-1:]
    return not (before.isalnum() and phrase[:1].isalnum() and has_boundary(phrase[0]))


def quotation(text: str) -> bool:
    """Double quotation marks of any language enclose the text, which is not empty (released: ASCII marks only)."""
    return is_quoted(text)


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
    "change_case:capital_word_frequency": lambda text, _: _capital_words(text),
    "detectable_content:number_placeholders": lambda text, _: _placeholders(text),
    "detectable_format:multiple_sections": lambda text, given: _sections(text, str(given["section_spliter"])),
    "detectable_format:number_bullet_lists": lambda text, _: bullets(text),
    "detectable_format:number_highlighted_sections": lambda text, _: _highlights(text),
    "keywords:frequency": lambda text, given: occurrences(str(given["keyword"]), text),
    "length_constraints:number_paragraphs": lambda text, _: _parts(text),
    "length_constraints:number_sentences": lambda text, given: _sentences(text, given["relation"]),
    "length_constraints:number_words": lambda text, given: _words(text, given["relation"]),
    "punctuation:no_comma": lambda text, _: len(_COMMAS.findall(text)),
}
"""Constraint id -> what its checker counts."""


def _capital_words(text: str) -> int:
    return sum(map(_in_capitals, words(text)))


def _placeholders(text: str) -> int:
    found = _PLACEHOLDER.finditer(unescaped(text).translate(_BRACKETS))
    return sum(
        not placeholder["before"] and _NOT_A_PLACEHOLDER.fullmatch(placeholder["inside"]) is None
        for placeholder in found
    )


def _sections(text: str, word: str) -> int:
    labels: set[str] = {
        (found["line"] or found["inline"]).casefold() for found in _section(word).finditer(visible(text))
    }
    numbers = sum(label.isdecimal() for label in labels)
    return max(numbers, len(labels) - numbers)


def _highlights(text: str) -> int:
    prose = _INLINE_CODE.sub("", without_code(text))
    return sum(1 for _ in _HIGHLIGHT.finditer(prose))


def _parts(text: str) -> int:
    """Returns the number of parts that dividers of asterisks separate."""
    text = unescaped(lines_made_equal(text)).translate(_STARS)
    if _DIVIDER_LINE.search(text):
        parts = _DIVIDER_LINE.split(text)
    else:
        parts = _DIVIDER.split(_STRONG_EMPHASIS.sub(r"\1", text))
    return sum(bool(part.strip()) for part in parts)


def _sentences(text: str, relation: object) -> int:
    found = count_sentences(text)
    return found.most if relation == "at least" else found.fewest


def _words(text: str, relation: object) -> int:
    found = count_words(text)
    return found.most if relation == "at least" else found.fewest


def _holds(relation: str, count: int, bound: int) -> bool:
    return count >= bound if relation == "at least" else count < bound


def _in_capitals(word: str) -> bool:
    """Returns whether a word has two or more letters, all of them capital; a possessive s may be small."""
    word = word.removesuffix("'s").removesuffix("\u2019s")
    return word.isupper() and sum(map(str.isalpha, word)) > 1


def _shown(text: str) -> str:
    """Returns a text without the names of languages at code fences, and with entities resolved."""
    return unescaped(_NAMED_FENCE.sub("", lines_made_equal(text)))


def _spaced(text: str) -> str:
    """Returns a text with single spaces, which keeps its lines."""
    return "\n".join(" ".join(line.split()) for line in text.split("\n"))


def _refuse(constant: str) -> object:
    raise ValueError(f"{constant} is not JSON")


def _is_title(text: str, found: re.Match[str]) -> bool:
    """Returns whether double angle brackets enclose a title: not ``a << b >> c``."""
    inside = found.group(1)
    if not any(map(str.isalnum, inside)) or _BLANK_LINE.search(inside.strip()):
        return False
    before = text[text.rfind("\n", 0, found.start()) + 1 : found.start()]
    if before[-1:].isalnum():
        return False
    last = before.rstrip(" \t*_#`\"'")[-1:]
    return not inside[0].isspace() or inside[0] == "\n" or last in _BEFORE_TITLE


def _without_last_fence(text: str) -> str:
    return unfenced(text).rstrip("`~ \t\n")


def _without_symbols(text: str) -> str:
    """Returns a text without closing marks and emoji at its end."""
    end = len(text)
    while end and (text[end - 1] in _AFTER_END or unicodedata.category(text[end - 1]) in {"So", "Sk", "Mn", "Cf"}):
        end -= 1
    return text[:end]


@lru_cache(maxsize=64)
def _postscript(marker: str) -> re.Pattern[str]:
    """Returns a pattern for the marker's letters with optional full stops and spaces, and text after it.

    Without full stops (``PS``) it begins a line or a sentence.
    """
    letters = [re.escape(letter) for letter in marker.replace(".", " ").split()]
    spaced = r"\.\s?".join(letters)
    dotted = rf"(?<![\w.]){spaced}(?!\w)(?:\.|(?=\W*\w))"
    joined = rf"(?:^|(?<=[.!?] )|(?<=[.!?]\n))[^\w\n]*{''.join(letters)}(?!\w)"
    return re.compile(rf"(?:{dotted}|{joined})[{_AFTER_MARKER}]*[^{_AFTER_MARKER}]", re.IGNORECASE | re.MULTILINE)


@lru_cache(maxsize=256)
def _section(word: str) -> re.Pattern[str]:
    """Returns a pattern for the beginning of a section: the word and a number, in any formatting."""
    literal = r"\s+".join(map(re.escape, word.split()))
    letters = r"(?:[ivxlc]{1,7}|[a-z])(?![\w'])(?![^\S\n]+(?-i:[a-z]))"
    number = rf"(?:\d+|[\u2160-\u217f\u2460-\u2473]+|(?:{_numerals()})(?!\w)|{letters})"
    listed = r"[^\w\n]*(?:(?:\d{1,3}|[ivxlc]{1,5}|[a-z])[.)][^\w\n]*)?"
    return re.compile(
        rf"^{listed}{literal}(?:(?!\w)|(?=\d))[^\w\n]*(?P<line>{number})"
        rf"|(?<=[.!?][^\S\n]){literal}[^\S\n]+(?P<inline>{number})[^\S\n]*:",
        re.IGNORECASE | re.MULTILINE,
    )


@cache
def _numerals() -> str:
    return "|".join(common_words().numerals.words)
