"""The fixture of the current schema version, which is kept forever and read by every later version.

python -m tests.storage.version_fixture tests/storage/fixtures/schema-v6

Run this once when the version is raised, with the new version's folder; older folders are never written again.
"""

import sys
from dataclasses import replace

from muses_eval.pipeline.episode.episode import Episode
from muses_eval.pipeline.episode.event import Event
from muses_eval.pipeline.episode.evidence import Evidence
from muses_eval.pipeline.episode.model_call import Call
from muses_eval.pipeline.episode.score import Score
from muses_eval.pipeline.episode.transcript import Message
from muses_eval.pipeline.episode.unusable_replies import UnusableReplies
from muses_eval.storage.objects.object_keys import ShardKey
from muses_eval.storage.objects.open_store import open_store
from muses_eval.storage.runs.manifest import create_or_check
from muses_eval.storage.runs.shards import write_shard
from muses_eval.storage.schema.parquet_schema import SCHEMA_VERSION

from tests.storage.samples import MANIFEST, SAMPLE, episode, failed

RUN = "with-calls"
EVIDENCE = Evidence(
    scoring="published",
    metric="f1",
    rule="Ana_1",
    verdict="fail",
    principal="Ana",
    turn=1,
    span="Grüße",
    expected="accept",
    found="reject",
)


def fixture_episodes() -> list[Episode]:
    """Returns a scored episode with two calls, one with a user's call, and a failure."""
    agent = Call(
        "agent", "provider/model-a", 100, 20, 1.25, 2, "stop", cached_tokens=64, cost_usd=0.001, turn=1, step=2
    )
    user = Call("user", "provider/user", 50, 5, 0.5, 0, "stop")
    said = (Message(1, "user", ("agent",), "Grüße, 你好 \N{PILE OF POO}"), *SAMPLE.messages)
    facts = {"run_id": RUN, "protocol": "released", "base_model": "model", "agent": "guard", "facts": "structured"}
    return [
        episode(1, **facts, calls=(agent, agent), cost_usd=0.002, events=(Event(1, 1, "log", "Checked."),)),
        episode(
            2,
            **facts,
            calls=(agent, user),
            messages=said,
            scores=(Score("published", "f1", 1.0),),
            unusable=UnusableReplies(truncated=1),
            evidence=(EVIDENCE,),
        ),
        failed(3, **facts, calls=(), cost_usd=None),
    ]


def main(folder: str) -> None:
    """Writes one run into an empty store."""
    store = open_store(folder)
    models = {"model-a": {**MANIFEST.models["model-a"], "base_model": "model", "agent": {"name": "guard"}}}
    planned = {("model-a", "queue"): 3}
    create_or_check(store, replace(MANIFEST, run_id=RUN, planned=planned, protocol="released", models=models))
    write_shard(store, ShardKey(RUN, "model-a", "queue", 0, 1), fixture_episodes())
    print(f"schema version {SCHEMA_VERSION} in {folder}")  # noqa: T201 - the output of the command


if __name__ == "__main__":
    main(sys.argv[1])
