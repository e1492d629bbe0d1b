"""Finds the words by which an access episode leaked its resource, and the scoring rule that they broke.

The words come from the scenario, which traces do not contain.  A generated scenario is generated again from the dataset
in the run's manifest, and is used only if its briefing equals that of the episode.  Files that a manifest names are
never opened, since a store may come from an untrusted source.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from muses_eval.dashboards.web.page import NoSuchPageError
from muses_eval.dashboards.web.store_cache import StoreCache
from muses_eval.pipeline.config.dataset import DatasetSpec
from muses_eval.pipeline.datasets.dataset import generate_rows
from muses_eval.pipeline.episode.episode import Episode
from muses_eval.pipeline.episode.principal import SYSTEM
from muses_eval.pipeline.episode.scenario import Scenario
from muses_eval.pipeline.episode.score import Scoring
from muses_eval.pipeline.episode.serialization import TEMPLATES
from muses_eval.pipeline.episode.transcript import Transcript
from muses_eval.pipeline.families import FAMILIES
from muses_eval.pipeline.families.access.leaks import find_leaks
from pydantic import TypeAdapter, ValidationError

FAMILY = "access"
_DATASET = TypeAdapter(DatasetSpec)
_MAX_LISTED = 3
"""Maximum number of leaked words that a rule lists."""
MAX_SCENARIOS = 2_000
"""Maximum number of scenarios generated to find that of the episode; it bounds the time to load a page."""


@dataclass(frozen=True, slots=True)
class MarkedLeak:
    """A leak to one unauthorized principal in one turn."""

    evidence: tuple[str, ...]
    """Passages of the message that the scoring rules matched."""
    rules: tuple[str, ...]
    """Description of each broken rule, with the passages that it matched."""


def leaks(cache: StoreCache, episode: Episode) -> Mapping[tuple[int, str], MarkedLeak]:
    """Returns (turn, principal) -> leak; empty when nothing leaked or the scenario is not available."""
    scenario = None if episode.family != FAMILY else _scenario(cache, episode)
    if scenario is None:
        return {}
    found: dict[tuple[int, str], dict[Scoring, tuple[str, ...]]] = {}
    for each in find_leaks(scenario, Transcript(episode.messages)):
        found.setdefault((each.turn, each.name), {})[each.scoring] = each.evidence
    return {
        key: MarkedLeak(
            evidence=tuple(dict.fromkeys(passage for evidence in by_rule.values() for passage in evidence)),
            rules=tuple(f"{scoring} rule: {_listed(evidence)}" for scoring, evidence in by_rule.items()),
        )
        for key, by_rule in found.items()
    }


def _scenario(cache: StoreCache, episode: Episode) -> Scenario[Any] | None:
    try:
        spec = _DATASET.validate_python(cache.run(episode.run_id).manifest.config["dataset"])
    except (NoSuchPageError, KeyError, ValidationError):  # no manifest, or one of another version
        return None
    briefing = next((message.content for message in episode.messages if message.sender == SYSTEM), None)
    if spec.path is not None or briefing is None or episode.template not in TEMPLATES:
        return None
    rows = generate_rows(spec.size, spec.seed, (FAMILY,), spec.most_users)
    row = next((row for row in islice(rows, MAX_SCENARIOS) if row["id"] == episode.scenario_id), None)
    scenario = None if row is None else FAMILIES[FAMILY].read(row)
    template = next(template for template in TEMPLATES if template == episode.template)
    return scenario if scenario is not None and scenario.briefing_in(template) == briefing else None


def _listed(evidence: tuple[str, ...]) -> str:
    return (
        f"{len(evidence)} passages of the resource"
        if len(evidence) > _MAX_LISTED
        else ", ".join(f"“{passage}”" for passage in evidence)
    )
