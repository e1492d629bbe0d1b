"""Options that the commands of datasets share."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from muses_eval.pipeline.config.parse import parse_config
from muses_eval.pipeline.config.run import RunConfig
from muses_eval.pipeline.errors import ConfigError

Families = Annotated[tuple[str, ...], Parameter(name="--family", help="Only this family; may be repeated.")]
Target = Annotated[str, Parameter(help="A JSONL file, a folder of them, or generated:SIZE@SEED.")]
Force = Annotated[bool, Parameter(help="Replace existing files with other content.")]

MAX_LISTED = 3
"""Number of names that a message lists."""


def dataset_config(dataset: str | Mapping[str, object], family: tuple[str, ...] = ()) -> RunConfig:
    """Returns the run configuration of a dataset and its families, so that all commands accept the same values."""
    return parse_config({"models": ["scripted/oracle"], "dataset": dataset, "families": family}, "command line")


def expanded(folder: Path) -> Path:
    """Returns a folder with ``~`` replaced.

    Raises:
        ConfigError: there is no such user.
    """
    try:
        return folder.expanduser()
    except RuntimeError as error:
        raise ConfigError(f"--out {folder}: {error}; write the full path") from error


def listed(names: Iterable[str]) -> str:
    """Returns the first names as text, and the number of the others."""
    found = list(names)
    rest = len(found) - MAX_LISTED
    return ", ".join(found[:MAX_LISTED]) + (f" and {rest} more" if rest > 0 else "")
