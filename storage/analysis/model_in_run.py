"""The models that are compared: each is one model in one run, found by the name that a user gives."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import groupby

import duckdb
from muses_eval.pipeline.errors import MusesError
from muses_eval.pipeline.name_match import last_part, listed, matching_names, near_names
from muses_eval.storage.runs.resolve_run import run_name


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

    Both may be shortened: a run to its name or the beginning of its id, a model to the part after its last slash or
    colon, or to the beginning of its name.

    *models*: from :func:`models_by_run`.

    Raises:
        MusesError: no model has this name, or several fit; the message lists the names.
    """
    run, colon, model = name.partition(":")
    if name in models.get(run_id, ()):  # first, because names of models may contain colons
        return ModelInRun(run_id, name)
    here = matching_names(name, models.get(run_id, ()), last_part)
    runs = matching_names(run, list(models), run_name) if colon and not here else []
    if len(runs) > 1:
        raise MusesError(f"{run!r} in {name!r} may be {len(runs)} runs: {listed(runs)}; write more of the run's id")
    run, model = (runs[0], model) if runs else (run_id, name)
    known = models.get(run, ())
    found = matching_names(model, known, last_part)
    if len(found) == 1:
        return ModelInRun(run, found[0])
    if found:
        raise MusesError(f"{model!r} may be {len(found)} models of the run {run!r}: {listed(found)}; write more of it")
    near = near_names(model, known, 1)
    hint = f"did you mean {near[0]!r}? It" if near else "it"
    others = [other for other in models if other != run]
    elsewhere = f" Models of another run are written RUN:MODEL; runs: {listed(others)}." if others else ""
    raise MusesError(f"no model {model!r} in the run {run!r}; {hint} has: {listed(known)}.{elsewhere}")
