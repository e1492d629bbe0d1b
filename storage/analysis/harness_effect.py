"""The effect of a harness: an agent compared with its model alone, in scores, cost and time.

Scores are compared as in :mod:`muses_eval.storage.analysis.compare`, over the scenarios that both have; a pair is
an agent and ``chat`` with the same model.  p-values are corrected over all agents and columns of the run together.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from importlib.resources import files

import duckdb
from muses_eval.pipeline.agents.agent_spec import CHAT, FactsLevel
from muses_eval.pipeline.errors import MusesError
from muses_eval.pipeline.leaderboard_columns import COLUMNS
from muses_eval.pipeline.name_match import listed
from muses_eval.storage.analysis.comparability import conditions
from muses_eval.storage.analysis.compare import (
    AVERAGE,
    DEFAULT_SETTINGS,
    ColumnComparison,
    Comparison,
    ComparisonSettings,
    compare_pairs,
)
from muses_eval.storage.analysis.leaderboard import LeaderboardRow, leaderboard
from muses_eval.storage.analysis.model_in_run import ModelInRun


@dataclass(frozen=True, slots=True)
class EpisodeUsage:
    """Means per episode, or ratios of two such means.  Calls of simulated users are not counted."""

    cost_usd: float | None
    """None when the cost of one episode is unknown, or a reply came from the response cache."""
    tokens: float | None
    """Prompt and completion tokens; None when a call did not report them."""
    calls: float | None
    """Number of model calls."""
    seconds: float | None
    """Duration of an episode; None when a reply came from the response cache."""


@dataclass(frozen=True, slots=True)
class UsageComparison:
    """The usage of an agent and of its model alone, over the episodes that both have scored."""

    family: str | None
    """None for all families together."""
    episodes: int
    """Number of episodes of each of the two."""
    chat: EpisodeUsage
    agent: EpisodeUsage
    agent_error_share: float
    """Share of the agent's episodes in which it failed in a turn."""

    @property
    def ratios(self) -> EpisodeUsage:
        """Each figure of the agent as a multiple of that of its model alone; None when unknown, or when that is 0."""
        chat, agent = self.chat, self.agent
        return EpisodeUsage(
            _ratio(agent.cost_usd, chat.cost_usd),
            _ratio(agent.tokens, chat.tokens),
            _ratio(agent.calls, chat.calls),
            _ratio(agent.seconds, chat.seconds),
        )


@dataclass(frozen=True, slots=True)
class HarnessEffect:
    """An agent and its model alone, over the scenarios that both have."""

    base_model: str
    agent: str
    facts: FactsLevel
    comparison: Comparison
    """The agent (a) minus the model alone (b)."""
    usage: tuple[UsageComparison, ...]
    """One for each family, and last the one for all families; empty when no episode is scored for both."""

    @property
    def columns(self) -> tuple[ColumnComparison, ...]:
        """The columns, and last their average when there are several."""
        overall = self.comparison.overall
        average = () if overall is None or overall.column != AVERAGE else (overall,)
        return (*self.comparison.columns, *average)

    @property
    def total_usage(self) -> UsageComparison | None:
        """The usage in all families together; None when no episode is scored for both."""
        return self.usage[-1] if self.usage else None

    def usage_beside(self, column: ColumnComparison) -> UsageComparison | None:
        """Returns the usage in the family of a column; beside the average, in all families together."""
        if column.column == AVERAGE:
            return self.total_usage
        family = COLUMNS[column.column].family
        return next((each for each in self.usage if each.family == family), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class HarnessReport:
    """The effects of all agents of a run, by model and agent."""

    run_id: str
    settings: ComparisonSettings
    effects: tuple[HarnessEffect, ...]
    missing: tuple[str, ...]
    """Agents that cannot be compared with their model alone, and why."""
    cautions: tuple[str, ...]
    protocols: tuple[str, ...]
    """The protocol of the run."""


def harness_effects(
    connection: duckdb.DuckDBPyConnection, run_id: str, settings: ComparisonSettings = DEFAULT_SETTINGS
) -> HarnessReport:
    """Compares the agents of a run with their models alone.

    Args:
        connection: from :func:`~muses_eval.storage.query.duckdb_connection.connect`.
        run_id: the run.
        settings: scores, family, correction and significance level.

    Raises:
        MusesError: the run has no agent besides ``chat``.
        StoreError: a stored score is not a finite number.
    """
    rows = sorted(leaderboard(connection, settings.scoring, run_id), key=lambda row: (row.base_model, row.agent))
    agents = [row for row in rows if not row.is_chat]
    if not agents:
        raise MusesError(
            f"the run {run_id!r} has no agent besides {CHAT.name}, the model alone; evaluate both, as"
            " `agents: [chat, ...]` in the configuration"
        )
    alone = {row.base_model: ModelInRun(run_id, row.model) for row in rows if row.is_chat and row.episodes}
    pairs = {ModelInRun(run_id, row.model): (row, alone[row.base_model]) for row in agents if row.base_model in alone}
    found = compare_pairs(connection, [(a, b) for a, (_, b) in pairs.items()], settings)
    usage = _usage(connection, run_id, [(each.a.model, each.b.model) for each in found], settings.family)
    compared = conditions(connection, [*pairs, *dict.fromkeys(b for _, b in pairs.values())], settings.family)
    return HarnessReport(
        run_id=run_id,
        settings=settings,
        effects=tuple(_effect(pairs[each.a][0], each, usage.get(each.a.model, ())) for each in found if each.columns),
        missing=(*_without_chat(agents, alone), *_nothing_in_common(found)),
        cautions=compared.cautions,
        protocols=compared.protocols,
    )


def _effect(row: LeaderboardRow, comparison: Comparison, usage: Sequence[UsageComparison]) -> HarnessEffect:
    return HarnessEffect(row.base_model, row.agent, row.facts, comparison, tuple(usage))


def _without_chat(agents: Sequence[LeaderboardRow], alone: Mapping[str, ModelInRun]) -> Iterator[str]:
    for model in dict.fromkeys(row.base_model for row in agents if row.base_model not in alone):
        names = listed([row.agent for row in agents if row.base_model == model])
        yield f"{model}: {CHAT.name}, the model alone, has no scored episode; not compared: {names}"


def _nothing_in_common(comparisons: Sequence[Comparison]) -> Iterator[str]:
    for each in comparisons:
        if not each.columns:
            yield f"{each.a.model}: no scored scenario in common with {CHAT.name}, the model alone; not compared"


def _usage(
    connection: duckdb.DuckDBPyConnection, run_id: str, pairs: Sequence[tuple[str, str]], family: str | None
) -> dict[str, list[UsageComparison]]:
    """Returns the usage of each agent, given as (agent, model alone)."""
    query = (files("muses_eval.storage.analysis") / "harness_effect.sql").read_text(encoding="utf-8")
    parameters = {
        "run_id": run_id,
        "family": family,
        "agents": [agent for agent, _ in pairs],
        "alone": [alone for _, alone in pairs],
    }
    found: dict[str, list[UsageComparison]] = {}
    for entry, of_family, episodes, *figures, errors in connection.execute(query, parameters).fetchall():
        usage = UsageComparison(of_family, episodes, EpisodeUsage(*figures[:4]), EpisodeUsage(*figures[4:]), errors)
        found.setdefault(entry, []).append(usage)
    return found


def _ratio(agent: float | None, chat: float | None) -> float | None:
    return None if agent is None or not chat else agent / chat
