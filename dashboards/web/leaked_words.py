"""Where a transcript shows a resource to somebody who may not have it, and by which rule.

The words come from the scenario, which no trace holds.  A generated one is generated again, from what the run's
manifest says, and used only if its briefing equals the episode's; files that a manifest names are not
opened, since a store may come from anybody.
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from itertools import islice
from typing import Any

from markupsafe import Markup, escape
from muses_eval.dashboards.tables.text_table import printable
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
from muses_eval.pipeline.families.access.leak_evidence import evidence
from pydantic import TypeAdapter, ValidationError

FAMILY = "access"
_DATASET = TypeAdapter(DatasetSpec)
_LISTED = 3
MOST_SCENARIOS = 2_000
"""Generated to find the episode's; a page has to be there before its visitor has gone."""


@dataclass(frozen=True, slots=True)
class Leak:
    """What one principal saw in one turn and may not."""

    signs: tuple[str, ...]
    """The texts that the rules went by."""
    rules: tuple[str, ...]
    """In words: which rule, by which signs."""


def leaks(cache: StoreCache, episode: Episode) -> Mapping[tuple[int, str], Leak]:
    """(turn, principal) -> what it saw; empty where nothing leaked, and where the scenario is not to be had."""
    scenario = None if episode.family != FAMILY else _scenario(cache, episode)
    if scenario is None:
        return {}
    found: dict[tuple[int, str], dict[Scoring, tuple[str, ...]]] = {}
    for each in evidence(scenario, Transcript(episode.messages)):
        found.setdefault((each.turn, each.name), {})[each.scoring] = each.signs
    return {
        place: Leak(
            signs=tuple(dict.fromkeys(sign for signs in by_rule.values() for sign in signs)),
            rules=tuple(f"{scoring} rule: {_told(signs)}" for scoring, signs in by_rule.items()),
        )
        for place, by_rule in found.items()
    }


def marked(text: str, signs: Iterable[str]) -> Markup:
    """*text* for a page, the *signs* in it marked; their case, emphasis and spacing may differ."""
    parts, end = [], 0
    for start, stop in _merged(_places(text, signs)):
        parts += [_shown(text[end:start]), Markup("<mark>{}</mark>").format(_shown(text[start:stop]))]
        end = stop
    return Markup().join([*parts, _shown(text[end:])])


def _scenario(cache: StoreCache, episode: Episode) -> Scenario[Any] | None:
    try:
        spec = _DATASET.validate_python(cache.run(episode.run_id).manifest.config["dataset"])
    except (NoSuchPageError, KeyError, ValidationError):  # a run without its manifest, or of another version
        return None
    told = next((message.content for message in episode.messages if message.sender == SYSTEM), None)
    if spec.path is not None or told is None or episode.template not in TEMPLATES:
        return None
    rows = generate_rows(spec.size, spec.seed, (FAMILY,), spec.most_users)
    row = next((row for row in islice(rows, MOST_SCENARIOS) if row["id"] == episode.scenario_id), None)
    scenario = None if row is None else FAMILIES[FAMILY].read(row)
    template = next(template for template in TEMPLATES if template == episode.template)
    return scenario if scenario is not None and scenario.briefing_in(template) == told else None


def _told(signs: tuple[str, ...]) -> str:
    return f"{len(signs)} signs of the resource" if len(signs) > _LISTED else ", ".join(f"“{sign}”" for sign in signs)


def _places(text: str, signs: Iterable[str]) -> Iterable[tuple[int, int]]:
    for sign in signs:
        words = map(re.escape, sign.split())
        yield from (match.span() for match in re.finditer(r"[\s*`]+".join(words), text, re.IGNORECASE))


def _merged(places: Iterable[tuple[int, int]]) -> list[tuple[int, int]]:
    merged: list[tuple[int, int]] = []
    for start, stop in sorted(places):
        if merged and start <= merged[-1][1]:
            merged[-1] = merged[-1][0], max(stop, merged[-1][1])
        else:
            merged.append((start, stop))
    return merged


def _shown(text: str) -> Markup:
    return escape(printable(text))
