"""Reads the answers to the users in a reply.

The briefing asks for one object ``{user: answer}``.  Models also write records of a user and an answer, one object for
each user, or no JSON at all: headings, tags, ``Ana: …``.
"""

import inspect
import re
from collections import deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache

from muses_eval.pipeline.episode.audience import AddressBook
from muses_eval.pipeline.episode.prose_addressing import prose_deliveries
from muses_eval.pipeline.text.illustration import is_condition, is_template
from muses_eval.pipeline.text.reasoning import strip_reasoning
from muses_eval.pipeline.text.reply_parsing import as_text, json_spans, without_spans
from muses_eval.pipeline.text.tolerant_json import unescaped
from muses_eval.pipeline.word_tables import read_word_table

_MAX_DEPTH = 5
_MAX_OBJECTS = 300
"""Objects that are read, the last ones of a reply."""
_LONGEST_PROSE = 60_000
"""Characters of a reply without JSON that are read."""
_LONGEST_KEY = 8
"""Words of a key that may name a user with a role: ``Response to Ana (chief of staff)``."""
_LONGEST_KEY_TEXT = 200
_ROLE = re.compile(r"\s*[(\[:,–—]|\s-\s")
_KEY = re.compile(r"""["“'](?P<key>[^"“”\n]{1,80})["”']\s{0,20}[:：]\s{0,20}["“]""")
_STRING_END = re.compile(r"""["”]\s*[,}\]\s]*(?:```\s*)?\Z""")
_CAMEL_CASE = re.compile(r"(?<=[a-z])(?=[A-Z])")
_WORD = re.compile(r"[^\W_]+")
_FENCE = re.compile(
    r"\s*(?P<mark>```+|~~~+)(?:text|txt|plaintext|plain|markdown|md)?[ \t]*\n(?P<body>.*?)\n?(?P=mark)\s*", re.DOTALL
)
_WHOLE_FENCE = re.compile(r"\s*(?P<mark>```+|~~~+)[\w+-]{0,20}[ \t]*\n(?P<body>.*?)\n?(?P=mark)\s*", re.DOTALL)
_ELEMENT = re.compile(
    r"<!\[CDATA\[(?P<cdata>.*)\]\]>|<(?P<tag>p|dd|div)>(?P<content>(?:(?!</?(?P=tag)\b).)*)</(?P=tag)>(?:\s*</dl>)?",
    re.DOTALL,
)
_BOLD_END = re.compile(r"\A\*\*\s+")
_QUOTED_LINE = re.compile(r"^[ \t]*> ?", re.MULTILINE)
_RULE_BELOW = re.compile(r"\n\s*-{3,}\s*\Z")
_FOLD = re.compile(r"(?<=\S)\n(?=\S)")
_TAG = re.compile(r"<(?P<close>/?)(?P<name>[^\W\d][\w-]{0,80})>")
_LINKS = ("to", "for")
_ASSIGNED = re.compile(
    r"""^[ \t]*(?P<key>[^\n="']{1,80}|"[^"\n]{1,80}")[ \t]*=[ \t]*
    (?P<quote>\"{3}|'{3}|["'])(?P<text>.*?)(?P=quote)[ \t]*$""",
    re.MULTILINE | re.DOTALL | re.VERBOSE,
)
_BLOCK_SCALAR = re.compile(r"[|>][-+]?[ \t]*\n")


@dataclass(frozen=True)
class AnswerWords:
    """Schema of ``answers.toml``, which explains the entries."""

    user: tuple[str, ...]
    answer: tuple[str, ...]
    aside: tuple[str, ...]


@cache
def answer_words() -> AnswerWords:
    return read_word_table(AnswerWords, __package__, "answers.toml")


@dataclass(frozen=True, slots=True)
class _Group:
    """Answers that stand together in a reply."""

    answers: Mapping[str, str]
    is_aside: bool
    """Whether they are notes, a condition or a template."""


