"""Finds the principals whom an address names.

Examples of addresses: ``Bo``, ``@bo (CTO)``, ``Bo and Cy``, ``everyone except Bo``, ``all participants``.  An address
that names none of the principals reaches none of them.
"""

import re
import unicodedata
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import lru_cache

LONGEST_ADDRESS = 400
"""Characters of a text that may be an address; a longer text is none."""
_MAX_DEPTH = 4
_NAME_KEYS = frozenset({"name", "id", "user", "username", "userid", "target", "to", "recipient"})

_EXCEPTION = re.compile(
    r"\s*[,(]?\s*\b(?:except(?:ing)?(?: for)?|but(?: not)?|other than|excluding|exclude|without|minus|apart from|"
    r"aside from|bar|not|außer|ausser|ohne|sauf|excepté|hormis|excepto|salvo|menos|tranne|eccetto|exceto)\b\s*"
)
_COPY = re.compile(r"[(\[]?\bb?cc\b\s*:?")
_SEPARATOR = re.compile(
    r"\s*(?:[,;/&+|、，；]|\s(?=@)|\b(?:and|und|et|y|e|plus|as well as|along with|with)\b|和|と)\s*"
)
_DECORATION = " \t\r\n\"'`“”‘’«»„*_~#[](){}<>:.!?=-–—•·→,;"
_LEAD = re.compile(
    r"^(?:(?:dear|hi|hello|hey|to|for|the|only|just|user|users?:|principal|participant|member|employee|colleague|person|"
    r"agent|assistant|name:|id:|mr|mrs|ms|dr|an|für|pour|para|à|per)\b\.?\s*|[-=]*>\s*|@\s*|→\s*)+"
)
_TAIL = re.compile(r"(?:\s*[(\[].*|\s+[-–—]\s+.*|(?:'s|’s)?[ _-](?:persona|profile)|\s+(?:only|alone|privately))$")
_PEOPLE = (
    "you|us|them|users?|participants?|members?|people|persons?|principals?|parties|part(?:y|ies)|attendees|employees|"
    "staff|colleagues|recipients|humans|teammates|team|group|channel|chat|room|company|organi[sz]ation|guys|folks|"
    "stakeholders|requesters|present|involved|here|concerned"
)
_GROUP = re.compile(
    rf"^(?:all|everyone|everybody|every one|both|each|every|team|group|channel|here|broadcast|public|any(?:one|body)|"
    rf"whole|entire|participants|users|folks|y'?all|\*|alle|beide|tous|toutes|tout le monde|todos|todas|ambos|tutti|"
    rf"entrambi|iedereen|wszyscy|все|大家|所有人|全员|全員|全体|みんな|皆さん)"
    rf"(?:\s+(?:of|the|in|on|this|our|two|three|four|five|\d+|other|and|{_PEOPLE}))*$"
)
_AUTHORIZED = re.compile(
    rf"^(?:(?:all|every(?:one|body)?|each|any(?:one|body)?|both|of|the|those|{_PEOPLE})\s+)*"
    r"(?:(?:who|that)\s+)?(?:(?:is|are|has|have|been)\s+)*"
    rf"(?:(?P<no>un|non-?\s*|not\s+)?(?:authori[sz]ed|cleared)(?:\s+(?:{_PEOPLE}|personnel|only))*|"
    r"(?:with|have|has|(?P<without>without|(?:with|have|has)\s+no))\s+(?:access|authori[sz]ation|clearance|permissions?))$"
)
_OTHERS = re.compile(
    r"^(?:(?:every(?:one|body)|all|the|any(?:one|body))\s+)*(?:else|others?|rest|remaining|übrigen|anderen|autres|demás|otros|"
    rf"altri)(?:\s+(?:of|the|{_PEOPLE}))*$"
)


