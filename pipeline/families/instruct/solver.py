"""Writes a text that follows a set of constraints, in both scorings, or finds that it cannot.

The text is put together from plain sentences, none of which has a comma, and the pieces that the constraints ask for (a
title, bullet points, a postscript and so on), grown until it is long enough, and judged by the checkers themselves.
Only what passes all of them in both scorings is given out, so a solved set is satisfiable by construction.  A set that
the construction cannot meet may still be satisfiable; none is known in the published rows.
"""

import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from itertools import combinations, cycle, islice, pairwise

from muses_eval.pipeline.families.instruct.constraints import corrected, published
from muses_eval.pipeline.families.instruct.constraints.constraint import Constraint
from muses_eval.pipeline.families.instruct.constraints.sentences import sentences
from muses_eval.pipeline.families.instruct.fillers import fillers

_CLAUSES = (1, 4, 16, 64)
"""How many plain sentences are joined to one, in the order in which it is tried."""
_STARTS = (2, 0, 6)
"""How many sentences a text begins with, in the order in which it is tried."""
_MAX_STEPS = 40
_MOST_WORDS = 8
"""Most words of a plain sentence, with the word that joins it to the next."""
_JSON_KEYS = ("answer", "text", "reply", "content")


@dataclass(slots=True)
class _Needs:
    """What a set of constraints asks of a text, taken together."""

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
    """Paragraphs between ``***``; 0 when it does not matter."""
    spaced: int = 0
    """Paragraphs between blank lines; 0 when it does not matter."""
    first_words: dict[int, str] = field(default_factory=dict)
    """First word by paragraph; paragraphs are separated by blank lines and counted from 1."""
    keywords: dict[str, int] = field(default_factory=dict)
    """How often each has to stand."""
    rare: dict[str, int] = field(default_factory=dict)
    """Keywords with the number of hits that they have to stay below."""
    forbidden: list[str] = field(default_factory=list)
    letters: dict[str, int] = field(default_factory=dict)
    signs: dict[str, int] = field(default_factory=dict)
    """Characters that are no letters, and how often each has to stand."""
    rare_letters: set[str] = field(default_factory=set)
    fewest_words: int = 0
    fewest_sentences: int = 0
    pool: tuple[str, ...] = ()
    """Plain sentences that the rest of the needs allows."""
    words: tuple[str, ...] = ("word",)
    """The words of these sentences, small and without punctuation."""

    @property
    def paragraphs(self) -> int:
        return self.spaced or self.divided or 1

    @property
    def fewest_plain(self) -> int:
        """Plain sentences without which a paragraph, or the whole text, would be empty."""
        pieces = self.option or self.prompt or self.ending or self.postscript or self.bullets or self.keywords
        return 0 if pieces and self.paragraphs == 1 else self.paragraphs


@lru_cache(maxsize=1024)
def solve(constraints: tuple[Constraint, ...]) -> str | None:
    """A text that follows all constraints in both scorings; None when none was found."""
    needs = _needs(constraints)
    for clauses in _CLAUSES:
        for start in _STARTS:
            text = _grown(needs, clauses, start)
            if follows(constraints, text):
                return text
    return None


def best_effort(constraints: tuple[Constraint, ...]) -> str | None:
    """A text for as many of the constraints as can be met together, the earlier ones first; None when none can."""
    for number in range(len(constraints), 0, -1):
        for kept in combinations(constraints, number):
            text = solve(kept)
            if text is not None:
                return text
    return None


def follows(constraints: Iterable[Constraint], text: str) -> bool:
    """Whether a text follows all constraints in both scorings."""
    return all(
        published.passes(constraint.id, constraint.kwargs, text)
        and corrected.passes(constraint.id, constraint.kwargs, text)
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


def _add(needs: _Needs, identifier: str, kwargs: Mapping[str, object]) -> None:  # noqa: C901, PLR0912, PLR0915 - a table
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
            needs.option = published.OPTIONS[0]
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
    """For a sign, the released checker counts a letter that it draws by lot: then every letter has to be there."""
    if letter in fillers().letter_words:
        needs.letters[letter] = max(needs.letters.get(letter, 0), number)
        return
    needs.signs[letter] = max(needs.signs.get(letter, 0), number)
    for every in fillers().letter_words:
        needs.letters[every] = max(needs.letters.get(every, 0), number)


def _fitting(needs: _Needs) -> tuple[str, ...]:
    """Plain sentences that use nothing rare or forbidden; if all do, those that do so least."""
    native = fillers().capitals if needs.upper else fillers().native.get(needs.language, ())

    def offence(sentence: str) -> int:
        lowered = sentence.lower()
        return (
            sum(lowered.count(letter) for letter in needs.rare_letters)
            + sum(lowered.count(word) for word in needs.rare)
            + (not corrected.forbidden_words(sentence, forbidden_words=needs.forbidden))
        )

    if not (needs.rare_letters or needs.rare or needs.forbidden):
        return native
    offences = [offence(sentence) for sentence in native]
    least = min(offences, default=0)
    return tuple(sentence for sentence, found in zip(native, offences, strict=True) if found == least)


def _grown(needs: _Needs, clauses: int, start: int) -> str:
    """The text with as many sentences as it takes to be long enough."""
    number = max(start, needs.fewest_plain)
    text = _composed(needs, _joined(needs.pool, number, clauses))
    missing = _missing(needs, text, clauses)
    for _ in range(_MAX_STEPS):
        if not missing:
            break
        number += missing
        text = _composed(needs, _joined(needs.pool, number, clauses))
        before, missing = missing, _missing(needs, text, clauses)
        if missing >= before > 1:  # in vain: not all scripts end their sentences with a full stop
            break
    return text


def _missing(needs: _Needs, text: str, clauses: int) -> int:
    """How many sentences more a text needs at least."""
    missing = 0
    if needs.fewest_words:
        words = needs.fewest_words - len(text.split())
        missing = math.ceil(words / (_MOST_WORDS * clauses))
    if needs.fewest_sentences:
        missing = max(missing, needs.fewest_sentences - len(sentences(text)))
    return max(missing, 0)


def _joined(pool: Sequence[str], number: int, clauses: int) -> list[str]:
    """So many sentences, each of so many clauses."""
    source = cycle(pool)
    return [_joint(list(islice(source, clauses))) for _ in range(number)] if pool else []


def _joint(parts: Sequence[str]) -> str:
    first, *others = (part[:-1] for part in parts)
    return " and ".join([first, *(other[:1].lower() + other[1:] for other in others)]) + parts[0][-1]


def _composed(needs: _Needs, plain: Sequence[str]) -> str:
    """The text with all pieces; letters that are still missing come as words rich in them."""
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
    """Sentences for keywords, emphasis, placeholders and words in capitals."""
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
    """Lines, paragraphs and what stands around them."""
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
    """*body* in so many runs of nearly the same length."""
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
