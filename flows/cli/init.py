"""``muses init``: writes a commented configuration to start from."""

import shlex
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from muses_eval.flows.cli import DONE
from muses_eval.flows.cli.output import echo
from muses_eval.flows.data.partial_file import partial_file
from muses_eval.pipeline.errors import ConfigError

EXAMPLE = Path(__file__).with_name("example_config.yaml")
"""A configuration with all options, most of them commented out."""


def init(
    file: Annotated[Path, Parameter(help="File to write.")] = Path("muses.yaml"),
    /,
    *,
    force: Annotated[bool, Parameter(help="Replace an existing file.")] = False,
) -> int:
    """Write a commented configuration with all options. It plays as it is, without a model or a key."""
    write_example(file, force=force)
    name = shlex.quote(str(file))
    echo(f"{file}: written. Show its plan with: muses plan {name}\nPlay it with: muses run {name}")
    return DONE


def write_example(file: Path, *, force: bool) -> None:
    """Writes the example, completely or not at all.

    Raises:
        ConfigError: the file exists and *force* is False, or it cannot be written.
    """
    if file.exists() and not force:
        raise ConfigError(
            f"{file}: already there; nothing was written. Choose another name, or replace it with --force"
        )
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        with partial_file(file) as part:
            part.write_bytes(EXAMPLE.read_bytes())
            if force:
                part.replace(file)
            else:
                file.hardlink_to(part)  # fails when another process has created the file meanwhile
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or error
        raise ConfigError(f"{file}: cannot be written ({why}); choose another file") from error
