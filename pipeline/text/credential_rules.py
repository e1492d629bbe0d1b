"""The rules of gitleaks for the formats of credentials, in Python's syntax of regular expressions.

``gitleaks.toml`` is the default configuration of gitleaks 8.30.1 (MIT license, ``gitleaks.LICENSE``).  A new version
replaces the file as it is.  Gitleaks reads files of source code; here, in prose and messages,

* a credential may be followed by any character that cannot be part of it, such as a comma;
* rules for certain kinds of files are left out, as are rules that :mod:`.credential_kinds` replaces because they need
  more than linear time, or take ordinary words for credentials.
"""

import re
import tomllib
from dataclasses import dataclass
from functools import cache
from importlib.resources import files

_REPLACED = frozenset(("curl-auth-header", "curl-auth-user", "generic-api-key", "jwt", "private-key"))
_NAME_PREFIX = r"[\w.-]{0,50}?"
"""Beginning of many rules; it finds the whole name before a value, which is not needed here, and costs time."""
_END = r"""(?:[\x60'"\s;]|\\[nr]|$)"""
_FLAG = re.compile(r"\(\?([ims]+)\)")


@dataclass(frozen=True, slots=True)
class CredentialRule:
    """One format of credentials."""

    name: str
    keywords: tuple[str, ...]
    """Lower-case substrings; a text without any of them does not contain this kind."""
    source: str
    """Regular expression in Python's syntax, with ASCII classes."""
    group: int | None = None
    """Number of the group that is the credential; None: the first group that took part, or the whole match."""

    def secret(self, match: re.Match[str]) -> tuple[int, int]:
        """Returns the span of the credential in a match."""
        if self.group is not None:
            return match.span(self.group)
        return next((match.span(n) for n in range(1, len(match.groups()) + 1) if match[n] is not None), match.span())


@cache
def gitleaks_rules() -> tuple[CredentialRule, ...]:
    """Returns the rules; the first call reads the file."""
    raw = tomllib.loads(files(__package__).joinpath("gitleaks.toml").read_text(encoding="utf-8"))
    return tuple(
        CredentialRule(rule["id"], tuple(rule["keywords"]), python_pattern(rule["regex"]), rule.get("secretGroup"))
        for rule in raw["rules"]
        if "path" not in rule and rule["id"] not in _REPLACED
    )


@cache
def compiled(rule: CredentialRule) -> re.Pattern[str]:
    """Returns the compiled expression of a rule; a tenth of a second for all, and few are needed."""
    return re.compile(rule.source, re.ASCII)


def python_pattern(source: str) -> str:
    """Returns a regular expression of Go's RE2 in Python's syntax; the end of a rule becomes the end of a word.

    Go's flags hold from their place to the end of the group, Python's only within ``(?i:...)``.
    """
    source = source.replace(_NAME_PREFIX, "").replace(_END, r"(?!\w)").replace(r"\z", r"\Z")
    source = source.replace("[:alnum:]", "A-Za-z0-9")
    pieces: list[str] = []
    flags: list[str] = [""]
    """Flags that hold in each open group, as opened by a flag inside it."""
    at, in_class = 0, False
    while at < len(source):
        found = None if in_class else _FLAG.match(source, at)
        if found:
            pieces.append((")" if flags[-1] else "") + f"(?{found[1]}:")
            flags[-1] = found[1]
            at = found.end()
            continue
        piece = source[at : at + 2] if source[at] == "\\" else source[at]
        at += len(piece)
        if in_class or piece == "[":
            in_class = piece != "]"
        elif piece == "(":
            flags.append("")
        elif piece == ")":
            piece += ")" if flags.pop() else ""
        elif piece == "|" and flags[-1]:
            piece = f")|(?{flags[-1]}:"
        pieces.append(piece)
    return "".join(pieces) + (")" if flags[0] else "")
