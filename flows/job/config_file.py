"""Configurations as users write them: YAML files, and mappings with the same keys."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from muses_eval.pipeline.config.grid import has_grid
from muses_eval.pipeline.config.parse import parse_config, wrong_kind
from muses_eval.pipeline.config.run import RunConfig
from muses_eval.pipeline.errors import ConfigError


def parse_one_run(raw: Mapping[str, Any], source: str) -> RunConfig:
    """Parses the configuration of one run.  *source*: its name in messages.

    Raises:
        ConfigError: the configuration is invalid, or it is a grid.
    """
    if has_grid(raw):
        raise ConfigError(
            f"{source}: it has a grid, but this command is for one run; `muses flow sweep` plays all runs of a grid, "
            "and `muses plan` shows them"
        )
    return parse_config(raw, source)


def read_yaml(path: Path) -> Mapping[str, Any]:
    """Reads a configuration as it was written.

    Raises:
        ConfigError: the file cannot be read, or it is not YAML with keys and values.
    """
    from muses_eval.flows.job.strict_yaml import MAX_BYTES, parse_yaml

    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: the path has a NUL
        why = getattr(error, "strerror", None) or error
        raise ConfigError(f"{path}: cannot be read ({why}); name a YAML file, or give --model") from error
    raw = parse_yaml(data, str(path))
    if not isinstance(raw, Mapping):
        raise ConfigError(f"{path}: {wrong_kind(raw)}")
    return raw
