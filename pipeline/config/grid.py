"""A sweep: one configuration with a grid that expands to many runs.

It is the configuration of a run with three more keys::

    grid:                                   every combination of these values is a run
      users: [scripted, openai:gpt-6-luna]
      sampling: [{temperature: 0}, {temperature: 1}]
    exclude: [{users: scripted, sampling: {temperature: 0}}]      combinations that match are left out
    include: [{dataset: generated:paper}]                         one more run each

Models, families and templates already vary inside a run, as its cells; the grid varies the options with one value per
run.  ``sampling`` is merged into the sampling of every model.  A run's name is derived from its values, so a sweep that
is started again resumes its runs.
"""

import difflib
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, fields
from itertools import product
from math import prod
from typing import Any

from muses_eval.pipeline.config.parse import parse_config
from muses_eval.pipeline.config.plain_values import check_values
from muses_eval.pipeline.config.run import RunConfig
from muses_eval.pipeline.config.sampling import Sampling
from muses_eval.pipeline.errors import ConfigError
from muses_eval.pipeline.families import BUILT_IN_FAMILIES
from muses_eval.pipeline.hashing import canonical, slug

AXES = ("dataset", "families", "agents", "protocol", "templates", "users", "epochs", "limit", "sampling")
"""Keys that a grid may vary."""
_LIST_AXES = ("families", "agents", "templates")
_SAMPLING = "; write sampling: [{%s: ...}, ...]"
_OTHER_WAYS = {
    **{field.name: _SAMPLING % field.name for field in fields(Sampling)},
    "models": "; all `models` of the file are played in every run",
    "model": "; list the models under `models`, outside the grid",
    "seed": "; write dataset: [generated:paper@1, ...] for other scenarios, or sampling: [{seed: ...}, ...]",
    "size": "; write dataset: [generated:100, ...]",
    "family": "; write families: [queue, ...]",
    "agent": "; write agents: [chat, ...]",
    "template": "; write templates: [says, ...]",
}
"""Key that is written in a grid by mistake -> what to write instead."""
MOST_CELLS = 10_000
"""Maximum number of cells by default, because a larger grid is probably a mistake."""
_OWN_KEYS = ("grid", "exclude", "include")
_SHOWN_CHARS = 60

Combination = Mapping[str, Any]
"""Key of the grid -> value."""


@dataclass(frozen=True, slots=True)
class SweepRun:
    """One run of a sweep."""

    label: str
    """Values of the run, for people; empty without a grid."""
    config: RunConfig


def has_grid(raw: object) -> bool:
    """Returns whether a configuration is a sweep."""
    return isinstance(raw, Mapping) and any(key in raw for key in _OWN_KEYS)


def expand(raw: object, source: str, most_cells: int = MOST_CELLS) -> tuple[SweepRun, ...]:
    """Returns the runs of a sweep in the order of the grid; a configuration without a grid gives one run.

    Args:
        raw: content of the YAML file.
        source: name of the configuration in messages.
        most_cells: maximum number of cells (runs x models x families x templates).

    Raises:
        ConfigError: the grid or one of its runs is invalid, or there are too many cells.
    """
    if not isinstance(raw, Mapping) or not has_grid(raw):
        return (SweepRun("", parse_config(raw, source)),)
    check_values(raw, source)
    base = {key: value for key, value in raw.items() if key not in _OWN_KEYS}
    grid = _grid(raw.get("grid", {}), source)
    added = _combinations(raw.get("include", ()), f"{source}: include")
    _refuse_many(prod(map(len, grid.values())) + len(added), base, grid, source, most_cells)
    dropped = _combinations(raw.get("exclude", ()), f"{source}: exclude")
    for entry in dropped:
        if not set(entry) <= set(grid):
            unknown = ", ".join(sorted(set(entry) - set(grid)))
            raise ConfigError(f"{source}: exclude: {unknown}: the grid does not vary it, so nothing would match")
    wanted = [chosen for chosen in _product(grid) if not any(_matches(chosen, entry) for entry in dropped)]
    runs = _distinct([*wanted, *added])
    if not runs:
        why = "all combinations are excluded; remove an entry of `exclude`" if dropped else "add a key with values"
        raise ConfigError(f"{source}: the grid is empty: {why}")
    return tuple(_run(base, chosen, source) for chosen in runs)


def _grid(value: object, source: str) -> Mapping[str, Sequence[Any]]:
    if not isinstance(value, Mapping):
        raise ConfigError(f"{source}: grid: expected keys with lists, such as {{epochs: [1, 3]}}, got {_shown(value)}")
    for axis, values in value.items():
        _check_axis(axis, f"{source}: grid")
        if not isinstance(values, list):
            raise ConfigError(f"{source}: grid.{axis}: expected a list of values, got {_shown(values)}")
        if not values:
            raise ConfigError(f"{source}: grid.{axis}: the list is empty, so there is nothing to run; add a value")
        _check_plain(values, f"{source}: grid.{axis}")
        _check_options(values if axis == "sampling" else (), f"{source}: grid.sampling")
    return {axis: [_value_of(axis, each) for each in values] for axis, values in value.items()}


