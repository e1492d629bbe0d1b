"""Masks credentials in text, so that none is stored with a trace.

A model may repeat a key from a gateway, a tool or its training data.  A credential is recognised

* by its format: the rules of gitleaks (:mod:`.credential_rules`), and prefixes of keys, also of the providers of a
  run (:mod:`muses_eval.pipeline.providers`);
* by what stands around it: the password in a URL, a signature in a query, headers, cookies, ``curl -u``
  (:mod:`.credential_kinds`);
* by its name: a value assigned to a name that ends in API key, secret, token, password or the like (``API_KEY=...``,
  ``"client_secret": "..."``) if it has at least 16 characters with digits and letters of both cases, or at least 32
  with digits and letters; in a JSON value, any value under such a name (:mod:`.secret_names`).

A credential is also found behind escapes (:mod:`.escaped_text`).  In text, other secrets (a short password, a key of
hexadecimal digits only) look like ordinary words and are not masked.  The fictitious keys of the scenarios are not
masked either: they are data of the benchmark, and a trace without them could not be rescored.  The work is linear in
the length of the text.
"""

import json
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import cache
from typing import Any, TypeVar

from muses_eval.pipeline.text.credential_kinds import KINDS_BY_CONTEXT, CredentialKind, kinds_by_format
from muses_eval.pipeline.text.credential_rules import CredentialRule, compiled, gitleaks_rules
from muses_eval.pipeline.text.escaped_text import Span, readings
from muses_eval.pipeline.text.secret_names import is_password_name, is_secret_name

T = TypeVar("T")

MASK = "[credential]"
"""Replacement of a credential; it is not recognised as a credential itself."""

_SIGNS = r"_/+~!@\#$%^&*-"
_ASSIGNED = re.compile(
    rf"""[:=][=>]?\s{{0,3}}["'\\]{{0,2}}
    (?=[A-Za-z{_SIGNS}]{{0,80}}[0-9]) (?=[0-9{_SIGNS}]{{0,80}}[A-Za-z])
    ( (?: (?=[a-z0-9{_SIGNS}]{{0,80}}[A-Z]) (?=[A-Z0-9{_SIGNS}]{{0,80}}[a-z]) [A-Za-z0-9{_SIGNS}]{{16,}}+
      | [A-Za-z0-9{_SIGNS}]{{32,}}+ )
    =*+ ) (?![(\[]|\.\w)                                                # a call or a lookup in code is not a value
    """,
    re.ASCII | re.VERBOSE,
)
"""A value with any name.  Such values are rare, so the name before it is checked last."""
_SECRET_NAME = re.compile(
    r"""(?: (?:api|access|account|private|secret|auth|shared|signing|master|encryption)[ _-]?key
      | secret | token | password | passwd | passphrase | pwd | credentials? | authorization | cookie )
    ["'\\]{0,2}\s{0,3}\Z""",
    re.ASCII | re.VERBOSE | re.IGNORECASE,
)
_NAME_CHARS = 20
_VARIED = re.compile(r"[0-9]|[a-z][A-Z]|[A-Z]{2}[a-z]")
"""What a word does not have: a digit, or letters of both cases other than at its beginning."""
_NO_WORDS = re.compile(_VARIED.pattern + "|[A-Za-z]{24}")
"""What a long part of a text has when it may be a key and is not a name of several words."""
_PREFIX = 4
"""Least length of a prefix with which a key needs no such character."""
_REST = re.compile(r"[\w-]*+", re.ASCII)
"""The rest of a key that is longer than the rule expects."""
_BEFORE, _AFTER = 200, 600
"""Characters around a keyword in which a rule is tried; more than a rule needs that does not begin with it."""
_LONG = re.compile(r"""[^\s"'<>()\[\]{},;|]{14,}+""")
"""What a credential is that is recognised by its format or its name; shorter ones are recognised by their context."""
_REFERENCE = re.compile(r"\s*(?:\$\w+|\$\{[^{}]*\}|\{\{.*\}\})\s*", re.DOTALL)
"""The place of a value that is filled in later: ``$NAME``, ``${NAME}``, ``{{ prefect.blocks.secret.name }}``."""
_VARIABLE = re.compile(r"[A-Z][A-Z0-9_]*")


def mask_credentials(text: str) -> tuple[str, int]:
    """Returns *text* with every credential replaced by :data:`MASK`, and the number of credentials."""
    return mask_found(text, _credentials, MASK)


def mask_found(text: str, find: Callable[[str], Iterable[Span]], mask: str) -> tuple[str, int]:
    """Replaces what *find* finds in any reading of *text*, whose escapes it need not know.

    Returns:
        the text with *mask* in place of every span, and the number of replacements; spans that overlap are one.
    """
    spans = sorted(reading.origin(span) for reading in readings(text) for span in find(reading.text))
    pieces, end, count = [], 0, 0
    for first, last in spans:
        if first < end:
            end = max(end, last)
            continue
        pieces += [text[end:first], mask]
        end, count = last, count + 1
    return "".join((*pieces, text[end:])), count


