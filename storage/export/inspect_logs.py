"""A run as logs of Inspect (``inspect_ai``), written with its own library: one ``.eval`` file a model and family.

A sample is an episode, with every text of it in its messages:

* the briefing is the system message; what a principal says is a user message that begins with its name;
* the agent's reply is an assistant message, as the model wrote it; what the agent let principals see is in the
  message's metadata, under ``deliveries``, each with its audience;
* every message has its turn, sender and audience in its metadata.

Each reply is a model event as well, with what the agent had before it: Inspect's dataframes read messages from there.
Calls are stored with their duration and not with their time, so events have the time of the episode's beginning.
Scores are called by scoring and metric, as ``corrected_privacy``, those of single rounds are in the score's metadata.
The log's results are the run's own mean and standard error, clustered by scenario, not Inspect's.
An episode without scores is a sample with an error.

This is the only module that knows ``inspect_ai``, an optional dependency; it is imported when a run is exported.
"""

import json
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, TypeVar

import duckdb
import pyarrow as pa
from muses_eval.pipeline.episode.episode import Episode
from muses_eval.pipeline.episode.model_call import Call
from muses_eval.pipeline.episode.principal import AGENT, SYSTEM
from muses_eval.pipeline.episode.transcript import Message
from muses_eval.pipeline.errors import ConfigError
from muses_eval.pipeline.hashing import digest, slug
from muses_eval.storage.export.atomic_file import atomic_write, check_target
from muses_eval.storage.export.tables import stream_episodes
from muses_eval.storage.runs.manifest import RunManifest
from muses_eval.storage.schema.parquet_schema import SCHEMA, episodes_from_table

if TYPE_CHECKING:
    from inspect_ai.event import ModelEvent
    from inspect_ai.log import EvalLog, EvalResults, EvalSample
    from inspect_ai.model import ChatMessage, ModelUsage
    from inspect_ai.scorer import Score

_Number = TypeVar("_Number", int, float)

LOG_EPISODES = 2000
"""A log holds so many episodes at most; Inspect writes a log as a whole, from memory."""
_STOP_REASONS = {"stop": "stop", "length": "max_tokens", "content_filter": "content_filter"}
_GENERATE = ("temperature", "top_p", "max_tokens", "seed")
_KEPT_APART = {"messages", "calls", "scores", "started_at", "seconds", "error", "error_kind", "sampling", "flags"}


@dataclass(frozen=True, slots=True)
class WrittenLog:
    """One file."""

    path: Path
    model: str
    family: str
    episodes: int


@dataclass(frozen=True, slots=True)
class _Cell:
    """One model and family of a run, and the part of it that one log holds."""

    run: RunManifest
    model: str
    family: str
    part: int
    """1-based."""

    @property
    def file_name(self) -> str:
        """As Inspect names its logs: time, task, id."""
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
    """Writes the logs of a run, one after the other.

    *connection* comes from :func:`~muses_eval.storage.query.duckdb_connection.connect`, over this run.  Its views
    stream afterwards, so use it for this alone.

    Raises:
        ConfigError: Inspect is not installed, a file is there and *replace* is not wanted, or it cannot be written.
        duckdb.Error: the store cannot be read.
    """
    try:
        from inspect_ai.log import write_eval_log
    except ImportError as error:
        raise ConfigError(
            f"logs of Inspect are written with its own library, which is not installed ({error});"
            " `make setup` installs it with everything else, `pip install inspect-ai` alone"
        ) from error
    stream_episodes(connection)
    for model, family in run.planned:
        episodes = _episodes(connection, model, family)
        results = _results(connection, run, model, family)
        for part, chunk in enumerate(_chunks(episodes, log_episodes), 1):
            cell = _Cell(run, model, family, part)
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


