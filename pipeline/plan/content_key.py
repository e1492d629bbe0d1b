"""Computes the content key of a cell, a hash of everything that determines its results.

When the keys of two nights are equal, the later night reuses the results of the earlier one.  The key covers the
episodes (and thereby dataset, serialisation, sampling, model identity and simulated users), the texts of the first
prompts of agents and simulated users, the construction of later prompts, the version of scripted texts, the scorer's
version, the declared revision of the weights, and the engines of the models that this project serves.  It cannot cover
a change of a model that a provider hosts; the canary detects those.
"""

import json
from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from muses_eval.pipeline.config.model_spec import ModelSpec
from muses_eval.pipeline.config.users import UsersSpec
from muses_eval.pipeline.datasets.dataset import Dataset
from muses_eval.pipeline.episode.control_tokens import escape_control_tokens
from muses_eval.pipeline.episode.interfaces import PrincipalView
from muses_eval.pipeline.episode.scenario import Input, Scenario
from muses_eval.pipeline.episode.serialization import ChatMessage, Template
from muses_eval.pipeline.families import FAMILIES
from muses_eval.pipeline.families.family import Family
from muses_eval.pipeline.hashing import PrefixHasher, digest
from muses_eval.pipeline.plan.plan import Cell
from muses_eval.pipeline.protocols import ProtocolName
from muses_eval.pipeline.protocols.muses import MUSES
from muses_eval.pipeline.protocols.protocol import EpisodeProtocol

SCRIPTED_VERSION = 2
"""Version of the texts of scripted users and built-in agents.  Increase it with every change of these texts."""
_EXCHANGES: Mapping[ProtocolName, tuple[str, ...]] = MappingProxyType(
    {
        "muses": ('{"target": "everyone", "content": "One."}', "Two."),
        "released": ('{"target": "all", "content": "One."}', "Two."),
    }
)
"""Replies of an agent that reach every principal, one in the format of the families with several turns."""
NO_ENGINES: Mapping[str, str] = MappingProxyType({})


def content_key(
    cell: Cell,
    dataset: Dataset,
    users: UsersSpec,
    engines: Mapping[str, str] = NO_ENGINES,
    protocol: EpisodeProtocol = MUSES,
) -> str:
    """Returns the key, 32 hex digits.  It does not depend on the order of shards and scenarios.

    Args:
        cell: the cell.
        dataset: the dataset with the cell's scenarios.
        users: the simulated users.
        engines: model name -> engine, for the models that this project serves.
        protocol: the protocol of the episodes.
    """
    family, engine = FAMILIES[cell.family], cell.model.engine
    by_id = dataset.by_family[cell.family]
    episodes = sorted(
        (episode.id, episode.scenario_id, episode.template) for shard in cell.shards for episode in shard.episodes
    )
    has_later_turns = family.max_turns > 1
    player = users.model if has_later_turns else None
    texts = PrefixHasher("texts")
    prompts = [
        texts.digest(_read(protocol.dialogue(family, by_id[scenario_id], template).observation.prompt))
        for _, scenario_id, template in episodes
    ]
    parts = []
    if player is not None:
        scenarios = (by_id[scenario_id] for scenario_id in sorted({entry[1] for entry in episodes}))
        parts = [
            texts.digest([m.content for m in protocol.user_prompt(principal, PrincipalView(principal.name, 1, ()))])
            for scenario in scenarios
            for principal in scenario.principals
        ]
    samples = {template: scenario_id for _, scenario_id, template in episodes} if has_later_turns else {}
    later = [
        texts.digest(_later_turns(protocol, family, by_id[scenario_id], template, users))
        for template, scenario_id in sorted(samples.items())
    ]
    revision = None if engine is None else json.loads(engine.args).get("revision")
    is_scripted = cell.model.provider == "scripted" or (player is None and has_later_turns)
    served = [_served(model, engines) for model in (cell.model, player) if model is not None]
    versions = (family.scorer_version, SCRIPTED_VERSION if is_scripted else None, revision, served)
    return digest("cell", [entry[0] for entry in episodes], prompts, parts, later, versions)


def _served(model: ModelSpec, engines: Mapping[str, str]) -> object:
    """Returns the engine, and the number of GPUs when there are several, because sums are then rounded differently."""
    parallel = 1 if model.engine is None else model.engine.tensor_parallel
    return engines.get(model.name) if parallel == 1 else (engines.get(model.name), parallel)


def _later_turns(
    protocol: EpisodeProtocol, family: Family[Any], scenario: Scenario[Any], template: Template, users: UsersSpec
) -> list[object]:
    """Returns the prompts of a short exchange of fixed texts, which depend on how replies are parsed and delivered."""
    dialogue, read = protocol.dialogue(family, scenario, template), list[object]()

    def answer() -> None:
        answers = []
        for view in dialogue.next_views:
            principal = scenario.principal(view.name)
            if users.model is not None:
                read.append(_read(protocol.user_prompt(principal, view)))
            answers.append(Input(view.name, protocol.user_message(principal, f"{view.name}: Yes.") or ""))
        dialogue.add_inputs(tuple(answers))

    if dialogue.greeted:
        answer()
    for reply in _EXCHANGES[protocol.name]:
        dialogue.add_reply(reply)
        answer()
    return [*read, _read(dialogue.observation.prompt)]


def _read(prompt: Iterable[ChatMessage]) -> list[tuple[str, str]]:
    """Returns a prompt as it is sent."""
    return [(message.role, message.content) for message in map(escape_control_tokens, prompt)]
