"""Finds all problems of a dataset: rows that are not valid scenarios, and scenarios that the oracle cannot solve."""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import product
from typing import Any

from muses_eval.pipeline.datasets.dataset import SourceRow, dataset_from_rows, row_problems
from muses_eval.pipeline.episode.scenario import Scenario
from muses_eval.pipeline.episode.score import SCORINGS, Scoring
from muses_eval.pipeline.errors import DatasetError
from muses_eval.pipeline.families import FAMILIES
from muses_eval.pipeline.leaderboard_columns import leaderboard_metrics
from muses_eval.pipeline.seeds import seed_from
from muses_eval.storage.objects.dataset_files import inspect_rows
from muses_eval.workers.providers.scripted import play_scripted

_ALMOST_ONE = 1 - 1e-9
_MAX_LISTED = 20


@dataclass(frozen=True, slots=True)
class Inspection:
    """Number of rows, valid scenarios and problems of a dataset."""

    rows: int
    scenarios: Mapping[str, tuple[Scenario[Any], ...]]
    """Family -> its valid scenarios."""
    problems: tuple[DatasetError, ...]

    @property
    def bad_rows(self) -> int:
        """Number of rows with a problem."""
        return len({(problem.source, problem.line) for problem in self.problems})


@dataclass(frozen=True, slots=True)
class Shortfall:
    """A score below 1 of ``scripted/oracle``, the agent that knows the ground truth, or its failure."""

    family: str
    id: str
    scoring: Scoring | None
    metric: str | None
    value: float | None
    """None when there is no score."""
    error: str | None = None
    """Error that playing or scoring raised; None without one."""

    def __str__(self) -> str:
        if self.error is not None:
            return f"{self.family} {self.id}: playing it failed: {self.error}"
        got = "no score" if self.value is None else f"{self.value:.6g}"
        return f"{self.family} {self.id}: {self.metric} ({self.scoring}): expected 1, got {got}"


def inspect(entries: Iterable[SourceRow | DatasetError], families: Iterable[str] | None = None) -> Inspection:
    """Reads every row separately and collects all problems, also those of one row.

    Args:
        entries: rows, and errors in place of unreadable ones.
        families: families to read; None for all.
    """
    rows = 0
    found: dict[str, dict[str, Scenario[Any]]] = {}
    places: dict[tuple[str, str], str] = {}
    problems = []
    for entry in entries:
        rows += isinstance(entry, SourceRow) or entry.line is not None
        if isinstance(entry, DatasetError):
            problems.append(entry)
            continue
        try:
            single = dataset_from_rows(entry.source, [entry], families)
        except DatasetError as problem:
            problems += row_problems(entry, families) or (problem,)
            continue
        for scenario in (scenario for name in single.families for scenario in single.scenarios(name)):
            first = places.setdefault((scenario.family, scenario.id), f"{entry.source}, line {entry.line}")
            if scenario.id in found.setdefault(scenario.family, {}):
                taken = f"the id {scenario.id!r} is taken by {first}; expected a unique id"
                problems.append(DatasetError(entry.source, taken, entry.line, "id"))
            else:
                found[scenario.family][scenario.id] = scenario
    ordered = {name: tuple(found[name].values()) for name in FAMILIES if name in found}
    return Inspection(rows, ordered, tuple(problems))


def explain_problems(dataset: str, families: Iterable[str] | None, first: DatasetError) -> DatasetError:
    """Returns an error that lists the problems of a dataset of several rows, and how to play the rest of it.

    Args:
        dataset: a file or a folder.
        families: families to read; None for all.
        first: the problem that reading the dataset raised; returned as it is when it is the only one of a single file.
    """
    inspection = inspect(inspect_rows(dataset), families)
    problems = inspection.problems
    if len(problems) <= 1 and first.source == dataset:
        return first
    files = Counter(problem.source for problem in problems)
    hidden = len(problems) - _MAX_LISTED
    lines = [
        f"{inspection.bad_rows} of {inspection.rows} rows are not scenarios:",
        *(f"  {problem}" for problem in problems[:_MAX_LISTED]),
        *([f"  and {hidden} more; muses data validate {dataset} lists all"] if hidden > 0 else []),
        f"Correct the rows, or name a file or subfolder without them with --dataset. Their files: {', '.join(files)}",
    ]
    return DatasetError(dataset, "\n".join(lines))


async def play_oracle(scenarios: Mapping[str, tuple[Scenario[Any], ...]]) -> list[Shortfall]:
    """Plays the oracle on all scenarios; returns its scores below 1 in the leaderboard's columns."""
    return [short for group in scenarios.values() for scenario in group for short in await _oracle_on(scenario)]


async def _oracle_on(scenario: Scenario[Any]) -> list[Shortfall]:
    """As :func:`play_oracle`, on one scenario with scripted users."""
    family = FAMILIES[scenario.family]
    try:
        played = await play_scripted(family, scenario, "oracle", seed_from("oracle", scenario.id))
        scores = family.score(scenario, played.transcript)
    except Exception as error:  # noqa: BLE001 - an error is reported, and the other scenarios are still played
        return [Shortfall(scenario.family, scenario.id, None, None, None, f"{type(error).__name__}: {error}")]
    values = {(score.scoring, score.metric): score.value for score in scores if score.round is None}
    return [
        Shortfall(scenario.family, scenario.id, scoring, column, values.get((scoring, column)))
        for scoring, column in product(SCORINGS, leaderboard_metrics(family.name))
        if values.get((scoring, column), 0.0) < _ALMOST_ONE
    ]
