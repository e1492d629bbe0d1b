"""Names of fields whose values are secret, such as ``password``, ``apiKey`` and ``X-Auth-Token``."""

import re

_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+|[0-9]+")
_PASSWORD = frozenset(("password", "passwords", "passwd", "passphrase", "passcode", "pwd", "secret", "secrets"))
_SECRET = _PASSWORD | frozenset(
    ("apikey", "apikeys", "authorization", "bearer", "cookie", "cookies", "credential", "credentials", "jwt")
)
_KEY = frozenset(("access", "account", "api", "auth", "encryption", "master", "private", "secret", "shared", "signing"))
"""Words before ``key`` that make it a secret; ``sort_key`` is none."""
_GIVING = frozenset(("access", "api", "auth", "bearer", "refresh", "secret"))
"""Words before ``tokens`` that make them secrets; ``max_tokens`` is none."""
_COUNTED = frozenset(
    (
        *("bos", "cls", "eos", "mask", "pad", "sep", "unk", "special", "control", "image", "audio"),
        *("cached", "completion", "input", "output", "prompt", "reasoning", "total"),
        *("end", "first", "last", "max", "min", "new", "next", "page", "per", "start", "stop"),
    )
)
"""Words before ``token`` that make it a piece of text, a number of them, or a place in a list."""


def is_secret_name(name: str) -> bool:
    """Returns whether a field with this name holds a secret; upper case, ``-`` and ``_`` make no difference."""
    return _kind_of(name) is not None


def is_password_name(name: str) -> bool:
    """Returns whether a field with this name holds a password, of which a number can be one as well."""
    return _kind_of(name) == "password"


def _kind_of(name: str) -> str | None:
    words = [word.lower() for word in _WORD.findall(name)]
    match words:
        case [*_, last] if last in _PASSWORD:
            return "password"
        case [*before, "key" | "keys"]:
            secret = bool(before) and before[-1] in _KEY
        case [*before, "token"]:
            secret = not before or before[-1] not in _COUNTED
        case [*_, before, "tokens"]:
            secret = before in _GIVING
        case [*_, last]:
            secret = last in _SECRET
        case _:
            secret = False
    return "secret" if secret else None
