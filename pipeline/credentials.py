"""Finding credentials in text, so that none is stored with a trace.

A model may repeat a key that a gateway, a tool or its own training put before it.  Known by their shape are the keys of
OpenAI and those who copy its form (``sk-``), AWS (``AKIA``, ``ASIA``), GitHub (``ghp_`` and its kin, ``github_pat_``),
Slack (``xoxb-`` and its kin) and Google (``AIza``), private keys in PEM, long bearer tokens and JSON web tokens.
Anything without such a shape (a password, a key of hexadecimal digits) cannot be told from ordinary words and stays.

The work is linear in the text, whatever the text.
"""

import re

MASK = "[credential]"
"""Stands for what was found; holds nothing that would be found again."""

_MARKERS = (
    *("sk-", "AKIA", "ASIA", "ghp_", "gho_", "ghu_", "ghs_", "ghr_", "github_pat_", "xox", "AIza"),
    *("PRIVATE KEY", "earer", "eyJ"),
)
"""Every shape holds one of these; a text without them, as nearly all are, is done with a few searches."""
_CREDENTIAL = re.compile(
    r"""
    (?<![\w-])sk-(?=[a-z_-]{0,40}[0-9A-Z])[\w-]{20,}+                       # hyphenated words are no key
    | (?<![A-Za-z0-9])A[KS]IA[0-9A-Z]{16}(?![A-Za-z0-9])
    | (?<!\w)gh[pousr]_[A-Za-z0-9]{30,}+
    | (?<!\w)github_pat_\w{22,}+
    | (?<![\w-])xox[abeprs]-(?=[A-Za-z-]{0,10}[0-9])[A-Za-z0-9-]{10,}+
    | (?<![\w-])AIza[\w-]{35}(?![\w-])
    | -----BEGIN[ ](?:[A-Z0-9]{1,20}[ ]){0,4}PRIVATE[ ]KEY(?:[ ]BLOCK)?-----
      (?:
        (?:[^-]|-(?!----)){0,20000}+-----END[ ][A-Z0-9 ]{1,80}-----
        | (?:[\s\\]|[A-Za-z0-9+/=]{16,}+)*+                                 # cut off
      )
    | (?<!\w)[Bb]earer\s{1,4}(?=[A-Za-z._~+/-]{0,80}[0-9])[\w.~+/-]{24,}(?<!\.)=*+
    | (?<![\w-])eyJ[\w-]{8,}+\.eyJ[\w-]{8,}+\.[\w-]{8,}+
    """,
    re.ASCII | re.VERBOSE,
)


def mask(text: str) -> tuple[str, int]:
    """*text* with :data:`MASK` in place of every credential, and how many there were."""
    if not any(marker in text for marker in _MARKERS):
        return text, 0
    return _CREDENTIAL.subn(MASK, text)
