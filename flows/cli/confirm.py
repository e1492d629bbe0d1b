"""Consent to a deletion: asked on a terminal, given by ``--yes`` elsewhere."""

import sys
from typing import Annotated

from cyclopts import Parameter
from muses_eval.pipeline.errors import ConfigError

Yes = Annotated[bool, Parameter(name="--yes", help="Delete without asking. Needed where there is no terminal.")]


def require_consent(what: str) -> None:
    """Asks on the terminal whether to delete *what*, such as "3 runs", and returns when the answer is yes.

    Raises:
        ConfigError: the answer is not yes, or there is no terminal to ask on.
    """
    if not (sys.stdin.isatty() and sys.stderr.isatty()):
        raise ConfigError(f"{what} would be deleted, and nothing was; to delete, add --yes")
    print(f"Delete {what}? [y/N] ", end="", file=sys.stderr, flush=True)  # noqa: T201 - a question, not data
    if sys.stdin.readline().strip().lower() not in ("y", "yes"):
        raise ConfigError("nothing was deleted")
