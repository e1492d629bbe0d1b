"""Splits prose by its addressees, as a person reads it.

Addressees stand in front of their text: ``[Agent -> Bo]: text``, ``To Bo: text``, ``**Bo:** text``, ``@Bo text``, a
heading with a name, a salutation, or a tag such as ``<Bo>text</Bo>`` and ``<message to="Bo">text</message>``.  A text
without an addressee is for all principals, one for an unknown name is for none of them.
"""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from muses_eval.pipeline.episode.audience import LONGEST_ADDRESS, AddressBook
from muses_eval.pipeline.episode.interfaces import Delivery

_MAX_CUTS = 4
_DASH = re.compile(r"\s(?:[-–—]+|\||->|=>|→)\s|\s?(?:>>|»)\s")
_ARROW = re.compile(r"^(?:(?:agent|assistant|ai|bot|model|system|me)\s*)?(?:-+>|=+>|→|➔|➜|➡️?|⇒|>>)\s*", re.IGNORECASE)
_PREFIX = re.compile(
    r"^(?:(?:my|a|the|private|direct|personal|separate)\s+)*"
    r"(?:(?:message|messages|reply|response|answer|note|dm|pm|e-?mail|mail|msg|text|word|addressed|sent|send|responding|"
    r"replying|speaking|writing|nachricht|antwort|réponse|respuesta|mensaje)\s+"
    r"(?:to|for|an|für|à|pour|a|para)|to|for|an|für|pour|à|para|attn|dm|pm|whisper|target|recipient|addressee|user|"
    r"send to)"
    r"\s*[:=]?\s+|"
    r"^(?:给|致|对|回复)\s*",
    re.IGNORECASE,
)
_FIELD = re.compile(r"^(?:to|target|recipient|addressee|user|for|attn)\s*[:=]\s*", re.IGNORECASE)
_TO = re.compile(r"^(?:to|(?:\w+ ){0,2}(?:message|reply|response|answer) (?:to|for))\b", re.IGNORECASE)
"""Words after which a name that is unknown is still an addressee; ``User: Ann Lee`` may be a line of a document."""
_CONTENT_FIELD = re.compile(r"^\W*(?:content|message|text|response|reply|body)\W*:\s*[|>]?-?\s*", re.IGNORECASE)
_MENTION = re.compile(r"^[^\w@<]*@(?P<name>[\w.-]+(?:\s*(?:,|&|and)?\s*@[\w.-]+)*)[*_`]*\s*[:,]?\s*")
_SALUTATION = re.compile(
    r"^\W*(?:(?:agent|assistant|ai)\s*:\s*)?"
    r"(?:(?:dear|hi|hello|hey|greetings|good (?:morning|afternoon|evening)|hallo|liebe[rs]?|guten (?:tag|morgen)|"
    r"sehr geehrte[rs]?|bonjour|cher|chère|salut|hola|estimad[oa]s?|querid[oa]s?|buenos días|ciao|caro|cara|gentile|"
    r"olá|prezad[oa]|beste|hoi|cześć|привет|уважаем\w+|你好|您好|尊敬的)(?:\s+(?:there|frau|herr|mr|mrs|ms|dr)\.?)?\s*)?",
    re.IGNORECASE,
)
_NOT_SPOKEN_TO = re.compile(
    r"\s*(?:who|whose|whom|which|as|our|being|however|and|or|on the other hand|by contrast|meanwhile|is|was|has)\b",
    re.IGNORECASE,
)
_INTERNAL = re.compile(
    r"^\W*(?:internal(?:ly)?(?:\s+(?:note|notes|reasoning|monologue|only|use|log))*|private notes?|notes? to self|"
    r"reasoning|thoughts?|thinking|analysis|rationale|scratchpad|plan|system note|chain of thought)\b[\s\])*_]*[:\]]",
    re.IGNORECASE,
)
_CLOSING = re.compile(r"^[*_`\]) \t]*:?[*_` \t]*")
_MARKUP = re.compile(r"</?(?:p|b|i|u|em|strong|li|ul|ol|div|span|br|h[1-6])\s*/?>", re.IGNORECASE)
_STOP = re.compile(r"[,!:.;–—，！]|$")
_VERB = re.compile(
    r"^(?:summari[sz]e|recap|clarify|confirm|proceed|conclude|begin|start|be|do|note|answer|help|ensure|sum|reiterate|repeat|"
    r"date|whom|everyone's|your|all|explain|finish|continue|me|my|us|our|this|that|these|those|it|now|example|instance|"
    r"security|compliance|reference|context|clarity|do|get|make|access|request|verify|move|keep|protect)\b",
    re.IGNORECASE,
)
_TAG = re.compile(
    r"<(?P<close>/?)(?P<tag>[A-Za-z][\w.-]*)(?P<attributes>(?:\s+[\w:-]+\s*=\s*(?:\"[^\"<>]{0,200}\"|'[^'<>]{0,200}'|[\w@.-]+))*)\s*/?>"
)
_ATTRIBUTE = re.compile(
    r"\b(?:to|target|recipient|recipients|user|users|name|for|addressee|id|user_id|audience|target_user)\s*=\s*[\"']?(?P<value>[^\"'<>]*)",
    re.IGNORECASE,
)
_ADDRESS_TAGS = frozenset(
    {"target", "to", "recipient", "recipients", "user", "name", "addressee", "target_user", "user_id"}
)
_FRAME_TAGS = frozenset(
    {"message", "messages", "response", "responses", "reply", "replies", "content", "text", "body", "output", "answer"}
)


