"""The conditions of a comparison: protocols, differences besides the model, and models with no scenarios in common."""

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import duckdb
from muses_eval.pipeline.agents.agent_spec import CHAT, FactsLevel
from muses_eval.pipeline.episode.unusable_replies import UNUSABLE_KINDS, UnusableKind
from muses_eval.pipeline.name_match import listed
from muses_eval.storage.analysis.model_in_run import ModelInRun


@dataclass(frozen=True, slots=True)
class Conditions:
    """The conditions under which the compared models were played."""

    protocols: tuple[str, ...]
    """Names of the protocols, sorted."""
    facts: tuple[FactsLevel, ...]
    """Facts that the agent of each model receives, in the order of the models; ``prose`` when nothing was played."""
    cautions: tuple[str, ...]
    """Each difference between the models' episodes that may explain a difference in scores, and the share of unusable
    replies of each model that has any."""


@dataclass(frozen=True, slots=True)
class _PlayedFamily:
    """The episodes of one model in one family."""

    position: int
    """Position of the model in the list of compared models."""
    dataset: str
    dataset_version: str
    family: str
    scored: int
    users: Sequence[str]
    protocols: Sequence[str]
    facts: FactsLevel
    scorer_versions: Sequence[int] | None
    replies: int
    """Number of replies in the scored episodes."""
    unusable: Sequence[int]
    """Number of these replies that are unusable, by kind."""


def conditions(
    connection: duckdb.DuckDBPyConnection, models: Sequence[ModelInRun], family: str | None = None
) -> Conditions:
    """Returns the conditions of a comparison.  *family*: the family that is compared; None for all."""
    played = [part for part in _played_families(connection, models) if family in (None, part.family)]
    protocols = tuple(sorted({protocol for part in played for protocol in part.protocols}))
    levels = {part.position: part.facts for part in played}
    facts = tuple(levels.get(position, CHAT.facts) for position in range(len(models)))
    cautions = (*_cautions(played, protocols), *_facts_caution(models, facts), *_unusable_cautions(models, played))
    return Conditions(protocols, facts, cautions)


def _unusable_cautions(models: Sequence[ModelInRun], played: Sequence[_PlayedFamily]) -> Iterator[str]:
    several_runs = len({each.run_id for each in models}) > 1
    for position, each in enumerate(models):
        own = [part for part in played if part.position == position]
        replies, kinds = sum(part.replies for part in own), Counter[UnusableKind]()
        for part in own:
            kinds.update(dict(zip(UNUSABLE_KINDS, part.unusable, strict=True)))
        if kinds.total():
            where = f" in the run {each.run_id}" if several_runs else ""
            shares = ", ".join(f"{kind} {_percent(n / replies)}" for kind, n in kinds.most_common() if n)
            yield f"{each.model}: {_percent(kinds.total() / replies)} of its replies{where} are unusable ({shares})"


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"


def _facts_caution(models: Sequence[ModelInRun], facts: Sequence[FactsLevel]) -> Iterator[str]:
    if len(set(facts)) > 1:
        names = [each.model for each, level in zip(models, facts, strict=True) if level == "structured"]
        yield (
            f"facts structured: {listed(names)}; facts prose: the others. Structured facts name who may read what, and"
            " an agent that enforces them keeps privacy by construction"
        )


def _cautions(played: Sequence[_PlayedFamily], protocols: Sequence[str]) -> Iterator[str]:
    if len(protocols) > 1:
        yield (
            f"the protocols were not the same ({listed(protocols)}): prompts and turns differ, so the scores do not"
            " compare"
        )
    users = sorted({user for part in played for user in part.users})
    if len(users) > 1:
        yield f"the users were not the same ({listed(users)}): they may cause a difference"
    for name in sorted({part.family for part in played}):
        rows = sorted({f"{part.dataset} {part.dataset_version}" for part in played if part.family == name})
        if len({row.rpartition(" ")[2] for row in rows}) > 1:
            yield f"{name}: not the same dataset ({listed(rows)}): scenarios with the same id are assumed to be equal"
        versions = {version for part in played if part.family == name for version in part.scorer_versions or ()}
        if len(versions) > 1:
            numbers = ", ".join(map(str, sorted(versions)))
            yield f"{name} was scored by different versions of its scorer ({numbers}): rescore with `muses rescore`"


def nothing_in_common(
    connection: duckdb.DuckDBPyConnection, models: Sequence[ModelInRun], family: str | None = None
) -> str:
    """Returns the message for models that have no scored scenario in common: it lists what each has."""
    of_family = "" if family is None else f" of the family {family!r}"
    played = _played_families(connection, models)
    lines = [
        f"no two models have scored scenarios{of_family} in common; compare models that played the same scenarios:"
    ]
    for position, each in enumerate(models):
        own = [part for part in played if part.position == position]
        scored = [f"{part.family} {part.scored} of {part.dataset} (version {part.dataset_version})" for part in own]
        lines.append(f"  {each.model} in the run {each.run_id}, scored: {'; '.join(scored) or 'nothing'}")
    return "\n".join(lines)


def _played_families(connection: duckdb.DuckDBPyConnection, models: Sequence[ModelInRun]) -> list[_PlayedFamily]:
    rows = connection.execute(
        "WITH compared AS ("
        "  SELECT unnest($runs) AS run_id, unnest($models) AS model, unnest(range(len($models))) AS position),"
        " attempts AS (FROM with_newest_scores('traces', 'rescored'))"
        " SELECT position, dataset, dataset_version, family, count(*) FILTER (outcome = 'scored'),"
        " list(DISTINCT users), list(DISTINCT protocol), any_value(facts),"
        " list(DISTINCT scorer_version) FILTER (outcome = 'scored'),"
        " coalesce(sum(turns) FILTER (outcome = 'scored'), 0)::BIGINT,"
        " [coalesce(sum(u.overflowed) FILTER (outcome = 'scored'), 0)::BIGINT,"
        " coalesce(sum(u.filtered) FILTER (outcome = 'scored'), 0)::BIGINT,"
        " coalesce(sum(u.truncated) FILTER (outcome = 'scored'), 0)::BIGINT,"
        " coalesce(sum(u.empty) FILTER (outcome = 'scored'), 0)::BIGINT,"
        " coalesce(sum(u.unreadable) FILTER (outcome = 'scored'), 0)::BIGINT]"
        " FROM (SELECT *, unusable_replies(unusable, flags) AS u FROM attempts) JOIN compared USING (run_id, model)"
        " GROUP BY position, dataset, dataset_version, family ORDER BY position, dataset_version, family",
        {"runs": [each.run_id for each in models], "models": [each.model for each in models]},
    ).fetchall()
    return [_PlayedFamily(*row) for row in rows]
