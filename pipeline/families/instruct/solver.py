"""Writes a text that follows a set of constraints in both scorings, or reports that it found none.

The text is composed of plain sentences without commas and of the elements that the constraints require (a title, bullet
points, a postscript and so on), and extended until it is long enough.  It is returned only if all checkers of both
scorings accept it, so a solved set is satisfiable.  An unsolved set may be satisfiable too; the published rows contain
no such set as far as we know.
"""

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import combinations, cycle, islice, pairwise

from muses_eval.pipeline.families.instruct.constraints import corrected_checkers, published_checkers
from muses_eval.pipeline.families.instruct.constraints.constraint import Constraint
from muses_eval.pipeline.families.instruct.constraints.plain_sentences import count_sentences
from muses_eval.pipeline.families.instruct.constraints.sentences import sentences
from muses_eval.pipeline.families.instruct.fillers import fillers

_CLAUSES = (1, 4, 16, 64)
"""Numbers of plain sentences that are joined to one, in the order of the attempts."""
_STARTS = (2, 0, 6)
"""Initial numbers of sentences of a text, in the order of the attempts."""
_MAX_STEPS = 40
_MOST_WORDS = 8
"""Maximum number of words of a plain sentence, including the conjunction to the next one."""
_JSON_KEYS = ("answer", "text", "reply", "content")


@dataclass(slots=True)
class _Needs:
    """The combined requirements of a set of constraints."""

    language: str = "en"
    upper: bool = False
    lower: bool = False
    quoted: bool = False
    titled: bool = False
    doubled: bool = False
    as_json: bool = False
    option: str = ""
    prompt: str = ""
    ending: str = ""
    postscript: str = ""
    sections: tuple[str, int] = ("", 0)
    bullets: int = 0
    highlights: int = 0
    placeholders: int = 0
    capitals: int = 0
    divided: int = 0
    """Number of paragraphs separated by ``***``; 0 when there is no requirement."""
    spaced: int = 0
    """Number of paragraphs separated by blank lines; 0 when there is no requirement."""
    first_words: dict[int, str] = field(default_factory=dict)
    """First word by number of the paragraph, from 1; paragraphs are separated by blank lines."""
    keywords: dict[str, int] = field(default_factory=dict)
    """Keyword -> minimum number of occurrences."""
    rare: dict[str, int] = field(default_factory=dict)
    """Keyword -> number of occurrences that must not be reached."""
    forbidden: list[str] = field(default_factory=list)
    letters: dict[str, int] = field(default_factory=dict)
    signs: dict[str, int] = field(default_factory=dict)
    """Character that is not a letter -> minimum number of occurrences."""
    rare_letters: set[str] = field(default_factory=set)
    fewest_words: int = 0
    fewest_sentences: int = 0
    pool: tuple[str, ...] = ()
    """Plain sentences that satisfy the other requirements."""
    words: tuple[str, ...] = ("word",)
    """Words of these sentences, in lower case and without punctuation."""

    @property
    def paragraphs(self) -> int:
        return self.spaced or self.divided or 1

    @property
    def fewest_plain(self) -> int:
        """Minimum number of plain sentences that keeps every paragraph from being empty."""
        pieces = self.option or self.prompt or self.ending or self.postscript or self.bullets or self.keywords
        return 0 if pieces and self.paragraphs == 1 else self.paragraphs


@lru_cache(maxsize=1024)
def solve(constraints: tuple[Constraint, ...]) -> str | None:
    """Returns a text that follows all constraints in both scorings; None when none was found."""
    needs = _needs(constraints)
    for clauses in _CLAUSES:
        for start in _STARTS:
            text = _grown(needs, clauses, start)
            if follows(constraints, text):
                return text
    return None


def best_effort(constraints: tuple[Constraint, ...]) -> str | None:
    """Returns a text for as many constraints as possible, preferring earlier ones; None when none can be met."""
    for number in range(len(constraints), 0, -1):
        for kept in combinations(constraints, number):
            text = solve(kept)
            if text is not None:
                return text
    return None


def follows(constraints: Iterable[Constraint], text: str) -> bool:
    """Returns whether a text follows all constraints in both scorings."""
    return all(
        published_checkers.passes(constraint.id, constraint.kwargs, text)
        and corrected_checkers.passes(constraint.id, constraint.kwargs, text)
        for constraint in constraints
    )


def _needs(constraints: Iterable[Constraint]) -> _Needs:
    needs = _Needs()
    for constraint in constraints:
        _add(needs, constraint.id, constraint.kwargs)
    needs.pool = _fitting(needs)
    words = (word.strip(".").lower() for sentence in needs.pool for word in sentence.split())
    needs.words = tuple(word for word in words if len(word) > 1) or needs.words
    return needs


