"""The access token of a server, and the sessions of the visitors who signed in with it."""

import hmac
import re
from dataclasses import dataclass, field

from muses_eval.pipeline.errors import ConfigError

MIN_CHARS = 16
MIN_DIFFERENT_CHARS = 8
SESSION_S = 7 * 86_400
"""Seconds from signing in to the end of a session."""
_MORE = "make one with: python -c 'import secrets; print(secrets.token_urlsafe(24))'"


@dataclass(frozen=True, slots=True)
class AccessToken:
    """A checked token.  The repr does not contain it."""

    value: str = field(repr=False)

    @classmethod
    def parse(cls, text: str, source: str) -> "AccessToken":
        """Checks a token; spaces and line ends around it do not count.

        Args:
            text: the token.
            source: where it comes from, for errors, which never quote it.

        Raises:
            ConfigError: the token is empty, or easy to guess, or contains characters that a form or a header changes.
        """
        value = text.strip()
        if not value:
            raise ConfigError(f"{source}: the access token is empty; {_MORE}")
        if not re.fullmatch(r"[!-~]+", value):
            raise ConfigError(f"{source}: expected a token of ASCII characters without spaces; {_MORE}")
        if len(value) < MIN_CHARS or len(set(value)) < MIN_DIFFERENT_CHARS:
            raise ConfigError(
                f"{source}: the access token is easy to guess; expected at least {MIN_CHARS} characters,"
                f" {MIN_DIFFERENT_CHARS} of them different; {_MORE}"
            )
        return cls(value)

    @property
    def cookie_name(self) -> str:
        """Name of the cookie; another one for each token, since the servers of one host share their cookies."""
        return f"muses-{self._signature('cookie')[:8]}"

    def matches(self, given: str) -> bool:
        """Compares in constant time."""
        return hmac.compare_digest(given.encode(), self.value.encode())

    def new_session(self, now: float) -> str:
        """Returns a signed session, valid for ``SESSION_S`` from *now* (seconds since 1970); not the token itself."""
        ends = str(int(now + SESSION_S))
        return f"{ends}.{self._signature(ends)}"

    def admits(self, session: str, now: float) -> bool:
        """Returns True for a session that :meth:`new_session` made and that has not ended at *now*."""
        ends, _, signature = session.partition(".")
        known = hmac.compare_digest(signature.encode(), self._signature(ends).encode())
        return known and ends.isdecimal() and now < int(ends)

    def _signature(self, text: str) -> str:
        return hmac.new(self.value.encode(), f"muses dashboard {text}".encode(), "sha256").hexdigest()