def read_answers(names: tuple[str, ...], reply: str) -> dict[str, str]:
    """Returns the answers by user name; empty when the reply has none.

    Objects about different users are read together; of several about the same users, the one with most of them counts,
    and among equals the last one, because a draft may precede it.
    """
    text = strip_reasoning(reply)
    groups = list(_groups(names, text))
    found = _combined([group for group in groups if not group.is_aside])
    if found:
        return found
    prose = without_spans(text, (span for span in json_spans(text) if isinstance(span.value, dict)))
    prose = prose[:_LONGEST_PROSE]
    fence = _WHOLE_FENCE.fullmatch(prose)
    prose = _spelled(names, _plain(fence["body"] if fence else prose))
    return _after_keys(names, prose) or _assigned(names, prose) or _written(names, prose) or _combined(groups)


def _combined(groups: list[_Group]) -> dict[str, str]:
    found: dict[str, str] = {}
    for group in groups:
        if found.keys().isdisjoint(group.answers):
            found |= group.answers
        elif len(group.answers) >= len(found):
            found = dict(group.answers)
    return found


def _groups(names: tuple[str, ...], text: str) -> Iterator[_Group]:
    for span in deque(json_spans(text), maxlen=_MAX_OBJECTS):
        is_aside = is_template(text, span.start) or is_condition(text, span.start, span.end)
        yield from _nested_groups(names, span.value, is_aside=is_aside, depth=_MAX_DEPTH)


def _nested_groups(names: tuple[str, ...], value: object, *, is_aside: bool, depth: int) -> Iterator[_Group]:
    """Yields the answers in an object or a list, and in what it contains, but not what the answers contain."""
    if isinstance(value, list):
        for entry in value if depth else ():
            yield from _nested_groups(names, entry, is_aside=is_aside, depth=depth - 1)
    if isinstance(value, str) and value.lstrip()[:1] == "{" and depth:  # the reply as the content of a message
        for span in json_spans(value):
            yield from _nested_groups(names, span.value, is_aside=is_aside, depth=depth - 1)
    if not isinstance(value, dict):
        return
    if (record := _record(names, value)) or (record := _by_user(names, value)):
        yield _Group(record, is_aside)
    for key, inner in value.items() if depth else ():
        if not users_in(names, key):
            beside = is_aside or not set(_words(key)).isdisjoint(answer_words().aside)
            yield from _nested_groups(names, inner, is_aside=beside, depth=depth - 1)


def _record(names: tuple[str, ...], value: Mapping[str, object]) -> dict[str, str]:
    """Returns the answer in a record of a user and an answer."""
    words = answer_words()
    users = [value[key] for key in value if _words(key)[-1:] and _words(key)[-1] in words.user]
    users += [inner for user in users if isinstance(user, dict) for inner in user.values()]
    answers = [
        value[key] for key in value if not set(_words(key)).isdisjoint(words.answer) and not users_in(names, key)
    ]
    named = [name for user in users if isinstance(user, str) for name in users_in(names, user)]
    return {name: as_text(answers[-1]) for name in named} if answers and answers[-1] is not None else {}


def _by_user(names: tuple[str, ...], value: Mapping[str, object]) -> dict[str, str]:
    """Returns the answers in an object with the users as keys; a key that is only a name comes first."""
    keyed = [(key, answer) for key, answer in value.items() if answer is not None]
    plain = {name.casefold() for name in names}
    found: dict[str, object] = {}
    for key, answer in sorted(keyed, key=lambda each: each[0].strip().casefold() in plain):
        found.update(dict.fromkeys(users_in(names, key), answer))
    if found and all(isinstance(answer, dict) and _wrapped(answer) for answer in found.values()):
        found = {name: _wrapped(answer)[0] for name, answer in found.items() if isinstance(answer, dict)}
    return {name: as_text(answer) for name, answer in found.items()}


def _wrapped(answer: Mapping[str, object]) -> list[object]:
    """Returns the answer in an object such as ``{"response": …, "note": …}``."""
    return [inner for key, inner in answer.items() if _words(key) and set(_words(key)) <= set(answer_words().answer)]


def _after_keys(names: tuple[str, ...], text: str) -> dict[str, str]:
    """Returns what stands between keys with names, for objects whose quotes are not escaped."""
    keys = [(key, named) for key in _KEY.finditer(text) if (named := users_in(names, key["key"]))]
    found: dict[str, str] = {}
    for (key, named), following in zip(keys, [*(key.start() for key, _ in keys), len(text)][1:], strict=True):
        body = _STRING_END.sub("", text[key.end() : following])
        found.update(dict.fromkeys(named, unescaped(body)))
    return found


