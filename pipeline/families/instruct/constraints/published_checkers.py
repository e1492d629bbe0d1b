"""The 25 checkers as the released scorer has them, quirks included.  A frozen record: mend ``corrected``, not this.

The rules are those of IFEval (Zhou et al. 2023).  They differ from the released ones where those throw dice: the
language detector and the letter that stands in for a character that is no letter are drawn with a seed, so a text
always gets the same verdict.  They also bound the work: what the released patterns do in quadratic time is done line
by line here, and a keyword that is itself a costly pattern gets a second.
"""

import json
import random
import re
from collections.abc import Callable, Mapping, Sequence

from muses_eval.pipeline.families.instruct.constraints.languages import detect_language
from muses_eval.pipeline.families.instruct.constraints.sentences import sentences, tokens

Checker = Callable[..., bool]
"""Takes the text and, by name, the constraint's arguments."""

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
    """The verdict on one text; a check that fails to run, for whatever reason, is a constraint not followed."""
    try:
        return CHECKERS[identifier](text, **arguments)
    except Exception:  # noqa: BLE001 - that is what the released scorer does
        return False


def capital_word_frequency(text: str, *, capital_relation: str, capital_frequency: int) -> bool:
    """Enough, or few enough, tokens in capitals: ``I`` and ``3D`` are such, and ``CAN'T`` is two of them."""
    return _holds(capital_relation, sum(token.isupper() for token in tokens(text)), capital_frequency)


def english_capital(text: str) -> bool:
    """All letters are capitals, and the language is English or cannot be detected."""
    return text.isupper() and detect_language(text) in {None, "en"}


def english_lowercase(text: str) -> bool:
    """No letter is a capital, there is a letter, and the language is English or cannot be detected."""
    return text.islower() and detect_language(text) in {None, "en"}


def repeat_prompt(text: str, *, prompt_to_repeat: str) -> bool:
    """The text begins with the prompt, whatever the case of the letters."""
    if not prompt_to_repeat:
        raise ValueError("there is no prompt to repeat")
    return text.strip().lower().startswith(prompt_to_repeat.strip().lower())


def two_responses(text: str) -> bool:
    """Six asterisks part two texts that are not the same; they may stand at either end as well."""
    parts = text.split("******")
    if not all(part.strip() for part in parts[1:-1]):
        return False
    answers = [part.strip() for part in parts if part.strip()]
    return len(answers) == 2 and answers[0] != answers[1]


def number_placeholders(text: str, *, num_placeholders: int) -> bool:
    """At least so many spans in square brackets, each within a line; empty ones and links count."""
    return sum(_brackets(line) for line in text.split("\n")) >= num_placeholders


def postscript(text: str, *, postscript_marker: str) -> bool:
    """The marker stands somewhere, even inside a word; other markers than the two usual ones are patterns."""
    if usual := _POSTSCRIPTS.get(postscript_marker):
        return usual.search(text.lower()) is not None
    return _count(postscript_marker.lower(), text.lower()) > 0


def constrained_response(text: str) -> bool:
    """One of the three answers occurs to the letter; several may."""
    return any(option in text for option in OPTIONS)


def json_format(text: str) -> bool:
    """The whole text, but for one code fence, is a JSON value of any kind."""
    text = text.strip()
    for opener in ("```json", "```Json", "```JSON", "```"):
        text = text.removeprefix(opener)
    json.loads(text.removesuffix("```").strip())
    return True


def multiple_sections(text: str, *, section_spliter: str, num_sections: int) -> bool:
    """The section word, taken as a pattern, stands before a number at least so often, anywhere."""
    return _count(section_spliter, text, after=r"\s?\d+") >= num_sections


def number_bullet_lists(text: str, *, num_bullets: int) -> bool:
    """Exactly so many lines begin with one asterisk or with a hyphen, whatever follows."""
    return len(_STAR_BULLET.findall(text)) + len(_DASH_BULLET.findall(text)) == num_bullets