def _combinations(value: object, where: str) -> list[Combination]:
    if not isinstance(value, list | tuple) or not all(isinstance(entry, Mapping) and entry for entry in value):
        raise ConfigError(f"{where}: expected a list of combinations, such as [{{epochs: 3}}], got {_shown(value)}")
    for entry in value:
        for axis in entry:
            _check_axis(axis, where)
        _check_plain(entry, where)
        _check_options([entry["sampling"]] if "sampling" in entry else (), f"{where}: sampling")
    return [{axis: _value_of(axis, each) for axis, each in entry.items()} for entry in value]


def _value_of(axis: str, value: object) -> object:
    """Returns a value of an axis as the key of a run has it: where that is a list, one entry stands for itself."""
    return [value] if axis in _LIST_AXES and isinstance(value, str | Mapping) else value


def _check_axis(axis: object, where: str) -> None:
    if axis not in AXES:
        hint = _OTHER_WAYS.get(axis if isinstance(axis, str) else "", "")
        raise ConfigError(f"{where}: {axis!r} cannot vary in a sweep; expected one of {', '.join(AXES)}{hint}")


def _check_plain(value: object, where: str) -> None:
    """Raises ConfigError for types of YAML that a configuration does not have: dates, sets, bytes."""
    try:
        json.dumps(value)
    except TypeError as error:
        raise ConfigError(f"{where}: {error}, got {_shown(value)}; write it as a string, in quotes") from error


def _check_options(values: Sequence[object], where: str) -> None:
    """Raises ConfigError for unknown sampling options, which a run whose models do not sample would not notice."""
    known = [field.name for field in fields(Sampling)]
    for unknown in (key for value in values if isinstance(value, Mapping) for key in value if key not in known):
        near = difflib.get_close_matches(str(unknown), known, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"known options: {', '.join(known)}"
        raise ConfigError(f"{where}.{unknown}: unknown option; {hint}")


def _refuse_many(runs: int, base: Mapping[str, Any], grid: Mapping[str, Any], source: str, most_cells: int) -> None:
    """Raises ConfigError for too many cells, before any run is built."""
    models = base.get("models")
    widest = [
        len(models) if isinstance(models, list) else 1,
        max(map(_length, grid.get("agents", [base.get("agents", 1)]))),
        max(map(_length, grid.get("families", [base.get("families") or list(BUILT_IN_FAMILIES)]))),
        max(map(_length, grid.get("templates", [base.get("templates", 1)]))),
    ]
    cells = runs * prod(widest)
    if cells > most_cells:
        raise ConfigError(
            f"{source}: this sweep has up to {cells:,} cells in {runs:,} runs; more than {most_cells:,} must be "
            f"confirmed: repeat the command with --most-cells {cells}"
        )


def _length(value: object) -> int:
    return len(value) if isinstance(value, list) else 1


def _product(grid: Mapping[str, Sequence[Any]]) -> Iterator[Combination]:
    for values in product(*grid.values()) if grid else ():
        yield dict(zip(grid, values, strict=True))


def _matches(chosen: Combination, entry: Combination) -> bool:
    return all(_same(chosen[axis], value) for axis, value in entry.items())


def _distinct(combinations: Sequence[Combination]) -> list[Combination]:
    return list({canonical(dict(chosen)): chosen for chosen in combinations}.values())


def _same(one: object, other: object) -> bool:
    return canonical(one) == canonical(other)


def _run(base: Mapping[str, Any], chosen: Combination, source: str) -> SweepRun:
    label = " ".join(
        f"{axis}={_agents(value) if axis == 'agents' else _value(value)}" for axis, value in chosen.items()
    )
    name = slug(f"{base.get('name', 'sweep')}-{label}")
    raw = {**base, **{axis: value for axis, value in chosen.items() if axis != "sampling"}, "name": name}
    if "run_id" in raw:
        raise ConfigError(f"{source}: run_id: one id cannot name all runs of a sweep; leave it out")
    if "sampling" in chosen and isinstance(base.get("models"), list):
        raw["models"] = [_with_sampling(model, chosen["sampling"]) for model in base["models"]]
    return SweepRun(label, parse_config(raw, f"{source} ({label})"))


def _with_sampling(model: object, sampling: object) -> object:
    """Merges sampling options into those of a model.  An invalid model is returned unchanged and reported later."""
    section = {"model": model} if isinstance(model, str) else model
    if not isinstance(section, Mapping) or str(section.get("model", "")).startswith("scripted/"):
        return model
    if not isinstance(sampling, Mapping):
        return {**section, "sampling": sampling}
    return {**section, "sampling": {**(section.get("sampling") or {}), **sampling}}


def _agents(value: object) -> str:
    """Returns agents as text for a label: their names, with the other settings in parentheses."""
    if isinstance(value, list):
        return ",".join(map(_agents, value))
    if not isinstance(value, Mapping) or "agent" not in value:
        return _value(value)
    others = {key: inner for key, inner in value.items() if key not in ("agent", "name")}
    name = str(value.get("name") or value["agent"])
    return f"{name}({_value(others)})" if others else name


def _value(value: object) -> str:
    """Returns a value as text for a label."""
    match value:
        case str():
            return value
        case Mapping():
            return ",".join(f"{key}={_value(inner)}" for key, inner in value.items())
        case list():
            return ",".join(map(_value, value))
        case _:
            return json.dumps(value)


def _shown(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _SHOWN_CHARS else f"{text[:_SHOWN_CHARS]}..."
