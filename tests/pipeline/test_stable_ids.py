"""Generated datasets and episode ids are pinned, so that later versions find what is stored today.

The values are literal.  A changed value prevents stored runs of such a dataset from being resumed, so a change needs an
entry in the changelog.
"""

import hashlib

import pytest
from muses_eval.pipeline.config.endpoint import Endpoint
from muses_eval.pipeline.config.engine import EngineSpec
from muses_eval.pipeline.config.model_spec import ModelSpec
from muses_eval.pipeline.config.sampling import Sampling
from muses_eval.pipeline.config.users import UsersSpec
from muses_eval.pipeline.datasets.dataset import generate_dataset
from muses_eval.pipeline.families import FAMILIES
from muses_eval.pipeline.plan.plan import RunRequest, TemplateChoice, make_plan
from muses_eval.pipeline.protocols.muses import MUSES
from muses_eval.pipeline.protocols.protocol import EpisodeProtocol
from muses_eval.pipeline.protocols.released import ReleasedProtocol
from muses_eval.pipeline.protocols.released_texts import TEXT_NAMES, ReleasedTexts

VERSIONS: dict[tuple[str, int, int | None], tuple[str, dict[str, str]]] = {
    ("tiny", 0, None): (
        "088a11bce1f0e0a3",
        {
            "queue": "9f00f68fe22d8e16",
            "instruct": "9ae045412991172b",
            "access": "a04d6e253a4c932e",
            "meeting": "e97a193cd301c2b7",
        },
    ),
    ("paper", 0, None): (
        "c0eeb35297364f33",
        {
            "queue": "6b53bdc9dfa3377b",
            "instruct": "ee94cbbc2bb15cbe",
            "access": "c42761814e6b7682",
            "meeting": "8794f9a3b2c1c1eb",
        },
    ),
    ("150", 11, None): (
        "182998769c843562",
        {
            "queue": "2c69e80c7a902c9d",
            "instruct": "51e09a992ceff1af",
            "access": "bcb852146e592c02",
            "meeting": "e3b8064087f34fc1",
        },
    ),
    ("40", 3, 40): (
        "88209ea8ae2075b8",
        {
            "queue": "cf28d8e2d30b2a08",
            "instruct": "2ca8934a27bfb2c5",
            "access": "98c9349274195ff4",
            "meeting": "6c510c48fb22e8f9",
        },
    ),
}
"""Versions of the whole dataset and by family, for each (size, seed, most users)."""

ENDPOINT = Endpoint(("http://127.0.0.1:1/v1",))
MODELS = (
    ModelSpec("scripted/oracle", "scripted", "oracle"),
    ModelSpec("hosted", "openai", "gpt", Sampling(0.7, 0.9, 512, 5, "low", '{"top_k":4}'), ENDPOINT),
    ModelSpec("claude", "anthropic", "claude", Sampling(temperature=0.0), ENDPOINT),
    ModelSpec("local", "vllm", "tiny", Sampling(seed=2), engine=EngineSpec(args='{"max_model_len":8192}')),
)
PLAYER = ModelSpec("player", "openai", "player", Sampling(temperature=0.2, max_tokens=256, seed=1), ENDPOINT)
PLANS = {
    "scripted": ("pinned-60819958", "fd70a4d71387ddfccb96a90f1d95f893ea1a8aa593916650a2e65f8432e50a57", 832),
    "model": ("pinned-98d2cf57", "7479d8b6b1ea927c18bdadd035b90ace76fa97643e02e3fc00c8760c7194bc86", 832),
}
"""The run id, a hash over all episodes, and their number, by kind of simulated users."""
RELEASED_PLANS = {
    "scripted": ("pinned-c5c91c22", "de8ef8e6601c805bbfed4c1500c19aef96d76fbb4f3e49259c2f3a511ff8a34f", 288),
    "model": ("pinned-0a188ef8", "72e0f955719312a869d3642e2b6dd7d00860d71fae212d12aa4c86976e6277f5", 288),
}
"""The same with the released protocol."""


@pytest.mark.parametrize(("size", "seed", "most_users"), VERSIONS)
def test_versions_of_generated_datasets(size: str, seed: int, most_users: int | None) -> None:
    """The rows have the same bytes on any machine and in any version, unless the changelog says otherwise."""
    dataset = generate_dataset(size, seed, most_users=most_users)
    assert (dataset.version, dataset.versions) == VERSIONS[size, seed, most_users]


def _pinned(players: str, templates: tuple[TemplateChoice, ...], protocol: EpisodeProtocol) -> tuple[str, str, int]:
    """Returns the run id, a hash over all episodes, and their number."""
    users = UsersSpec(PLAYER if players == "model" else None)
    request = RunRequest("pinned", MODELS, tuple(FAMILIES), users, templates, epochs=2, limit=9, protocol=protocol)
    plan = make_plan(request, generate_dataset("tiny", 0), shard_size=4)
    lines = [
        f"{cell.model.name} {cell.family} {cell.template} {shard.number} {episode.id} {episode.scenario_id} "
        f"{episode.template} {episode.epoch} {episode.agent_seed} {episode.users_seed}"
        for cell in plan.cells
        for shard in cell.shards
        for episode in shard.episodes
    ]
    found = hashlib.sha256("\n".join(lines).encode()).hexdigest()
    return plan.run_id, found, len(lines)


@pytest.mark.parametrize("players", PLANS)
def test_ids_of_a_plan(players: str) -> None:
    """A plan with all families and several models, serialisations and epochs has pinned ids, seeds and shards."""
    assert _pinned(players, ("published", "says", "native"), MUSES) == PLANS[players]


@pytest.mark.parametrize("players", RELEASED_PLANS)
def test_ids_of_a_plan_of_the_released_protocol(players: str) -> None:
    """The texts of the protocol are pinned by its name, and are not part of the ids."""
    released = ReleasedProtocol(ReleasedTexts(*TEXT_NAMES))
    assert _pinned(players, ("published",), released) == RELEASED_PLANS[players]