def _add(needs: _Needs, identifier: str, kwargs: Mapping[str, object]) -> None:  # noqa: C901, PLR0912, PLR0915 - one case per constraint
    match identifier, kwargs:
        case "change_case:english_capital", _:
            needs.upper = True
        case "change_case:english_lowercase", _:
            needs.lower = True
        case "change_case:capital_word_frequency", {"capital_relation": "at least", "capital_frequency": int(n)}:
            needs.capitals = max(needs.capitals, n)
        case "combination:repeat_prompt", {"prompt_to_repeat": str(prompt)}:
            needs.prompt = prompt
        case "combination:two_responses", _:
            needs.doubled = True
        case "detectable_content:number_placeholders", {"num_placeholders": int(n)}:
            needs.placeholders = max(needs.placeholders, n)
        case "detectable_content:postscript", {"postscript_marker": str(marker)}:
            needs.postscript = marker
        case "detectable_format:constrained_response", _:
            needs.option = published_checkers.OPTIONS[0]
        case "detectable_format:json_format", _:
            needs.as_json = True
        case "detectable_format:multiple_sections", {"section_spliter": str(word), "num_sections": int(n)}:
            needs.sections = (word, n)
        case "detectable_format:number_bullet_lists", {"num_bullets": int(n)}:
            needs.bullets = n
        case "detectable_format:number_highlighted_sections", {"num_highlights": int(n)}:
            needs.highlights = max(needs.highlights, n)
        case "detectable_format:title", _:
            needs.titled = True
        case "keywords:existence", {"keywords": tuple(words)}:
            for word in words:
                needs.keywords[word] = max(needs.keywords.get(word, 0), 1)
        case "keywords:forbidden_words", {"forbidden_words": tuple(words)}:
            needs.forbidden += words
        case "keywords:frequency", {"relation": "at least", "keyword": str(word), "frequency": int(n)}:
            needs.keywords[word] = max(needs.keywords.get(word, 0), n)
        case "keywords:frequency", {"keyword": str(word), "frequency": int(n)}:
            needs.rare[word.lower()] = n
        case "keywords:letter_frequency", {"let_relation": "at least", "letter": str(letter), "let_frequency": int(n)}:
            _want_letter(needs, letter.lower(), n)
        case "keywords:letter_frequency", {"letter": str(letter)}:
            needs.rare_letters.add(letter.lower())
        case "language:response_language", {"language": str(code)}:
            needs.language = code
        case "length_constraints:nth_paragraph_first_word", {
            "first_word": str(word),
            "num_paragraphs": int(n),
            "nth_paragraph": int(nth),
        }:
            needs.spaced = n
            needs.first_words[nth] = word
        case "length_constraints:number_paragraphs", {"num_paragraphs": int(n)}:
            needs.divided = n
        case "length_constraints:number_sentences", {"relation": "at least", "num_sentences": int(n)}:
            needs.fewest_sentences = max(needs.fewest_sentences, n)
        case "length_constraints:number_words", {"relation": "at least", "num_words": int(n)}:
            needs.fewest_words = max(needs.fewest_words, n)
        case "startend:end_checker", {"end_phrase": str(phrase)}:
            needs.ending = phrase
        case "startend:quotation", _:
            needs.quoted = True


def _want_letter(needs: _Needs, letter: str, number: int) -> None:
    """Adds a required character.  If it is not a letter, the released checker counts a random one: all are required."""
    if letter in fillers().letter_words:
        needs.letters[letter] = max(needs.letters.get(letter, 0), number)
        return
    needs.signs[letter] = max(needs.signs.get(letter, 0), number)
    for every in fillers().letter_words:
        needs.letters[every] = max(needs.letters.get(every, 0), number)


def _fitting(needs: _Needs) -> tuple[str, ...]:
    """Returns the plain sentences with the fewest rare or forbidden letters and words."""
    native = fillers().capitals if needs.upper else fillers().native.get(needs.language, ())

    def violations(sentence: str) -> int:
        lowered = sentence.lower()
        return (
            sum(lowered.count(letter) for letter in needs.rare_letters)
            + sum(lowered.count(word) for word in needs.rare)
            + (not corrected_checkers.forbidden_words(sentence, forbidden_words=needs.forbidden))
        )

    if not (needs.rare_letters or needs.rare or needs.forbidden):
        return native
    counts = [violations(sentence) for sentence in native]
    least = min(counts, default=0)
    return tuple(sentence for sentence, found in zip(native, counts, strict=True) if found == least)


def _grown(needs: _Needs, clauses: int, start: int) -> str:
    """Composes the text with as many sentences as its length requires."""
    number = max(start, needs.fewest_plain)
    text = _composed(needs, _joined(needs.pool, number, clauses))
    missing = _missing(needs, text, clauses)
    for _ in range(_MAX_STEPS):
        if not missing:
            break
        number += missing
        text = _composed(needs, _joined(needs.pool, number, clauses))
        before, missing = missing, _missing(needs, text, clauses)
        if missing >= before > 1:  # no progress: not all scripts end sentences with a full stop
            break
    return text