def mask_json(value: Any) -> Any:  # noqa: ANN401 - any JSON value, and the same kind of value back
    """Returns a JSON value without credentials: in its strings, and in fields whose name says that they are secret.

    What stays in such a field is no secret: null, a boolean, an empty text, a reference such as ``${NAME}``, a number
    unless the field is a password, and under ``headers`` the name of an environment variable.
    """
    match value:
        case str():
            return mask_credentials(value)[0]
        case Mapping():
            return {key: _field(str(key), inner) for key, inner in value.items()}
        case list() | tuple():
            return [mask_json(inner) for inner in value]
        case _:
            return value


def mask_json_text(text: str) -> tuple[str, int]:
    """Returns a text in JSON without credentials, as :func:`mask_json` finds them, and 1 if it had any, else 0."""
    value = json.loads(text)
    masked = mask_json(value)
    return (text, 0) if masked == value else (json.dumps(masked, ensure_ascii=False), 1)


def _field(name: str, value: object) -> object:
    if name == "headers" and isinstance(value, Mapping):
        return {key: inner if _is_variable(inner) else _field(str(key), inner) for key, inner in value.items()}
    return _hidden(value, numbers=is_password_name(name)) if is_secret_name(name) else mask_json(value)


def _is_variable(value: object) -> bool:
    return isinstance(value, str) and _VARIABLE.fullmatch(value) is not None and not mask_credentials(value)[1]


def _hidden(value: object, *, numbers: bool) -> object:
    """Returns the value of a secret field, without what is secret in it."""
    match value:
        case Mapping():
            return {key: _hidden(inner, numbers=numbers) for key, inner in value.items()}
        case list() | tuple():
            return [_hidden(inner, numbers=numbers) for inner in value]
        case str():
            return value if not value or _REFERENCE.fullmatch(value) else MASK
        case bool() | None:
            return value
        case _:
            return MASK if numbers else value


def _credentials(text: str) -> Iterator[Span]:
    """Yields the credentials in a text without escapes; they may overlap."""
    # The only letter that is two in lower case would move the places behind it.
    lowered = text.replace("\u0130", "i").lower()
    for kind in _present(_CONTEXT_MARKERS, lowered):
        yield from _of_kind(kind, text)
    if not any(map(_NO_WORDS.search, _LONG.findall(text))):
        return
    for match in _ASSIGNED.finditer(text):
        if _SECRET_NAME.search(text, max(0, match.start() - _NAME_CHARS), match.start()):
            yield match.span(1)
    for kind in _present(_format_markers(), lowered):
        yield from _of_kind(kind, text)
    for rule in _present(_rule_keywords(), lowered):
        yield from _by_rule(rule, text, lowered)


def _present(marked: Iterable[tuple[str, T]], lowered: str) -> Iterable[T]:
    """Returns what has a marker in the text, each once."""
    return dict.fromkeys([each for marker, each in marked if marker in lowered])


_CONTEXT_MARKERS = tuple((marker, kind) for kind in KINDS_BY_CONTEXT for marker in kind.markers)


@cache
def _format_markers() -> tuple[tuple[str, CredentialKind], ...]:
    return tuple((marker, kind) for kind in kinds_by_format() for marker in kind.markers)


@cache
def _rule_keywords() -> tuple[tuple[str, CredentialRule], ...]:
    return tuple((keyword, rule) for rule in gitleaks_rules() for keyword in rule.keywords)


def _of_kind(kind: CredentialKind, text: str) -> Iterator[Span]:
    for match in kind.pattern.finditer(text):
        span = match.span(kind.pattern.groups)
        if not text.startswith(MASK, span[0]) and not (kind.varied and not _VARIED.search(text, *span)):
            yield span


def _by_rule(rule: CredentialRule, text: str, lowered: str) -> Iterator[Span]:
    pattern = compiled(rule)
    for start, end in _regions(lowered, rule.keywords):
        at = start
        while match := pattern.search(text, at, end):
            first, last = rule.secret(match)
            last = _REST.match(text, last).end()  # type: ignore[union-attr] # the pattern matches everywhere
            prefixed = any(len(keyword) >= _PREFIX and keyword in lowered[first:last] for keyword in rule.keywords)
            if prefixed or _VARIED.search(text, first, last):
                yield first, last
            at = max(last, match.end())


def _regions(lowered: str, keywords: tuple[str, ...]) -> Iterator[Span]:
    """Yields the parts of a text near the keywords, in order and without overlaps."""
    if len(lowered) <= _BEFORE + _AFTER:
        yield 0, len(lowered)
        return
    start = end = 0
    for place in sorted(_places(lowered, keywords)):
        if place - _BEFORE > end:
            if end:
                yield start, end
            start = place - _BEFORE
        end = min(place + _AFTER, len(lowered))
    if end:
        yield start, end


def _places(lowered: str, keywords: tuple[str, ...]) -> Iterator[int]:
    for keyword in keywords:
        place = lowered.find(keyword)
        while place >= 0:
            yield place
            place = lowered.find(keyword, place + len(keyword))
