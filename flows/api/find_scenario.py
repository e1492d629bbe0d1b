"""Finds the scenario that an episode was played on; traces have its texts, but not its ground truth."""

from collections.abc import Iterable, Iterator
from itertools import islice
from typing import Any

from muses_eval.pipeline.config.dataset import DatasetSpec, dataset_from_text
from muses_eval.pipeline.datasets.dataset import generate_rows
from muses_eval.pipeline.episode.episode import Episode
from muses_eval.pipeline.episode.principal import SYSTEM
from muses_eval.pipeline.episode.scenario import Scenario
from muses_eval.pipeline.episode.serialization import TEMPLATES
from muses_eval.pipeline.errors import ConfigError
from muses_eval.pipeline.families import find_family
from muses_eval.pipeline.families.family import Row
from muses_eval.storage.objects.dataset_files import read_rows
from muses_eval.storage.runs.manifest import RunManifest
from pydantic import TypeAdapter, ValidationError

_DATASET = TypeAdapter(DatasetSpec)
_MAX_ROWS = 20_000
"""Maximum number of rows of the family that are generated or read."""


def find_scenario(manifest: RunManifest, episode: Episode, dataset: str | None = None) -> Scenario[Any]:
    """Returns the scenario of an episode.

    Args:
        manifest: of the episode's run.
        episode: the episode.
        dataset: JSONL file or folder, or ``generated:N@SEED``; None for the dataset of the run's config.

    Raises:
        ConfigError: the dataset has no such scenario, or another one under its id.
        DatasetError: the dataset cannot be read.
    """
    family = find_family(episode.family)
    try:
        spec = _DATASET.validate_python(
            manifest.config.get("dataset") if dataset is None else dataset_from_text(dataset)
        )
    except ValidationError as error:
        raise ConfigError(f"the dataset of run {manifest.run_id!r} is not known: {error.errors()[0]['msg']}") from error
    for row in islice(_rows(spec, episode.family), _MAX_ROWS):
        if row.get("id") == episode.scenario_id:
            scenario = family.read(row)
            if _was_played(scenario, episode):
                return scenario
            raise ConfigError(f"{spec.name} has another scenario {episode.scenario_id!r} than the run was played on")
    raise ConfigError(f"{spec.name} has no scenario {episode.scenario_id!r}")


def _rows(spec: DatasetSpec, name: str) -> Iterator[Row]:
    if spec.path is None:
        yield from _generated(spec, name)
        return
    family = find_family(name)
    yield from (row for _, _, row in read_rows(spec.path) if family.matches(row))


def _generated(spec: DatasetSpec, family: str) -> Iterable[Row]:
    return generate_rows(spec.size, spec.seed, (family,), spec.most_users)


def _was_played(scenario: Scenario[Any], episode: Episode) -> bool:
    """Returns whether the briefing of the episode is that of the scenario; the released protocol adds a block."""
    briefing = next((message.content for message in episode.messages if message.sender == SYSTEM), "")
    template = next((template for template in TEMPLATES if template == episode.template), scenario.template)
    own = scenario.row_prompt.system if scenario.row_prompt is not None else ""
    return scenario.briefing_in(template) == briefing or (bool(own.strip()) and own.strip() in briefing)
