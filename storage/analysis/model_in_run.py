"""The models that are compared: each is one model in one run, found by the name that a user gives."""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import duckdb
from muses_eval.pipeline.errors import MusesError

_MAX_LISTED = 12


@dataclass(frozen=True, slots=True)
class ModelInRun:
    """One model in one run."""

    run_id: str
    model: str


def models_by_run(connection: duckdb.DuckDBPyConnection) -> dict[str, list[str]]:
    """Returns the models of each run that have episodes; runs and models are sorted."""
    rows = connection.execute("SELECT DISTINCT run_id, model FROM traces ORDER BY ALL").fetchall()
    return {run: [model for _, model in group] for run, group in groupby(rows, key=lambda row: row[0])}


def find_model(models: Mapping[str, Sequence[str]], name: str, run_id: str) -> ModelInRun:
    """Returns the model that a user names: a model of the run *run_id*, or RUN:MODEL.

    *models*: from :func:`models_by_run`.

    Raises:
        MusesError: no model has this name; the message lists the names that exist.
    """
    run, colon, model = name.partition(":")
    if name in models.get(run_id, ()):  # first, because names of models may contain colons
        return ModelInRun(run_id, name)
    if not (colon and run in models):
        run, model = run_id, name
    elif model in models[run]:
        return ModelInRun(run, model)
    known = models.get(run, ())
    near = difflib.get_close_matches(model, known, 1)
    hint = f"did you mean {near[0]!r}? It" if near else "it"
    others = [other for other in models if other != run]
    elsewhere = f" Models of another run are written RUN:MODEL; runs: {listed(others)}." if others else ""
    raise MusesError(f"no model {model!r} in the run {run!r}; {hint} has: {listed(known)}.{elsewhere}")


def listed(names: Sequence[str]) -> str:
    """Returns the names separated by commas; of more than twelve, the first twelve and the number of the others."""
    shown = ", ".join(names[:_MAX_LISTED])
    more = f" and {len(names) - _MAX_LISTED} more" if len(names) > _MAX_LISTED else ""
    return f"{shown}{more}" if names else "none"
