"""The configuration that a function of the API is given: a file, a mapping, or a parsed configuration."""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeAlias

from muses_eval.flows.job.config_file import parse_one_run, read_yaml
from muses_eval.pipeline.config.run import RunConfig
from muses_eval.pipeline.errors import ConfigError

ConfigSource: TypeAlias = RunConfig | Mapping[str, Any] | str | os.PathLike[str]
"""The path of a YAML file, a mapping with the same keys (docs/reference.md), or a parsed configuration."""


def read_config(source: ConfigSource, store: str | os.PathLike[str] | None, default_store: str) -> RunConfig:
    """Returns the configuration of one run.

    Args:
        source: the configuration.
        store: store of the run; None for that of the configuration.
        default_store: store of the run when neither names one.

    Raises:
        ConfigError: the file cannot be read, or the configuration is invalid or a grid.
    """
    named = {} if store is None else {"store": os.fspath(store)}
    if isinstance(source, RunConfig):
        return source.model_copy(update=named)
    if isinstance(source, Mapping):
        return parse_one_run({"store": default_store, **source, **named}, "argument")
    try:
        path = Path(source)
    except TypeError as error:
        kind = type(source).__name__
        raise ConfigError(
            f"argument: expected the path of a YAML file, a mapping or a RunConfig, got a {kind}"
        ) from error
    return parse_one_run({"store": default_store, **read_yaml(path), **named}, str(path))