def _log(cell: _Cell, episodes: Sequence[Episode], results: "EvalResults") -> "EvalLog":
    from inspect_ai.log import EvalConfig, EvalDataset, EvalLog, EvalRevision, EvalSpec, EvalStats
    from inspect_ai.model import GenerateConfig

    run, first = cell.run, episodes[0]
    sampling = json.loads(first.sampling)
    samples = [_sample(episode, several_templates=len(run.templates) > 1) for episode in episodes]
    return EvalLog(
        status="success",
        eval=EvalSpec(
            eval_id=cell.id,
            run_id=run.run_id,
            created=_moment(run.created_at),
            task=f"muses/{cell.family}",
            task_id=cell.id,
            task_version=max(episode.scorer_version for episode in episodes),
            dataset=EvalDataset(name=run.dataset, samples=len({sample.id for sample in samples})),
            model=f"{first.provider}/{first.provider_model}",
            model_generate_config=GenerateConfig(**{name: sampling.get(name) for name in _GENERATE}),
            model_args={name: value for name, value in sampling.items() if name not in _GENERATE and value is not None},
            config=EvalConfig(epochs=run.epochs),
            revision=EvalRevision(type="git", origin="", commit=run.commit, dirty=run.dirty) if run.commit else None,
            packages=dict(run.versions),
            metadata={
                "run_id": run.run_id,
                "model": cell.model,
                "dataset_version": first.dataset_version,
                "users": run.users,
                "templates": list(run.templates),
                "planned_episodes": run.planned[cell.model, cell.family],
                "made_with": dict(run.made_with),
            },
        ),
        results=results,
        stats=EvalStats(
            started_at=_moment(min(episode.started_at for episode in episodes)),
            completed_at=_moment(max(_end(episode) for episode in episodes)),
            model_usage=_usage((call for e in episodes for call in e.calls), by="model"),
            role_usage=_usage((call for e in episodes for call in e.calls), by="role"),
        ),
        samples=samples,
    )


def _results(connection: duckdb.DuckDBPyConnection, run: RunManifest, model: str, family: str) -> "EvalResults":
    """Returns the results of the whole cell, whatever part of it a log contains."""
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


def _sample(episode: Episode, *, several_templates: bool) -> "EvalSample":
    from inspect_ai.log import EvalError, EvalSample
    from inspect_ai.model import ModelOutput

    messages = list(_messages(episode))
    events = list(_events(episode, messages))
    opening = next((i for i, message in enumerate(messages) if message.role == "assistant"), len(messages))
    failure = None if episode.outcome == "scored" else f"{episode.outcome}: {episode.error_kind}: {episode.error}"
    return EvalSample(
        id=f"{episode.scenario_id}:{episode.template}" if several_templates else episode.scenario_id,
        epoch=episode.epoch + 1,
        input=messages[:opening],
        target="",
        messages=messages,
        output=events[-1].output if events else ModelOutput(),
        events=list(events),
        scores=_scores(episode) or None,
        metadata=_metadata(episode),
        model_usage=_usage(episode.calls, by="model"),
        role_usage=_usage(episode.calls, by="role"),
        started_at=_moment(episode.started_at),
        completed_at=_moment(_end(episode)),
        total_time=episode.seconds,
        uuid=episode.episode_id,
        error=None if failure is None else EvalError(message=failure, traceback="", traceback_ansi=""),
        turn_count=episode.turns,
    )


def _metadata(episode: Episode) -> dict[str, Any]:
    """What a sample has no field of its own for; what a family does not vary is left out."""
    names = (name for name in SCHEMA.names if name not in _KEPT_APART)
    known = {name: value for name in names if (value := getattr(episode, name)) is not None}
    return {**known, "flags": list(episode.flags), "calls": [asdict(call) for call in episode.calls]}


def _messages(episode: Episode) -> Iterator["ChatMessage"]:
    from inspect_ai.model import ChatMessageAssistant, ChatMessageSystem, ChatMessageUser

    for number, (message, deliveries) in enumerate(_with_deliveries(episode.messages)):
        name = f"{episode.episode_id}-{number}"
        about: dict[str, Any] = {"turn": message.turn, "sender": message.sender, "audience": list(message.audience)}
        if deliveries:
            about["deliveries"] = [{"audience": list(d.audience), "content": d.content} for d in deliveries]
        if message.sender == SYSTEM:
            yield ChatMessageSystem(id=name, content=message.content, metadata=about)
        elif message.sender == AGENT:
            yield ChatMessageAssistant(
                id=name, content=message.content, source="generate", model=episode.provider_model, metadata=about
            )
        else:
            yield ChatMessageUser(id=name, content=f"{message.sender}: {message.content}", metadata=about)


