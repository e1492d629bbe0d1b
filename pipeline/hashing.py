"""Stable hashes of content: equal content has the same hash on every machine, in every process and in every version."""

import hashlib
import json
import re

_ID_BYTES = 16
_ENCODER = json.JSONEncoder(sort_keys=True, separators=(",", ":"))
"""Created once, because json.dumps would create an encoder for every id."""


def canonical(value: object) -> bytes:
    """Returns *value* as JSON with sorted keys and without spaces; equal values give equal bytes."""
    return _ENCODER.encode(value).encode()


def digest(*parts: object) -> str:
    """Returns 32 hex digits that identify the parts and their order."""
    return hashlib.blake2b(canonical(parts), digest_size=_ID_BYTES).hexdigest()


class PrefixHasher:
    """Hashes many values that share a long prefix; the prefix is hashed only once."""

    def __init__(self, *prefix: object) -> None:
        self._state = hashlib.blake2b(canonical(prefix), digest_size=_ID_BYTES)

    def digest(self, *parts: object) -> str:
        """Returns 32 hex digits that identify the prefix and the parts."""
        state = self._state.copy()
        state.update(canonical(parts))
        return state.hexdigest()


def slug(name: str) -> str:
    """Returns *name* as a path segment: letters, digits, dots, dashes and underscores; the rest becomes dashes."""
    return re.sub(r"[^A-Za-z0-9._]+", "-", name).strip("-.") or "unnamed"