@dataclass(frozen=True, slots=True)
class _Marker:
    """An addressee in front of a text."""

    audience: tuple[str, ...]
    rest: str
    """Text after the addressee, on the same line."""
    clear: bool = True
    """False for a salutation, which may also be a mention within a text that is addressed to somebody else."""


def prose_deliveries(reply: str, book: AddressBook) -> list[Delivery]:
    """Returns the texts of a reply in prose with their audiences, in order; each line reaches the last addressee."""
    blocks: list[tuple[tuple[str, ...], list[str]]] = []
    for audience, text in _tagged(reply, book):
        for reached, line in [(audience, text)] if audience is not None else _by_lines(text, book):
            if not blocks or blocks[-1][0] != reached:
                blocks.append((reached, []))
            blocks[-1][1].append(line)
    texts = ((reached, "\n".join(lines).strip()) for reached, lines in blocks)
    return [Delivery(reached, text) for reached, text in texts if text and reached]


def _tagged(text: str, book: AddressBook) -> Iterator[tuple[tuple[str, ...] | None, str]]:
    """Yields (audience, text) for the parts inside tags that address somebody, and (None, text) for the others."""
    position, current, open_tag = 0, None, ""
    for found in _TAG.finditer(text):
        tag = found["tag"].casefold()
        if found.start() < position:
            continue
        if found["close"]:
            if current is not None and tag == open_tag:
                yield current, text[position : found.start()]
                position, current = found.end(), None
            elif tag in _FRAME_TAGS:
                yield current, text[position : found.start()]
                position = found.end()
            continue
        address, end = _tag_address(found, text)
        named = book.exact_audience(found["tag"]) if address is None and current is None else ()
        if address is None and not named and tag not in _FRAME_TAGS:
            continue
        yield current, text[position : found.start()]
        position = end
        if named:
            current, open_tag = named, tag
        elif address is not None:
            current = book.audience(address)
            open_tag = "" if tag in _ADDRESS_TAGS and not found["attributes"] else tag
    yield current, text[position:]


def _tag_address(found: re.Match[str], text: str) -> tuple[str | None, int]:
    """Returns the address of an opening tag, None without one, and the end of the part that holds it."""
    if attribute := _ATTRIBUTE.search(found["attributes"]):
        return attribute["value"], found.end()
    if found["tag"].casefold() in _ADDRESS_TAGS:
        closing = text.find("</", found.end(), found.end() + LONGEST_ADDRESS)
        end = text.find(">", closing) + 1 if closing >= 0 else 0
        if end and text[closing + 2 : end - 1].strip().casefold() == found["tag"].casefold():
            return text[found.end() : closing], end
    return None, found.end()


