"""The plan of a run: config -> cells -> shards -> episodes, all with stable ids.

A plan is a pure function of the dataset's content and the run's identity, so the same config gives the same ids on
every machine.  To resume a run, :meth:`Plan.without` removes the episodes that have scores.
"""

from collections import Counter
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Literal

from muses_eval.pipeline.agents.agent_spec import CHAT, AgentSpec, entry_name, entry_slug
from muses_eval.pipeline.config.model_spec import ModelSpec
from muses_eval.pipeline.config.users import UsersSpec
from muses_eval.pipeline.datasets.dataset import Dataset
from muses_eval.pipeline.episode.scenario import Scenario
from muses_eval.pipeline.episode.serialization import Template
from muses_eval.pipeline.hashing import PrefixHasher, digest, slug
from muses_eval.pipeline.protocols import protocol_identity
from muses_eval.pipeline.protocols.muses import MUSES
from muses_eval.pipeline.protocols.protocol import EpisodeProtocol
from muses_eval.pipeline.seeds import UsersSeeds, agent_seed

_LONGEST_NAME = 120
"""Maximum number of characters of a run's name in its id, because file names have at most 255 bytes."""
TemplateChoice = Template | Literal["published"]
"""``published``: each scenario in the serialisation of its row."""


@dataclass(frozen=True, slots=True)
class EpisodePlan:
    """One scenario that one model with one agent plays once: the unit of scoring."""

    id: str
    scenario_id: str
    template: Template
    epoch: int
    """0-based number of the repetition of the scenario."""
    agent_seed: int
    """Seed of a scripted agent."""
    users_seed: int
    """Seed of the simulated users, the same for every model (common random numbers)."""


@dataclass(frozen=True, slots=True)
class ShardPlan:
    """Some tens of episodes of one cell: the unit of work, of retries and of storage.

    ``number`` is unique for the run, model and family, and does not depend on which episodes are already scored.
    """

    number: int
    episodes: tuple[EpisodePlan, ...]


@dataclass(frozen=True, slots=True)
class Cell:
    """Model x agent x family x template choice: the unit of reports and of Prefect tasks."""

    model: ModelSpec
    family: str
    template: TemplateChoice
    shards: tuple[ShardPlan, ...]
    agent: AgentSpec = CHAT

    @property
    def entry(self) -> str:
        """Name of the model with its agent on the leaderboard."""
        return entry_name(self.model.name, self.agent)

    @property
    def slug(self) -> str:
        """The entry as a path segment."""
        return entry_slug(self.model.name, self.agent)

    @property
    def label(self) -> str:
        suffix = "" if self.template == "published" else f" ({self.template})"
        return f"{self.entry} on {self.family}{suffix}"

    @property
    def episode_count(self) -> int:
        return sum(len(shard.episodes) for shard in self.shards)


@dataclass(frozen=True, slots=True)
class RunRequest:
    """The identity of a run, without the content of the dataset."""

    name: str
    models: tuple[ModelSpec, ...]
    families: tuple[str, ...]
    users: UsersSpec = UsersSpec()
    templates: tuple[TemplateChoice, ...] = ("published",)
    epochs: int = 1
    limit: int | None = None
    """Number of scenarios per family, a sample that is the same for every model; None for all scenarios."""
    protocol: EpisodeProtocol = MUSES
    agents: tuple[AgentSpec, ...] = (CHAT,)
    scenarios: tuple[str, ...] = ()
    """Ids of the scenarios to play; empty for all.  The ids of episodes do not depend on it."""


@dataclass(frozen=True, slots=True)
class Plan:
    """All episodes of a run."""

    run_id: str
    dataset: str
    dataset_version: str
    users: UsersSpec
    cells: tuple[Cell, ...]
    protocol: EpisodeProtocol = MUSES

    @property
    def episode_count(self) -> int:
        return sum(cell.episode_count for cell in self.cells)

    @property
    def planned(self) -> dict[tuple[str, str], int]:
        """(entry, family) -> number of episodes."""
        counts: Counter[tuple[str, str]] = Counter()
        for cell in self.cells:
            counts[cell.entry, cell.family] += cell.episode_count
        return dict(counts)

    def without(self, scored: Collection[str]) -> "Plan":
        """Returns the plan without the episodes with these ids.  Empty shards and cells are removed; numbers stay."""
        cells = []
        for cell in self.cells:
            shards = []
            for shard in cell.shards:
                pending = tuple(episode for episode in shard.episodes if episode.id not in scored)
                if pending:
                    shards.append(ShardPlan(shard.number, pending))
            if shards:
                cells.append(replace(cell, shards=tuple(shards)))
        return replace(self, cells=tuple(cells))


