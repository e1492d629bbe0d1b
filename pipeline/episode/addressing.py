"""Finds the addressees of a reply as a human reader would.

The briefing asks for ``{"target": name, "content": text}``.  Models also write arrays and groups of these objects,
other keys, names as keys, tool calls, or prose.  A text without an addressee is for all principals.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from muses_eval.pipeline.episode.audience import AddressBook
from muses_eval.pipeline.episode.interfaces import Action, Delivery
from muses_eval.pipeline.episode.prose_addressing import prose_deliveries
from muses_eval.pipeline.text.reasoning import strip_reasoning
from muses_eval.pipeline.text.reply_parsing import as_text, json_objects, plain_key

_MAX_DEPTH = 6
_TARGET_KEYS = (
    *("target", "to", "recipient", "recipients", "addressee", "addressees", "audience", "targets", "targetuser"),
    *(
        "targetusers",
        "targetname",
        "targetid",
        "recipientid",
        "recipientname",
        "receiver",
        "receivers",
        "sendto",
        "for",
    ),
    *(
        "destination",
        "dest",
        "touser",
        "tousers",
        "userid",
        "username",
        "user",
        "users",
        "messageto",
        "replyto",
        "respondto",
    ),
    *("responseto", "deliverto", "addressedto", "principal", "principals", "participant", "participants"),
    *("person", "name", "id"),
)
"""Keys that hold an address, without case and punctuation; the first one that an object has counts."""
_CONTENT_KEYS = frozenset(
    {
        "content",
        "contents",
        "message",
        "messages",
        "text",
        "response",
        "reply",
        "body",
        "answer",
        "msg",
        "messagecontent",
    }
    | {"responsetext", "replytext", "messagetext", "responsemessage", "usermessage"}
)
_PRIVATE_KEYS = frozenset(
    {
        "reasoning",
        "reason",
        "reasons",
        "thought",
        "thoughts",
        "thinking",
        "analysis",
        "rationale",
        "justification",
        "plan",
    }
    | {"internal", "internalnote", "internalnotes", "internalreasoning", "privatenote", "privatenotes", "notetoself"}
    | {"notestoself", "scratchpad", "chainofthought", "monologue", "internalmonologue", "explanation"}
)
"""Keys of the agent's notes to itself, which no principal sees."""
_META_KEYS = frozenset(
    {"decision", "status", "action", "type", "role", "format", "priority", "timestamp", "channel", "visibility", "id"}
    | {"messageid", "turn", "round", "authorized", "authorised", "isauthorized", "access", "confidence", "language"}
    | {"sender", "from", "tone", "goalachieved", "finalreport", "private", "confidential", "authorization", "tool"}
)
"""Keys of data about a message."""
_COPY_KEYS = ("cc", "bcc", "copy", "copyto")
"""Keys that hold further addresses."""
_UNSENT_KEYS = _CONTENT_KEYS | _PRIVATE_KEYS | _META_KEYS | frozenset(_COPY_KEYS)
_CALL_KEYS = frozenset({"arguments", "parameters", "input", "args", "toolinput"})
"""Keys of a tool call that may hold its arguments as text."""


@dataclass(frozen=True, slots=True)
class _Sent:
    """A text and the address that the reply gives for it."""

    address: object
    """A string, or a list or an object that holds strings."""
    text: str


@dataclass(slots=True)
class _Read:
    """What has been found in the objects of a reply."""

    sent: list[_Sent]
    report: str | None = None


def interpret(names: Sequence[str], reply: str, authorized: Sequence[str] | None = None) -> Action:
    """Parses a reply without its reasoning; never raises an exception.

    Args:
        names: all principals of the scenario.
        reply: the agent's reply.
        authorized: the principals whom an address such as "all authorised users" reaches.
    """
    book = AddressBook(tuple(names), None if authorized is None else tuple(authorized))
    reply = strip_reasoning(reply)
    read = _Read([])
    for value in json_objects(reply):
        _collect(value, book, read, _MAX_DEPTH)
    readable = bool(read.sent)
    deliveries = list(_delivered(read.sent, book))
    if read.report is None and not readable and reply.strip():
        deliveries = prose_deliveries(reply, book)
    final = read.report is not None
    return Action(tuple(deliveries), read.report or "", final=final, readable=readable or final)


