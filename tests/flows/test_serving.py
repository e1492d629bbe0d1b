"""Models that a run serves itself, and the errors when it cannot.  ``tests/vllm`` has the tests with real servers."""

from collections import Counter
from pathlib import Path

import pytest
from muses_eval.flows.job.prepare import load_dataset, plan_run
from muses_eval.flows.job.serving import served_agents, served_users
from muses_eval.pipeline.config.parse import parse_config
from muses_eval.pipeline.plan.plan import Plan

from tests.conftest import Muses


def plan(users: object, *families: str) -> Plan:
    models = ["scripted/oracle", {"model": "vllm:m", "name": "a"}, {"model": "vllm:n"}]
    raw = {"models": models, "users": users, "families": list(families), "execution": {"shard_size": 5}}
    config = parse_config({**raw, "dataset": "generated:12"}, "test")
    return plan_run(config, load_dataset(config))


def test_agents_of_ours_and_their_shards() -> None:
    """The shards of each served agent are counted, so that its GPUs are freed after the last one."""
    found = served_agents(plan("scripted", "queue", "instruct"))
    shards = Counter({model.name: count for model, count in found.items()})
    assert shards == {"a": 6, "n": 6}


def test_users_of_ours_are_served_where_they_are_called() -> None:
    assert [model.model for model in served_users(plan("vllm:u", "queue", "access"))] == ["u"]
    assert served_users(plan("vllm:u", "queue")) == ()
    assert served_users(plan("openai:u", "access")) == ()
    assert served_users(plan("scripted", "access")) == ()


def test_a_run_without_ray_says_so(muses: Muses) -> None:
    done = muses("run", "--model=vllm:m", "--dataset=generated:2", "--family=queue", "--executor=inline")
    assert done.returncode == 2
    assert "vllm:m: served on Ray only; write executor: ray under execution, or pass --executor ray" in done.stderr


@pytest.mark.slow
def test_a_run_without_vllm_says_so(muses: Muses, tmp_path: Path) -> None:
    """A missing vLLM is reported at once in a message of our own, and the episodes stay pending."""
    path = tmp_path / "run.yaml"
    path.write_text(
        "dataset: generated:2\nfamilies: [queue]\nexecution: {executor: ray, workers: 1}\n"
        "models:\n  - {model: 'vllm:m', engine: {python: /nowhere/python}}\n"
    )
    done = muses("run", str(path))
    assert done.returncode == 2
    assert "engine.python: cannot run /nowhere/python on " in done.stderr
    assert "Traceback" not in done.stderr