def _missing(needs: _Needs, text: str, clauses: int) -> int:
    """Returns the minimum number of sentences that a text still needs."""
    missing = 0
    if needs.fewest_words:
        words = needs.fewest_words - len(text.split())
        missing = math.ceil(words / (_MOST_WORDS * clauses))
    if needs.fewest_sentences:
        counted = min(len(sentences(text)), count_sentences(text).most)
        missing = max(missing, needs.fewest_sentences - counted)
    return max(missing, 0)


def _joined(pool: Sequence[str], number: int, clauses: int) -> list[str]:
    """Returns *number* sentences of *clauses* plain sentences each."""
    source = cycle(pool)
    return [_joint(list(islice(source, clauses))) for _ in range(number)] if pool else []


def _joint(parts: Sequence[str]) -> str:
    first, *others = (part[:-1] for part in parts)
    return " and ".join([first, *(other[:1].lower() + other[1:] for other in others)]) + parts[0][-1]


def _composed(needs: _Needs, plain: Sequence[str]) -> str:
    """Composes the text with all elements; missing letters are added as words that contain them often."""
    body = [*plain, *_extras(needs)]
    text = _laid_out(needs, body)
    if needs.letters or needs.signs:
        lowered = text.lower()
        words = [
            word
            for letter, number in needs.letters.items()
            for word in [fillers().letter_words[letter]]
            * math.ceil((number - lowered.count(letter)) / fillers().letter_words[letter].count(letter))
        ]
        signs = "".join(sign * number for sign, number in needs.signs.items())
        text = _laid_out(needs, [*body, *_sentence(words, "." if not signs else f" {signs}")])
    return text


def _extras(needs: _Needs) -> Iterator[str]:
    """Yields sentences for keywords, emphasis, placeholders and words in capitals."""
    words = cycle(needs.words)
    glue = " and " if needs.language == "en" and not (needs.rare_letters or needs.rare) else " "
    yield from _sentence([glue.join([keyword] * number) for keyword, number in needs.keywords.items()], ".", glue)
    for number, form in ((needs.highlights, "*{}*"), (needs.placeholders, "[{}]")):
        if number:
            lead, *marked = islice(words, number + 1)
            yield from _sentence([lead, *map(form.format, marked)], ".")
    if needs.capitals and not needs.upper:
        yield from _sentence([word.upper() for word in islice(words, needs.capitals)], ".")


def _sentence(words: Sequence[str], end: str, glue: str = " ") -> Iterator[str]:
    if words:
        text = glue.join(words)
        yield f"{text[:1].upper()}{text[1:]}{end}"


def _laid_out(needs: _Needs, body: Sequence[str]) -> str:
    """Arranges the sentences in paragraphs and adds titles, lists and endings."""
    words = cycle(needs.words)
    paragraphs = [[" ".join(part)] if part else [] for part in _split(body, needs.paragraphs)]
    for nth, word in needs.first_words.items():
        if nth <= len(paragraphs):
            paragraphs[nth - 1] = [" ".join([word[:1].upper() + word[1:], *paragraphs[nth - 1]])]
    if needs.titled:
        at = 0 if 1 not in needs.first_words else 1
        paragraphs[0].insert(at, f"<<{' '.join(islice(words, 2))}>>")
    if needs.prompt:
        paragraphs[0].insert(0, needs.prompt)
    last = paragraphs[-1]
    if needs.option:
        last.append(needs.option)
    heading, sections = needs.sections
    for number in range(1, sections + 1):
        last += [f"{heading} {number}", *islice(body, number - 1, number)]
    last += [f"- {' '.join(islice(words, 2))}" for _ in range(needs.bullets)]
    if needs.doubled:
        last += ["******", *_sentence([*islice(words, 4)], ".")]
    if needs.postscript:
        last.append(f"{needs.postscript} {' '.join(islice(words, 2))}.")
    if needs.ending:
        last.append(needs.ending)
    return _wrapped(needs, ("\n\n" if needs.spaced else "\n***\n").join("\n".join(lines) for lines in paragraphs))


def _split(body: Sequence[str], parts: int) -> list[Sequence[str]]:
    """Splits *body* into *parts* consecutive parts of nearly equal length."""
    edges = [len(body) * i // parts for i in range(parts + 1)]
    return [body[start:end] for start, end in pairwise(edges)]


def _wrapped(needs: _Needs, text: str) -> str:
    if needs.upper:
        text = text.upper()
    if needs.lower:
        text = text.lower()
    if needs.as_json:
        key = next((key for key in _JSON_KEYS if key not in needs.forbidden), "a")
        text = json.dumps({key.upper() if needs.upper else key: text}, ensure_ascii=False)
    return f'"{text}"' if needs.quoted else text
