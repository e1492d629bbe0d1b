"""Sample episodes."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

from muses_eval.pipeline.episode.episode import Episode
from muses_eval.pipeline.episode.model_call import Call
from muses_eval.pipeline.episode.score import Score
from muses_eval.pipeline.episode.transcript import Message
from muses_eval.pipeline.hashing import digest
from muses_eval.storage.runs.manifest import RunManifest

SAMPLE = Episode(
    episode_id=digest("sample"),
    run_id="run-a",
    model="model-a",
    base_model="model-a",
    provider="openai",
    provider_model="provider/model-a",
    family="queue",
    scenario_id="queue-1",
    dataset="generated:tiny@0",
    dataset_version="0123456789abcdef",
    template="says",
    mode=None,
    attack=None,
    disclosure=None,
    difficulty=None,
    num_users=3,
    users="scripted",
    sampling="{}",
    epoch=0,
    shard=0,
    attempt=1,
    outcome="scored",
    error_kind=None,
    error=None,
    flags=(),
    scorer_version=1,
    turns=1,
    started_at=datetime(2026, 1, 2, 3, 4, 5, 678901, tzinfo=UTC),
    seconds=1.5,
    prompt_tokens=100,
    completion_tokens=20,
    cost_usd=0.001,
    scores=(Score("published", "f1", 0.5), Score("corrected", "f1", 0.25)),
    messages=(Message(0, "system", ("agent",), "The briefing."), Message(1, "agent", (), '{"accept": ["Ana"]}')),
    calls=(Call("agent", "provider/model-a", 100, 20, 1.25, 0, "stop"),),
    evidence=(),
)


def episode(name: object = "sample", **changes: Any) -> Episode:
    """Returns the sample with the id derived from *name*, and with *changes*; the model alone, unless they say more."""
    alone = {"base_model": changes["model"]} if "model" in changes else {}
    return replace(SAMPLE, episode_id=digest(name), **alone | changes)


def scored(name: object, metrics: dict[str, float], **changes: Any) -> Episode:
    """Returns a scored episode with these published metrics."""
    return episode(
        name, scores=tuple(Score("published", metric, value) for metric, value in metrics.items()), **changes
    )


def failed(name: object, **changes: Any) -> Episode:
    """Returns an episode whose model did not respond."""
    return episode(
        name,
        **{"outcome": "infra_failed", "error_kind": "timeout", "error": "no answer in 120 s", "scores": ()} | changes,
    )


MANIFEST = RunManifest(
    run_id="run-a",
    created_at=SAMPLE.started_at,
    config={"models": [{"name": "model-a", "api_key": "${MODEL_A_KEY}"}]},
    dataset=SAMPLE.dataset,
    dataset_version=SAMPLE.dataset_version,
    planned={("model-a", "queue"): 12},
    models={"model-a": {"provider": "openai", "model": "provider/model-a"}},
    users="scripted",
    epochs=2,
    limit=6,
    versions={"muses-eval": "0.1.0"},
    commit="0" * 40,
    dirty=False,
)