def make_plan(request: RunRequest, dataset: Dataset, shard_size: int, run_id: str | None = None) -> Plan:
    """Makes the plan of one run.

    Args:
        request: identity of the run.
        dataset: the scenarios.
        shard_size: maximum number of episodes per shard.
        run_id: id of the run.  By default it is derived from the request and the dataset, so the same config gives the
            same run.
    """
    numbers: Counter[tuple[str, str]] = Counter()
    cells = []
    for (model, agent), family in product(product(request.models, request.agents), request.families):
        # A scenario is planned once when its published template is requested by name as well.
        earlier: set[str] = set()
        for choice in request.templates:
            planned = _episodes(request, dataset, model, agent, family, choice)
            episodes = tuple(episode for episode in planned if episode.id not in earlier)
            earlier.update(episode.id for episode in episodes)
            entry = entry_slug(model.name, agent)
            first = numbers[entry, family]
            shards = tuple(
                ShardPlan(first + index, episodes[start : start + shard_size])
                for index, start in enumerate(range(0, len(episodes), shard_size))
            )
            numbers[entry, family] += len(shards)
            cells.append(Cell(model, family, choice, shards, agent))
    return Plan(
        run_id=run_id or f"{slug(request.name)[:_LONGEST_NAME]}-{_identity(request, dataset)[:8]}",
        dataset=dataset.name,
        dataset_version=dataset.version,
        users=request.users,
        cells=tuple(cells),
        protocol=request.protocol,
    )


def _identity(request: RunRequest, dataset: Dataset) -> str:
    models = [(model.name, *model.identity) for model in request.models]
    settings = (request.families, request.templates, request.epochs, request.limit, request.users.identity)
    agents = () if request.agents == (CHAT,) else ([agent.identity for agent in request.agents],)
    chosen = (["scenarios", *sorted(set(request.scenarios))],) if request.scenarios else ()
    return digest(dataset.version, models, settings, *protocol_identity(request.protocol.name), *agents, *chosen)


def _chosen(scenarios: tuple[Scenario[Any], ...], request: RunRequest) -> tuple[Scenario[Any], ...]:
    """Returns all scenarios, those that are named, or a sample.

    A sample depends on the ids alone, not on the order of rows and files.
    """
    if request.scenarios:
        return tuple(scenario for scenario in scenarios if scenario.id in request.scenarios)
    limit = request.limit
    if limit is None or limit >= len(scenarios):
        return scenarios
    sample = {scenario.id for scenario in sorted(scenarios, key=lambda scenario: digest("limit", scenario.id))[:limit]}
    return tuple(scenario for scenario in scenarios if scenario.id in sample)


def _episodes(  # noqa: PLR0913, PLR0917 - the factors of a cell
    request: RunRequest, dataset: Dataset, model: ModelSpec, agent: AgentSpec, family: str, choice: TemplateChoice
) -> Iterator[EpisodePlan]:
    # The name is included: two servers may offer different weights as one model, and a run may compare them.
    version = dataset.versions.get(family)
    later = (*protocol_identity(request.protocol.name), *agent.identity)
    ids = PrefixHasher("episode", version, family, request.users.identity, model.name, model.identity, *later)
    users = UsersSeeds(version, family, request.users.identity, request.protocol.name)
    for scenario in _chosen(dataset.scenarios(family), request):
        template = scenario.template if choice == "published" else choice
        for epoch in range(request.epochs):
            episode_id = ids.digest(scenario.id, template, epoch)
            yield EpisodePlan(
                id=episode_id,
                scenario_id=scenario.id,
                template=template,
                epoch=epoch,
                agent_seed=agent_seed(episode_id),
                users_seed=users.seed(scenario.id, template, epoch),
            )