def _assigned(names: tuple[str, ...], text: str) -> dict[str, str]:
    """Returns the strings that are assigned to names, as in TOML: ``Ana = "Yes."``."""
    found: dict[str, str] = {}
    for line in _ASSIGNED.finditer(text):
        found.update(dict.fromkeys(users_in(names, line["key"]), unescaped(line["text"])))
    return found


def _spelled(names: tuple[str, ...], text: str) -> str:
    """Returns the text with plain names in ``<Ana_response>`` and ``Ana's response:``."""

    def tag(found: re.Match[str]) -> str:
        words, named = set(_words(found["name"])), users_in(names, found["name"])
        beside = words - set(_words(named[0])) if len(named) == 1 else set()
        if beside and beside <= {*answer_words().answer, *_LINKS}:
            return f"<{found['close']}{named[0].replace(' ', '_')}>"
        return found[0]

    users, answer = ("|".join(map(re.escape, words)) for words in (names, answer_words().answer))
    owner = rf"(?im)^(\W{{0,20}})({users})['’]s? (?:{answer})(?=\W{{0,10}}$|\W{{0,5}}:)"
    alone = rf"(?im)^\W{{0,20}}({users})\W{{0,20}}\n[ \t]*(?:={{3,}}|-{{3,}})[ \t]*$"
    in_html = rf"(?i)<(h[1-6]|dt)>\s*({users})\s*:?\s*</\1>\s*:?"
    in_angles = rf"(?im)^[ \t]*<({users})>[ \t]*[:：]"
    if not names:
        return text
    text = re.sub(in_angles, r"\1:", re.sub(in_html, r"\n# \2\n", re.sub(alone, r"# \1", text)))
    return re.sub(owner, r"\1\2", _TAG.sub(tag, text))


def _written(names: tuple[str, ...], text: str) -> dict[str, str]:
    """Returns the answers in a reply without JSON: the text after each name."""
    found: dict[str, str] = {}
    for delivery in prose_deliveries(text, AddressBook(names)):
        if len(delivery.audience) < len(names):
            found.update(dict.fromkeys(delivery.audience, _plain(delivery.text)))
    return found


def _plain(text: str) -> str:
    """Returns an answer without the marks that set it off: a code fence, quoted lines, a rule, a block of YAML."""
    text = _BOLD_END.sub("", _RULE_BELOW.sub("", text).strip())
    if wrapped := _ELEMENT.fullmatch(text):
        return wrapped["cdata"] if wrapped["cdata"] is not None else wrapped["content"].strip()
    if fence := _FENCE.fullmatch(text):
        return fence["body"]
    if block := _BLOCK_SCALAR.match(text):
        body = inspect.cleandoc(text[block.end() :])
        return _FOLD.sub(" ", body) if text[0] == ">" else body
    lines = text.splitlines()
    return _QUOTED_LINE.sub("", text) if all(_QUOTED_LINE.match(line) for line in lines) else text


def users_in(names: tuple[str, ...], key: str) -> tuple[str, ...]:
    """Returns the users that a key names, in any case and with a role: ``ana``, ``Ana (CTO)``, ``To Ana``.

    A key that is the name of a user names no other, such as one whose name is a part of it.
    """
    if key in names:
        return (key,)
    for part in (_ROLE.split(key, maxsplit=1)[0], key):
        for spaced in (part, _CAMEL_CASE.sub(" ", part)):
            words = _words(spaced)
            if len(words) <= _LONGEST_KEY and set(words).isdisjoint(answer_words().aside):
                named = tuple(
                    n for n in names if _contains(words, _words(n if spaced is part else _CAMEL_CASE.sub(" ", n)))
                )
                if named:
                    return named
    return ()


def _contains(words: tuple[str, ...], name: tuple[str, ...]) -> bool:
    return any(words[at : at + len(name)] == name for at in range(len(words) - len(name) + 1)) if name else False


def _words(text: str) -> tuple[str, ...]:
    return tuple(_WORD.findall(text[:_LONGEST_KEY_TEXT].casefold()))
