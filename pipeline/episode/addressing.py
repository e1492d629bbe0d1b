"""Finds the addressees of a reply as a human reader would.

The briefing asks for ``{"target": name, "content": text}``.  Models also write arrays of these objects, other keys,
lower-case names, several names, or prose.  A text without an addressee is for all principals.
"""

import re
from collections.abc import Iterator, Mapping, Sequence

from muses_eval.pipeline.episode.interfaces import Action, Delivery
from muses_eval.pipeline.text.reply_parsing import as_text, first_value, json_objects, strip_reasoning

_TARGET_KEYS = ("target", "to", "recipient", "recipients", "user", "name")
_CONTENT_KEYS = ("content", "message", "text", "response", "reply", "body")
_LIST_KEYS = ("messages", "responses", "replies", "actions")
_EVERYBODY = frozenset({"all", "everyone", "everybody", "all users", "team", "the team", "group", "*"})
_SEPARATOR = re.compile(r"\s*(?:,|;|/|&|\band\b)\s*")
_ROLE_NOTE = re.compile(r"\s*\(.*?\)\s*$")
_ARROW = re.compile(r"^\W*(?:agent|assistant)?\s*(?:->|→|to)\s*@?(?P<name>[\w .-]+?)\W*:\s*", re.IGNORECASE)


def interpret(names: Sequence[str], reply: str) -> Action:
    """Parses a reply without its reasoning; never raises an exception."""
    reply = strip_reasoning(reply)
    deliveries: list[Delivery] = []
    report: str | None = None
    readable = False
    for value in _messages(reply):
        if _declared(value.get("goal_achieved")):
            report = as_text(value.get("final_report", ""))
        for targets, content in _addressed(value, names):
            readable = True
            if reached := audience(targets, names):
                deliveries.append(Delivery(reached, as_text(content)))
    if report is None and not readable and reply.strip():
        deliveries = _prose_deliveries(reply, names)
    return Action(tuple(deliveries), report or "", final=report is not None, readable=readable or report is not None)


def _declared(goal: object) -> bool:
    """Returns whether a value of ``goal_achieved`` means yes; the string ``"false"`` means no."""
    return goal.strip().casefold() not in ("", "false", "no", "none", "0") if isinstance(goal, str) else bool(goal)


def audience(target: object, names: Sequence[str]) -> tuple[str, ...]:
    """Returns the principals that a target names, in the scenario's order; empty when it names none of them."""
    by_key = {name.casefold(): name for name in names}
    reached = set()
    for entry in target if isinstance(target, list) else [target]:
        if not isinstance(entry, str):
            continue
        wanted = entry.strip().casefold()
        if wanted in _EVERYBODY:
            return tuple(names)
        for part in (wanted, *_SEPARATOR.split(wanted)):
            key = _ROLE_NOTE.sub("", part).lstrip("@").strip()
            if key in by_key:
                reached.add(by_key[key])
    return tuple(name for name in names if name in reached)


def _messages(reply: str) -> Iterator[Mapping[str, object]]:
    """Yields the objects of a reply, including those in a list under a key such as ``messages``."""
    for value in json_objects(reply):
        yield value
        for key in _LIST_KEYS:
            nested = value.get(key)
            if isinstance(nested, list):
                yield from (entry for entry in nested if isinstance(entry, dict))


def _addressed(value: Mapping[str, object], names: Sequence[str]) -> Iterator[tuple[object, object]]:
    """Yields the (target, content) pairs of one object.  Its keys may also be the names of principals."""
    target = first_value(value, _TARGET_KEYS)
    content = first_value(value, _CONTENT_KEYS)
    if target is not None and content is not None:
        yield target, content
    elif value and all(audience(key, names) for key in value):
        yield from value.items()


def _prose_deliveries(reply: str, names: Sequence[str]) -> list[Delivery]:
    """Splits prose by lines: text after ``Agent -> Name:`` is for that principal, text before the first one for all."""
    current = tuple(names)
    blocks: list[tuple[tuple[str, ...], list[str]]] = []
    for line in reply.strip().splitlines():
        marked = _ARROW.match(line)
        reached = audience(marked["name"], names) if marked else ()
        current = reached or current
        if not blocks or blocks[-1][0] != current:
            blocks.append((current, []))
        blocks[-1][1].append(line[marked.end() :] if marked and reached else line)
    texts = ((reached, "\n".join(lines).strip()) for reached, lines in blocks)
    return [Delivery(reached, text) for reached, text in texts if text]
