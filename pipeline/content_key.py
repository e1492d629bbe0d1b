"""What decides a cell's results: where the key of two nights is the same, the second one need not be played again.

The key covers the episodes (and so dataset, serialisation, sampling, model identity and who plays the users), the very
texts that the agent is given, the parts that simulated users are given, the version of what scripted ones say, the
scorer's version and the weights' revision as far as it is declared.  What a hosted provider changes behind a name is
not in it; that is what the canary is for.
"""

import json

from pipeline.datasets import Dataset
from pipeline.families import FAMILIES
from pipeline.hashing import Derivation, digest
from pipeline.plan import Cell
from pipeline.protocol import View
from pipeline.serialization import defused, serialize
from pipeline.specs import UsersSpec
from pipeline.users import user_prompt

SCRIPTED_VERSION = 1
"""Of what scripted users and built-in agents say.  Raise it with every change of that."""


def content_key(cell: Cell, dataset: Dataset, users: UsersSpec) -> str:
    """32 hex digits; the order of shards and scenarios does not matter."""
    family, engine = FAMILIES[cell.family], cell.model.engine
    by_id = dataset.by_family[cell.family]
    episodes = sorted(
        (episode.id, episode.scenario_id, episode.template) for shard in cell.shards for episode in shard.episodes
    )
    texts = Derivation("texts")
    prompts = [
        texts.digest(
            by_id[scenario_id].briefing_in(template),
            [
                (message.role, message.content)
                for message in map(
                    defused,
                    serialize(template, [(entry.sender, entry.text) for entry in by_id[scenario_id].openings]),
                )
            ],
        )
        for _, scenario_id, template in episodes
    ]
    parts = []
    if users.model is not None and family.max_turns > 1:
        scenarios = (by_id[scenario_id] for scenario_id in sorted({entry[1] for entry in episodes}))
        parts = [
            texts.digest([message.content for message in user_prompt(principal, View(principal.name, 1, ()))])
            for scenario in scenarios
            for principal in scenario.principals
        ]
    revision = None if engine is None else json.loads(engine.args).get("revision")
    is_scripted = cell.model.provider == "scripted" or (users.model is None and family.max_turns > 1)
    versions = (family.scorer_version, SCRIPTED_VERSION if is_scripted else None)
    return digest("cell", [entry[0] for entry in episodes], prompts, parts, versions, revision)