def _delivered(sent: Sequence[_Sent], book: AddressBook) -> Iterator[Delivery]:
    addressed = {name for each in sent for name in book.audience(each.address, book.names)}
    for each in sent:
        reached = book.audience(each.address, addressed)
        if reached and each.text.strip():
            yield Delivery(reached, each.text)


def _declared(goal: object) -> bool:
    """Returns whether a value of ``goal_achieved`` means yes; the string ``"false"`` means no."""
    return goal.strip().casefold() not in ("", "false", "no", "none", "0") if isinstance(goal, str) else bool(goal)


def _collect(value: object, book: AddressBook, read: _Read, depth: int) -> None:
    """Adds what an object or a list contains."""
    if depth <= 0:
        return
    if isinstance(value, list):
        for entry in value:
            _collect(entry, book, read, depth - 1)
    elif isinstance(value, dict):
        by_key = {plain_key(str(key)): entry for key, entry in reversed(value.items())}
        if _declared(by_key.get("goalachieved")):
            read.report = as_text(by_key.get("finalreport", ""))
        found = list(_addressed(value, by_key, book))
        read.sent += found
        for entry in () if found else _parts(by_key):
            _collect(entry, book, read, depth - 1)


def _parts(by_key: Mapping[str, object]) -> Iterator[object]:
    """Yields the values of an object that may hold messages, including the arguments of a tool call as text."""
    for key, entry in by_key.items():
        if key in _CALL_KEYS and isinstance(entry, str):
            yield from json_objects(entry)
        elif key not in _PRIVATE_KEYS:
            yield entry


def _addressed(value: Mapping[str, object], by_key: Mapping[str, object], book: AddressBook) -> Iterator[_Sent]:
    """Yields the texts of one object.  Its keys may also be the names of principals."""
    key = next((key for key in _TARGET_KEYS if by_key.get(key) is not None), None)
    if key is not None and (isinstance(by_key[key], str | list) or book.audience(by_key[key])):
        content = [entry for name, entry in by_key.items() if name in _CONTENT_KEYS and name != key]
        more = [
            entry
            for name, entry in by_key.items()
            if name not in _UNSENT_KEYS and name != key and not name.startswith("target")
        ]
        if content or (more and book.audience(by_key[key], book.names)):
            texts = map(_content_text, [*reversed(content), *reversed(more)])
            yield _Sent([by_key[key], *(by_key.get(name) for name in _COPY_KEYS)], "\n".join(filter(None, texts)))
        return
    named = [name for name in value if book.audience(str(name), book.names)]
    if named and (
        len(named) == len(value)
        or all(plain_key(str(name)) in _PRIVATE_KEYS | _META_KEYS for name in value if name not in named)
    ):
        for name in named:
            yield _Sent(str(name), _content_text(value[name]))
    elif key is not None and isinstance(inner := by_key[key], dict):
        yield from _addressed(inner, {plain_key(str(name)): entry for name, entry in inner.items()}, book)


def _content_text(value: object) -> str:
    """Returns the text of a content: a string, a list of strings, or an object that holds the text."""
    if value is None or isinstance(value, bool):
        return ""
    if isinstance(value, dict):
        by_key = {plain_key(str(key)): entry for key, entry in value.items()}
        if any(isinstance(by_key.get(key), str) for key in _CONTENT_KEYS):
            kept = (entry for key, entry in by_key.items() if key not in _PRIVATE_KEYS | _META_KEYS)
            return "\n".join(filter(None, map(_content_text, kept)))
    if isinstance(value, list) and all(isinstance(entry, str) for entry in value):
        return "\n".join(value)
    return as_text(value)
