"""Stable names for content: the same on any machine, in any process, in any year."""

import hashlib
import json
import re

_ID_BYTES = 16
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"))
"""Made once: json.dumps would make one for every id."""


def canonical(value: object) -> bytes:
    """*value* as JSON with sorted keys and no spaces; equal values give equal bytes."""
    return _ENCODER.encode(value).encode()


def digest(*parts: object) -> str:
    """32 hex digits that identify the parts, in their order."""
    return hashlib.blake2b(canonical(parts), digest_size=_ID_BYTES).hexdigest()


def seed_from(*parts: object) -> int:
    """A seed of 63 bits (it fits a signed 64-bit column) that follows from the parts."""
    return int(digest(*parts)[:16], 16) >> 1


class Derivation:
    """Ids that share a long beginning: hashes the beginning once, then one short ending an id."""

    def __init__(self, *common: object) -> None:
        self._state = hashlib.blake2b(canonical(common), digest_size=_ID_BYTES)

    def digest(self, *rest: object) -> str:
        state = self._state.copy()
        state.update(canonical(rest))
        return state.hexdigest()

    def seed(self, *rest: object) -> int:
        return int(self.digest(*rest)[:16], 16) >> 1


def slug(name: str) -> str:
    """*name* as a path segment: letters, digits, dot, dash and underscore; everything else becomes a dash."""
    return re.sub(r"[^A-Za-z0-9._]+", "-", name).strip("-.") or "unnamed"