def _with_deliveries(messages: Iterable[Message]) -> list[tuple[Message, list[Message]]]:
    """Every message with what the agent let principals see of it; that follows its raw reply in a transcript."""
    found: list[tuple[Message, list[Message]]] = []
    for message in messages:
        if message.sender == AGENT and message.audience and found and found[-1][0].sender == AGENT:
            found[-1][1].append(message)
        else:
            found.append((message, []))
    return found


def _events(episode: Episode, messages: "Sequence[ChatMessage]") -> "Iterator[ModelEvent]":
    """Every call of the agent, the one that gave no answer included."""
    from inspect_ai.event import ModelEvent
    from inspect_ai.model import ChatCompletionChoice, GenerateConfig, ModelOutput

    calls: Sequence[Call | None] = [call for call in episode.calls if call.role == "agent"]
    replies = [number for number, message in enumerate(messages) if message.role == "assistant"]
    if len(calls) != len(replies):  # models that are functions have none
        calls = [None] * len(replies)
    answers = []
    for number, call in zip(replies, calls, strict=True):
        stop: Any = "stop" if call is None else _STOP_REASONS.get(call.finish_reason, "unknown")
        choices = [ChatCompletionChoice(message=messages[number], stop_reason=stop)]
        usage = None if call is None else _usage([call], by="role").get("agent")
        answers.append((number, call, ModelOutput(model=episode.provider_model, choices=choices, usage=usage)))
    if episode.outcome == "infra_failed":
        answers.append((len(messages), None, ModelOutput(model=episode.provider_model, error=episode.error)))
    for number, call, output in answers:
        yield ModelEvent(
            uuid=f"{episode.episode_id}-event-{number}",
            timestamp=episode.started_at,
            working_start=0.0,
            model=episode.provider_model,
            role="agent",
            input=list(messages[:number]),
            tools=[],
            tool_choice="none",
            config=GenerateConfig(),
            output=output,
            error=output.error,
            retries=None if call is None else call.retries,
            working_time=None if call is None else call.latency_s,
            cache="read" if call is not None and call.cached else None,
        )


def _scores(episode: Episode) -> "dict[str, Score]":
    from inspect_ai.scorer import Score

    whole: dict[str, float] = {}
    rounds: dict[str, dict[str, float]] = defaultdict(dict)
    for score in episode.scores:
        name = f"{score.scoring}_{score.metric}"
        if score.round is None:
            whole[name] = score.value
        else:
            rounds[name][str(score.round)] = score.value
    return {
        name: Score(value=value, metadata={"rounds": rounds[name]} if name in rounds else None)
        for name, value in whole.items()
    }


def _usage(calls: Iterable[Call], *, by: Literal["model", "role"]) -> "dict[str, ModelUsage]":
    """Sums by model or by role.

    Inspect has no word for a count that is not known: where one is, nothing is said, rather than too little.
    """
    from inspect_ai.model import ModelUsage

    groups: dict[str, list[Call]] = defaultdict(list)
    for call in calls:
        groups[getattr(call, by)].append(call)
    sums = {}
    for name, group in groups.items():
        prompt, completion = _total(c.prompt_tokens for c in group), _total(c.completion_tokens for c in group)
        if prompt is None or completion is None:
            continue
        cached = sum(call.cached_tokens or 0 for call in group)
        sums[name] = ModelUsage(
            input_tokens=prompt - cached,
            output_tokens=completion,
            total_tokens=prompt + completion,
            input_tokens_cache_read=cached or None,
            total_cost=_total(call.cost_usd for call in group),
        )
    return sums


def _total(values: Iterable[_Number | None]) -> _Number | None:
    total: Any = 0
    for value in values:
        if value is None:
            return None
        total += value
    return total  # type: ignore[no-any-return]


def _end(episode: Episode) -> datetime:
    return episode.started_at + timedelta(seconds=episode.seconds)


def _moment(moment: datetime) -> str:
    return moment.isoformat()
