"""Masks credentials in text, so that none is stored with a trace.

A model may repeat a key from a gateway, a tool or its training data.  A credential is recognised

* by its format: keys of the providers that a run can call (:mod:`muses_eval.pipeline.providers`), of AWS, Google,
  GitHub, GitLab, Hugging Face, Slack, Stripe and other services whose keys have a fixed prefix; private keys in PEM;
  JSON web tokens; long bearer tokens and basic authorization headers;
* by its context: the password in a URL, and a value assigned to a name that ends in API key, secret, token, password or
  the like (``API_KEY=…``, ``"client_secret": "…"``) if it has at least 16 characters with digits and letters of both
  cases, or at least 32 with digits and letters.

Other secrets (a short password, a key of hexadecimal digits only) look like ordinary words and are not masked.  The
fictitious keys of the scenarios are not masked either: they are data of the benchmark, and a trace without them could
not be rescored.  The work is linear in the length of the text.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from typing import Any

from muses_eval.pipeline.providers import PROVIDERS

MASK = "[credential]"
"""Replacement of a credential; it is not recognised as a credential itself."""


@dataclass(frozen=True, slots=True)
class _Shape:
    """The format of one kind of credential."""

    markers: tuple[str, ...]
    """Lower-case substrings; a text without any of them does not contain this kind."""
    pattern: re.Pattern[str]
    mask: str = MASK
    """Replacement of a match."""


def _shape(markers: str, pattern: str, mask: str = MASK) -> _Shape:
    return _Shape(tuple(markers.split()), re.compile(pattern, re.ASCII | re.VERBOSE), mask)


_PREFIXES = ("hf_", "gsk_", "npm_", "r8_", "glpat-", "xai-", "pplx-", "sk_live_", "sk_test_", "rk_live_", "dop_v1_")

_LEAST = 15
_SIGNS = r"_/+~!@\#$%^&*-"

_SHAPES = (
    _shape(
        "-----begin",
        r"""-----BEGIN[ ](?:[A-Z0-9]{1,20}[ ]){0,4}PRIVATE[ ]KEY(?:[ ]BLOCK)?-----
        (?:
          (?:[^-]|-(?!----)){0,20000}+-----END[ ][A-Z0-9 ]{1,80}-----
          | (?:[\s\\]|[A-Za-z0-9+/=]{16,}+)*+                               # truncated
        )""",
    ),
    _shape("://", r"(://[^\s/:@?\#]{0,200}:)[^\s/@?\#\[]{1,200}+(?=@[\w\[])", rf"\1{MASK}"),
    _shape("bearer", r"(?<!\w)[Bb]earer\s{1,4}(?=[A-Za-z._~+/-]{0,80}[0-9])[\w.~+/-]{24,}(?<!\.)=*+"),
    _shape(
        "basic",
        r"([Aa]uthorization[\"']?\s?:\s{0,3}[\"']?[Bb]asic\s)[A-Za-z0-9+/]{15,}+=*+",
        rf"\1{MASK}",
    ),
    _shape("eyj", r"(?<![\w-])eyJ[\w-]{8,}+\.eyJ[\w-]{8,}+\.[\w-]{8,}+"),
    _shape("akia asia", r"(?<![A-Za-z0-9])A[KS]IA[0-9A-Z]{16}(?![A-Za-z0-9])"),
    _shape("aiza", r"(?<![\w-])AIza[\w-]{35}(?![\w-])"),
    _shape("ya29. gocspx-", r"(?<![\w-])(?:ya29\.|GOCSPX-)(?=[A-Za-z_-]{0,40}[0-9])[\w-]{20,}+"),
    _shape("ghp_ gho_ ghu_ ghs_ ghr_", r"(?<!\w)gh[pousr]_[A-Za-z0-9]{30,}+"),
    _shape("github_pat_", r"(?<!\w)github_pat_\w{22,}+"),
    _shape("xox", r"(?<![\w-])xox[abeprs]-(?=[A-Za-z-]{0,10}[0-9])[A-Za-z0-9-]{10,}+"),
    _shape("hooks.slack.com", r"(hooks\.slack\.com/services/)[A-Z0-9]{8,}+/[A-Z0-9]{8,}+/\w{16,}+", rf"\1{MASK}"),
    _shape(
        " ".join(_PREFIXES),
        rf"(?<![\w-])(?:{'|'.join(_PREFIXES)})(?=[A-Za-z_-]{{0,40}}[0-9])(?:(?<=-)[\w-]{{20,}}+|[A-Za-z0-9]{{20,}}+)",
    ),
)
_ASSIGNED = re.compile(
    rf"""([:=][=>]?\s{{0,3}}["'\\]{{0,2}})
    (?=[A-Za-z{_SIGNS}]{{0,80}}[0-9]) (?=[0-9{_SIGNS}]{{0,80}}[A-Za-z])
    (?: (?=[a-z0-9{_SIGNS}]{{0,80}}[A-Z]) (?=[A-Z0-9{_SIGNS}]{{0,80}}[a-z]) [A-Za-z0-9{_SIGNS}]{{16,}}+
      | [A-Za-z0-9{_SIGNS}]{{32,}}+ )
    =*+ (?![(\[]|\.\w)                                                  # a call or a lookup in code is not a value
    """,
    re.ASCII | re.VERBOSE,
)
"""A value with any name.  Such values are rare, so the name before it is checked last."""
_SECRET_NAME = re.compile(
    r"""(?: (?:api|access|account|private|secret|auth)[ _-]?key | secret | token | password | passwd | passphrase )
    ["'\\]{0,2}\s{0,3}\Z""",
    re.ASCII | re.VERBOSE | re.IGNORECASE,
)
_NAME_CHARS = 20


@cache
def _shapes() -> tuple[_Shape, ...]:
    """Returns all formats; those of the providers' keys are known when installed packages are loaded."""
    prefixes = tuple(dict.fromkeys(provider.key_prefix for provider in PROVIDERS.values() if provider.key_prefix))
    # Hyphenated words are not a key.
    keys = rf"(?<![\w-])(?:{'|'.join(prefixes)})(?=[a-z_-]{{0,40}}[0-9A-Z])[\w-]{{20,}}+"
    return (_shape(" ".join(prefixes).lower(), keys), *_SHAPES)


def mask_credentials(text: str) -> tuple[str, int]:
    """Returns *text* with every credential replaced by :data:`MASK`, and the number of credentials."""
    if not _may_hold_any(text):
        return text, 0
    lowered, total = text.lower(), 0
    for shape in _shapes():
        if any(marker in lowered for marker in shape.markers):
            text, found = shape.pattern.subn(shape.mask, text)
            total += found
    text, found = _mask_assigned(text)
    return text, total + found


def _mask_assigned(text: str) -> tuple[str, int]:
    found = 0

    def masked(match: re.Match[str]) -> str:
        nonlocal found
        before = text[max(0, match.start() - _NAME_CHARS) : match.start()]
        if not _SECRET_NAME.search(before):
            return match[0]
        found += 1
        return match[1] + MASK

    return _ASSIGNED.sub(masked, text), found


def _may_hold_any(text: str) -> bool:
    """Returns whether a text can contain a credential: most kinds have a minimum length without a space."""
    return "://" in text or "-----BEGIN" in text or max(map(len, text.split()), default=0) >= _LEAST


def mask_json(value: Any) -> Any:  # noqa: ANN401 - any JSON value, and the same kind of value back
    """Returns a JSON value with the credentials in all its strings masked.

    The key of a value in a mapping is treated like the name to which it is assigned.
    """
    match value:
        case str():
            return mask_credentials(value)[0]
        case Mapping():
            return {key: _named(str(key), inner) for key, inner in value.items()}
        case list() | tuple():
            return [mask_json(inner) for inner in value]
        case _:
            return value


def _named(name: str, value: object) -> object:
    if isinstance(value, str) and not mask_credentials(value)[1] and mask_credentials(f"{name}={value}")[1]:
        return MASK
    return mask_json(value)