def number_highlighted_sections(text: str, *, num_highlights: int) -> bool:
    """At least so many spans between single or double asterisks; a span between three counts as two."""
    spans = [*_SINGLE_STARS.findall(text), *_DOUBLE_STARS.findall(text)]
    return sum(bool(span.strip()) for span in spans) >= num_highlights


def title(text: str) -> bool:
    """A line has something other than angle brackets between ``<<`` and ``>>``."""
    for line in text.split("\n"):
        start, end = line.find("<<"), line.rfind(">>")
        if 0 <= start < end - 2 and line[start:end].lstrip("<").rstrip(">").strip():
            return True
    return False


def existence(text: str, *, keywords: Sequence[str]) -> bool:
    """Every keyword, taken as a pattern, is found, even inside a longer word and whatever the case."""
    return all(_count(keyword, text, re.IGNORECASE) for keyword in keywords)


def forbidden_words(text: str, *, forbidden_words: Sequence[str]) -> bool:
    """No forbidden word, taken as a pattern, is found as a word of its own."""
    return not any(_count(word, text, re.IGNORECASE, r"\b", r"\b") for word in forbidden_words)


def frequency(text: str, *, relation: str, keyword: str, frequency: int) -> bool:
    """The keyword, taken as a pattern, is found so often, in longer words too."""
    return _holds(relation, _count(keyword, text, re.IGNORECASE), frequency)


def letter_frequency(text: str, *, let_relation: str, letter: str, let_frequency: int) -> bool:
    """The letter occurs so often, small or capital; anything but a to z is replaced by a random letter."""
    wanted = letter.strip().lower()
    if not (len(wanted) == 1 and "a" <= wanted <= "z"):
        wanted = random.Random(f"{letter}:{text}").choice("abcdefghijklmnopqrstuvwxyz")
    return _holds(let_relation, text.lower().count(wanted), let_frequency)


def response_language(text: str, *, language: str) -> bool:
    """The likeliest language is this one; a text without letters passes."""
    return detect_language(text) in {None, language}


def nth_paragraph_first_word(text: str, *, first_word: str, num_paragraphs: int, nth_paragraph: int) -> bool:
    """Exactly so many paragraphs at blank lines, and the n-th begins with the word, up to its first punctuation."""
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
    """Exactly so many parts between ``***``; an empty one is forgiven at either end only."""
    parts = _DIVIDER.split(text)
    if not all(part.strip() for part in parts[1:-1]):
        return False
    return sum(bool(part.strip()) for part in parts) == num_paragraphs


def number_sentences(text: str, *, relation: str, num_sentences: int) -> bool:
    """So many sentences; a line break ends none."""
    return _holds(relation, len(sentences(text)), num_sentences)


def number_words(text: str, *, relation: str, num_words: int) -> bool:
    """So many runs of letters, digits and underscores: ``don't`` is two."""
    return _holds(relation, len(_WORD.findall(text)), num_words)


def no_comma(text: str) -> bool:
    """No ASCII comma."""
    return "," not in text


def end_checker(text: str, *, end_phrase: str) -> bool:
    """The text ends with the phrase, after which only double quotes may follow."""
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


def _holds(relation: str, count: int, bound: int) -> bool:
    match relation:
        case "at least":
            return count >= bound
        case "less than":
            return count < bound
        case _:
            raise ValueError(f"unknown relation {relation!r}; expected 'at least' or 'less than'")


def _count(word: str, text: str, flags: int = 0, before: str = "", after: str = "") -> int:
    """How many matches there are of a word that is taken as a pattern, with what has to stand around it."""
    pattern = re.compile(before + word + after, flags)
    if _PLAIN.fullmatch(word):
        return sum(1 for _ in pattern.finditer(text))
    import regex  # unlike ``re``, it can be given a deadline

    return sum(1 for _ in regex.finditer(pattern.pattern, text, flags=flags | regex.V0, timeout=_PATTERN_SECONDS))


def _brackets(line: str) -> int:
    """Shortest spans from an opening to a closing bracket."""
    found, start = 0, line.find("[")
    while start >= 0 and (end := line.find("]", start)) >= 0:
        found += 1
        start = line.find("[", end)
    return found
