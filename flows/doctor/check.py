"""The result of one check."""

from collections.abc import Callable
from dataclasses import dataclass

from muses_eval.pipeline.errors import MusesError


@dataclass(frozen=True, slots=True)
class Finding:
    """Finding of a check that did not fail."""

    detail: str
    warning: str | None = None
    """A problem that does not end a run, and its remedy; None when there is none."""


@dataclass(frozen=True, slots=True)
class Check:
    """Result of one check."""

    what: str
    ok: bool
    """False for what would make a run fail."""
    detail: str
    """Finding; for a failed check, the problem and how to fix it."""
    warning: str | None = None
    """A problem that does not end a run, and its remedy; None when there is none."""


def checked(what: str, check: Callable[[], Finding | str]) -> Check:
    """Returns the result of *check*, which fails when it raises; no error ends the checks that follow."""
    try:
        found = check()
    except MusesError as error:
        return Check(what, False, str(error))
    except Exception as error:  # noqa: BLE001 - every error is reported, and the checks continue
        return Check(what, False, f"{type(error).__name__}: {error}")
    finding = Finding(found) if isinstance(found, str) else found
    return Check(what, True, finding.detail, finding.warning)