@dataclass(frozen=True, slots=True)
class AddressBook:
    """The principals of a scenario, as addresses may name them."""

    names: tuple[str, ...]
    authorized: tuple[str, ...] | None = None
    """Names that "all authorised users" means; None when the scenario knows no such group."""

    def audience(self, address: object, addressed: Iterable[str] = ()) -> tuple[str, ...]:
        """Returns the principals that an address names, in the scenario's order; empty when it names none.

        Args:
            address: a string, an object such as ``{"name": "Bo"}``, or a list of these.
            addressed: principals that the same reply addresses by name; "everyone else" means the others.
        """
        reached = self._read(address, frozenset(addressed), _MAX_DEPTH)
        return tuple(name for name in self.names if name in reached)

    def exact_audience(self, text: str, addressed: Iterable[str] = ()) -> tuple[str, ...]:
        """Returns the principals that a text names when it is nothing but an address; else an empty tuple."""
        if len(text) > LONGEST_ADDRESS:
            return ()
        parts = [part for part in _SEPARATOR.split(_EXCEPTION.sub(", ", _folded(text))) if part]
        named = frozenset(addressed)
        if (parts and all(self._name(part) or self._group(part, named) for part in parts)) or self._group(
            _folded(text), named
        ):
            return self.audience(text, named)
        return (name,) if (name := self._name(_folded(text))) else ()

    def _read(self, address: object, addressed: frozenset[str], depth: int) -> set[str]:
        parts: Iterable[object] = ()
        if isinstance(address, str):
            return self._read_text(address, addressed) if len(address) <= LONGEST_ADDRESS else set()
        if isinstance(address, Mapping):
            parts = [value for key, value in address.items() if str(key).casefold() in _NAME_KEYS]
        elif isinstance(address, list | tuple):
            parts = address[:LONGEST_ADDRESS]
        return set().union(*(self._read(part, addressed, depth - 1) for part in parts)) if depth else set()

    def _read_text(self, address: str, addressed: frozenset[str]) -> set[str]:
        if address in self.names:  # whatever the words of the name mean elsewhere, as in "Bar Cohen"
            return {address}
        text = _folded(address)
        if _AUTHORIZED.match(text):
            return self._group(text, addressed)
        base, rest = _partition(_EXCEPTION, text)
        if found := self._group(base, addressed):
            return found - self._members(rest, addressed)
        return self._group(text, addressed) or self._members(base, addressed) - self._members(rest, addressed)

    def _members(self, text: str, addressed: frozenset[str]) -> set[str]:
        reached: set[str] = set()
        for part in (text, *_SEPARATOR.split(text)):
            if (name := self._name(part)) is not None:
                reached.add(name)
            else:
                reached |= self._group(part, addressed)
        return reached

    def _name(self, text: str) -> str | None:
        """Returns the principal that a text names, without decoration and role."""
        by_key = _names_by_key(self.names)
        plain = text.strip()
        for _ in range(4):
            if plain in by_key:
                return by_key[plain]
            shorter = _TAIL.sub("", _LEAD.sub("", plain.replace("_", " "))).strip(_DECORATION).removeprefix("@")
            if shorter == plain:
                break
            plain = shorter
        return by_key.get(plain)

    def _group(self, text: str, addressed: frozenset[str]) -> set[str]:
        plain = text.strip()
        if plain not in ("*", "@*"):
            plain = " ".join(_LEAD.sub("", plain.strip(_DECORATION)).strip(_DECORATION + "@").replace("_", " ").split())
        if _GROUP.match(plain):
            return set(self.names)
        if found := _AUTHORIZED.match(plain):
            if self.authorized is None:
                return set()
            insiders = set(self.authorized)
            return set(self.names) - insiders if found["no"] or found["without"] else insiders
        return set(self.names) - addressed if _OTHERS.match(plain) else set()


@lru_cache(maxsize=256)
def _names_by_key(names: tuple[str, ...]) -> Mapping[str, str]:
    return {key: name for name in names for key in (name.casefold().replace("_", " "), name.casefold())}


def _folded(text: str) -> str:
    return _COPY.sub(",", unicodedata.normalize("NFKC", text).casefold()).strip()


def _partition(pattern: re.Pattern[str], text: str) -> tuple[str, str]:
    found = pattern.search(text)
    return (text[: found.start()], text[found.end() :]) if found else (text, "")
