"""A run as logs of Inspect (``inspect_ai``), written with its own library: one ``.eval`` file per model and family.

A sample of a log is an episode (:mod:`muses_eval.storage.export.inspect_samples`).  The results of a log are the run's
own mean and standard error, clustered by scenario, not Inspect's.  An episode without scores is a sample with an error.

This module and ``inspect_samples`` are the only ones that import ``inspect_ai``, an optional dependency; they import it
when a run is exported.
"""

import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import pyarrow as pa
from muses_eval.pipeline.episode.episode import Episode
from muses_eval.pipeline.errors import ConfigError
from muses_eval.pipeline.hashing import digest, slug
from muses_eval.storage.export.atomic_file import atomic_write, check_target
from muses_eval.storage.export.inspect_samples import end_of, model_usage, sample_of, timestamp
from muses_eval.storage.export.tables import stream_episodes
from muses_eval.storage.runs.manifest import RunManifest
from muses_eval.storage.schema.parquet_schema import SCHEMA, episodes_from_table

if TYPE_CHECKING:
    from inspect_ai.log import EvalLog, EvalResults

LOG_EPISODES = 2000
"""Maximum number of episodes per log, because Inspect writes a log from memory."""
_GENERATE = ("temperature", "top_p", "max_tokens", "seed")


@dataclass(frozen=True, slots=True)
class WrittenLog:
    """One file that was written."""

    path: Path
    model: str
    family: str
    episodes: int


@dataclass(frozen=True, slots=True)
class _LogPart:
    """The part of one model and family of a run that one log contains."""

    run: RunManifest
    model: str
    family: str
    part: int
    """Number of the log, 1-based."""

    @property
    def file_name(self) -> str:
        """File name in Inspect's format: time, task, id."""
        part = "" if self.part == 1 else f"-part{self.part}"
        return (
            f"{self.run.created_at.astimezone(UTC):%Y-%m-%dT%H-%M-%S}+00-00_{self.family}_{slug(self.model)}{part}.eval"
        )

    @property
    def id(self) -> str:
        return digest(self.run.run_id, self.model, self.family, self.part)[:22]


def export_inspect(
    connection: duckdb.DuckDBPyConnection,
    run: RunManifest,
    folder: Path,
    *,
    replace: bool,
    log_episodes: int = LOG_EPISODES,
) -> Iterator[WrittenLog]:
    """Writes the logs of a run and yields each of them.

    *connection* comes from :func:`~muses_eval.storage.query.duckdb_connection.connect`, over this run.  Its views
    stream afterwards, so use it for this alone.

    Raises:
        ConfigError: Inspect is not installed, a file exists and *replace* is not set, or it cannot be written.
        duckdb.Error: the store cannot be read.
    """
    try:
        from inspect_ai.log import write_eval_log
    except ImportError as error:
        raise ConfigError(
            f"exporting Inspect logs needs the library inspect-ai, which is not installed ({error});"
            " `make setup` installs it with everything else, `pip install inspect-ai` alone"
        ) from error
    stream_episodes(connection)
    for model, family in run.planned:
        episodes = _episodes(connection, model, family)
        results = _results(connection, run, model, family)
        for part, chunk in enumerate(_chunks(episodes, log_episodes), 1):
            cell = _LogPart(run, model, family, part)
            target = folder / cell.file_name
            check_target(target, replace=replace)  # before the work
            log = _log(cell, chunk, results)
            with atomic_write(target, replace=replace) as unfinished:
                write_eval_log(log, str(unfinished), format="eval")
            yield WrittenLog(target, model, family, len(chunk))


def _episodes(connection: duckdb.DuckDBPyConnection, model: str, family: str) -> Iterator[Episode]:
    columns = ", ".join(SCHEMA.names)
    query = f"SELECT {columns} FROM episodes WHERE model = $1 AND family = $2"  # noqa: S608 - our own column names
    cursor = connection.cursor()
    for batch in cursor.execute(query, [model, family]).to_arrow_reader(LOG_EPISODES):
        yield from episodes_from_table(pa.Table.from_batches([batch]))


def _chunks(episodes: Iterator[Episode], size: int) -> Iterator[list[Episode]]:
    while chunk := list(islice(episodes, size)):
        yield chunk


def _log(cell: _LogPart, episodes: Sequence[Episode], results: "EvalResults") -> "EvalLog":
    from inspect_ai.log import EvalConfig, EvalDataset, EvalLog, EvalRevision, EvalSpec, EvalStats
    from inspect_ai.model import GenerateConfig

    run, first = cell.run, episodes[0]
    sampling = json.loads(first.sampling)
    samples = [sample_of(episode, several_templates=len(run.templates) > 1) for episode in episodes]
    return EvalLog(
        status="success",
        eval=EvalSpec(
            eval_id=cell.id,
            run_id=run.run_id,
            created=timestamp(run.created_at),
            task=f"muses/{cell.family}",
            task_id=cell.id,
            task_version=max(episode.scorer_version for episode in episodes),
            dataset=EvalDataset(name=run.dataset, samples=len({sample.id for sample in samples})),
            model=f"{first.provider}/{first.provider_model}",
            task_args={"agent": agent} if (agent := run.models[cell.model].get("agent")) else {},
            model_generate_config=GenerateConfig(**{name: sampling.get(name) for name in _GENERATE}),
            model_args={name: value for name, value in sampling.items() if name not in _GENERATE and value is not None},
            config=EvalConfig(epochs=run.epochs),
            revision=EvalRevision(type="git", origin="", commit=run.commit, dirty=run.dirty) if run.commit else None,
            packages=dict(run.versions),
            metadata={
                "run_id": run.run_id,
                "model": cell.model,
                "base_model": first.base_model,
                "agent": first.agent,
                "facts": first.facts,
                "dataset_version": first.dataset_version,
                "users": run.users,
                "protocol": run.protocol,
                "templates": list(run.templates),
                "planned_episodes": run.planned[cell.model, cell.family],
                "made_with": dict(run.made_with),
            },
        ),
        results=results,
        stats=EvalStats(
            started_at=timestamp(min(episode.started_at for episode in episodes)),
            completed_at=timestamp(max(end_of(episode) for episode in episodes)),
            model_usage=model_usage((call for e in episodes for call in e.calls), by="model"),
            role_usage=model_usage((call for e in episodes for call in e.calls), by="role"),
        ),
        samples=samples,
    )


def _results(connection: duckdb.DuckDBPyConnection, run: RunManifest, model: str, family: str) -> "EvalResults":
    """Returns the results of the whole cell, also for a log that contains a part of it."""
    from inspect_ai.log import EvalMetric, EvalResults, EvalScore

    rows = connection.execute(
        "SELECT scoring, metric, episodes, mean, se FROM leaderboard_cells"
        " WHERE model = $1 AND family = $2 ORDER BY scoring, metric",
        [model, family],
    ).fetchall()
    scores = [
        EvalScore(
            name=f"{scoring}_{metric}",
            scorer=f"{scoring}_{metric}",
            scored_samples=episodes,
            metrics={
                name: EvalMetric(name=name, value=value)
                for name, value in (("mean", mean), ("stderr", se))
                if value is not None
            },
        )
        for scoring, metric, episodes, mean, se in rows
    ]
    completed = max((row[2] for row in rows), default=0)
    return EvalResults(total_samples=run.planned[model, family], completed_samples=completed, scores=scores)
