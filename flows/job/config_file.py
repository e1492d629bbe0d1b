"""Configurations as users write them: YAML files, and mappings with the same keys."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from muses_eval.pipeline.config.grid import has_grid
from muses_eval.pipeline.config.parse import parse_config
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
    import yaml

    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); name a YAML file, or give --model") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 (byte {error.start + 1}); save the file as UTF-8") from error
    try:
        raw = yaml.safe_load(text)
    except yaml.YAMLError as error:
        problem = " ".join(str(error).split()).replace('in "<unicode string>", ', "at ")
        raise ConfigError(f"{path}: not YAML: {problem}") from error
    if not isinstance(raw, Mapping):
        raise ConfigError(f"{path}: expected keys and values such as `models: [scripted/oracle]`, got {raw!r}")
    return raw