def _by_lines(text: str, book: AddressBook) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yields (audience, line) for a text without tags."""
    lines = _split_at_brackets(text, book).splitlines()
    markers = [_marker(line, book, book.names) for line in lines]
    addressed = {name for marker in markers if marker and marker.clear for name in marker.audience}
    if addressed:  # a salutation, or "everyone else", depends on the other addressees
        markers = [_marker(line, book, addressed) for line in lines]
        markers = [marker if marker and marker.clear else None for marker in markers]
    anybody = any(marker and marker.audience for marker in markers)
    current, private = book.names, False
    for line, marker in zip(lines, markers, strict=True):
        if marker:
            current, private = marker.audience, False
            yield current, _CONTENT_FIELD.sub("", marker.rest)
            continue
        private = anybody and (private or bool(_INTERNAL.match(line))) and bool(line.strip())
        yield () if private else current, _CONTENT_FIELD.sub("", line) if current != book.names else line


def _split_at_brackets(text: str, book: AddressBook) -> str:
    """Puts every ``[Bo]:`` and ``[Agent -> Bo]:`` on a line of its own."""
    if "]:" not in text and "] :" not in text:
        return text
    names = "|".join(map(re.escape, book.names))
    return re.sub(rf"(?i)[ \t]+(?=\[(?:agent\s*->\s*)?(?:{names}|all|everyone)\]\s?:)", "\n", text)


def _marker(line: str, book: AddressBook, addressed: Iterable[str] = ()) -> _Marker | None:
    line = _MARKUP.sub("", line) if "<" in line else line
    if not line.strip() or "<" in line[:1]:
        return None
    if found := _MENTION.match(line[:LONGEST_ADDRESS]):
        named = book.audience(found["name"].replace("@", ""), addressed)
        return _Marker(named, line[found.end() :]) if named or ":" in found.group() else None
    if line.lstrip().startswith("|"):
        return _row(line, book)
    for head, rest, closed in _heads(line):
        marker = _read_head(head, rest, book, addressed, closed=closed)
        if marker:
            return marker
    return _salutation(line, book)


def _heads(line: str) -> Iterator[tuple[str, str, bool]]:
    """Yields (text that may be an address, rest of the line, whether punctuation ends the address)."""
    opening = line.lstrip(" >#*_-\t")[:1]
    closing = {"[": "]", "(": ")"}.get(opening, "")
    cuts = [(found.start(), found.end()) for found in _DASH.finditer(line, 0, LONGEST_ADDRESS)][:1]
    cuts += [(found.start(), found.end()) for found in re.finditer("[:：]", line[:LONGEST_ADDRESS])][:_MAX_CUTS]
    if closing and (bracket := line.find(closing, 0, LONGEST_ADDRESS)) >= 0:
        cuts.append((bracket, bracket + 1))
    for start, end in sorted(cuts):
        yield line[:start], line[end:], True
    if len(line) <= LONGEST_ADDRESS and not _greets(line):
        yield line, "", False


def _read_head(head: str, rest: str, book: AddressBook, addressed: Iterable[str], *, closed: bool) -> _Marker | None:
    plain = re.sub(r"^(?:[^\w@<>→➔➜➡⇒*=-]|\*|-(?!-*>)|=(?!=*>)|\d+[.)]\s)+", "", head.strip()).strip()
    rest = _CLOSING.sub("", rest).rstrip()
    without_arrow = _ARROW.sub("", plain)
    if without_arrow != plain:
        return _Marker(book.audience(without_arrow, addressed), rest)
    prefix = _PREFIX.match(plain) or _FIELD.match(plain)
    address = plain[prefix.end() :] if prefix else plain
    reached = book.exact_audience(address, addressed)
    if reached:
        return _Marker(reached, rest)
    if prefix and closed and _TO.match(plain) and _is_unknown_name(address):
        return _Marker((), rest)
    return None


def _is_unknown_name(text: str) -> bool:
    """Returns whether the text after "To" looks like a person: one or two capitalised words that are no phrase."""
    words = text.strip(" *_`\"'").split()
    return 1 <= len(words) <= 2 and all(word[:1].isupper() for word in words) and not _VERB.match(words[0])


def _greets(line: str) -> bool:
    greeting = _SALUTATION.match(line)
    return bool(greeting and re.search(r"\w", greeting.group()))


def _row(line: str, book: AddressBook) -> _Marker | None:
    """Reads a row of a Markdown table whose first cell is an address."""
    first, _, rest = line.strip().strip("|").partition("|")
    reached = book.exact_audience(first)
    return _Marker(reached, rest.strip(" |")) if reached else None


def _salutation(line: str, book: AddressBook) -> _Marker | None:
    greeting = _SALUTATION.match(line)
    start, greeted = greeting.end() if greeting else 0, _greets(line)
    if not greeted and not line[start : start + 1].isupper():
        return None
    reached: tuple[str, ...] = ()
    for found in _STOP.finditer(line, start, start + LONGEST_ADDRESS):
        named = book.exact_audience(line[start : found.start()])
        if not named:
            break
        if greeted or (found.group() in (",", "，") and not _NOT_SPOKEN_TO.match(line, found.end())):
            reached = named
    return _Marker(reached, line, clear=False) if reached else None
