"""The plan: stable ids, common random numbers, and resuming as a set difference."""

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import pytest
from muses_eval.pipeline.config.endpoint import Endpoint, Limits
from muses_eval.pipeline.config.model_spec import ModelSpec
from muses_eval.pipeline.config.sampling import Sampling
from muses_eval.pipeline.config.users import UsersSpec
from muses_eval.pipeline.datasets.dataset import (
    Dataset,
    SourceRow,
    dataset_from_rows,
    generate_dataset,
    generate_rows,
)
from muses_eval.pipeline.plan.plan import EpisodePlan, Plan, RunRequest, make_plan
from muses_eval.pipeline.protocols.released import ReleasedProtocol
from muses_eval.pipeline.protocols.released_texts import TEXT_NAMES, ReleasedTexts

ORACLE = ModelSpec("scripted/oracle", "scripted", "oracle")
ELSEWHERE = Endpoint(("http://elsewhere/v1",), "KEY", 9.0, 1, Limits(concurrency=3))
MODEL = ModelSpec("m", "openai", "m", endpoint=Endpoint(("http://127.0.0.1:1/v1",)))
REQUEST = RunRequest("run", (MODEL,), ("queue", "access"))
USERS = UsersSpec(ModelSpec("user", "openai", "user"))
GOLDEN = Dataset("golden", {"queue": "0123456789abcdef"}, {})
"""A dataset with a version that no generator can change."""


@pytest.fixture(scope="module")
def dataset() -> Dataset:
    return generate_dataset("3", 0, ("queue", "access"))


def episodes(plan: Plan) -> list[EpisodePlan]:
    return [episode for cell in plan.cells for shard in cell.shards for episode in shard.episodes]


def ids(plan: Plan) -> set[str]:
    return {episode.id for episode in episodes(plan)}


def of_model(plan: Plan, name: str) -> dict[tuple[str, str, int], EpisodePlan]:
    return {
        (cell.family, episode.scenario_id, episode.epoch): episode
        for cell in plan.cells
        if cell.model.name == name
        for shard in cell.shards
        for episode in shard.episodes
    }


def test_names_are_the_same_in_any_year(dataset: Dataset) -> None:
    """The ids are pinned, since a change of their derivation would prevent stored runs from being resumed."""
    scenario = dataset.scenarios("queue")[0]
    golden = replace(GOLDEN, by_family={"queue": {"q": replace(scenario, id="q")}})
    plan = make_plan(RunRequest("night", (MODEL,), ("queue",)), golden, 32)
    (episode,) = episodes(plan)
    assert plan.run_id == "night-c63de28e"
    assert episode.id == "abc7286b3b793bd722870db6601f0d6b"
    assert (episode.agent_seed, episode.users_seed) == (773619158867219389, 1996472906257105742)


def test_names_are_the_same_in_any_process(dataset: Dataset) -> None:
    """A process with another hash seed makes the same plan."""
    code = (
        "from tests.pipeline.test_plan import REQUEST, episodes\n"
        "from muses_eval.pipeline.datasets.dataset import generate_dataset\n"
        "from muses_eval.pipeline.plan.plan import make_plan\n"
        "plan = make_plan(REQUEST, generate_dataset('3', 0, ('queue', 'access')), 2)\n"
        "print(plan.run_id, *(f'{e.id} {e.agent_seed} {e.users_seed}' for e in episodes(plan)), sep='\\n')"
    )
    root = Path(__file__).parents[2]
    done = subprocess.run(
        [sys.executable, "-c", code],
        cwd=root,
        env={**os.environ, "PYTHONHASHSEED": "4711"},
        capture_output=True,
        text=True,
        check=True,
        timeout=60,
    )
    plan = make_plan(REQUEST, dataset, 2)
    here = [plan.run_id, *(f"{e.id} {e.agent_seed} {e.users_seed}" for e in episodes(plan))]
    assert done.stdout.split("\n")[:-1] == here


@pytest.mark.parametrize(
    ("request_", "shard_size"),
    [
        (
            replace(
                REQUEST,
                models=(replace(MODEL, endpoint=ELSEWHERE),),
            ),
            32,
        ),
        (REQUEST, 1),
        (replace(REQUEST, name="another run"), 32),
        (replace(REQUEST, families=("access", "queue")), 32),
    ],
    ids=["endpoint", "shard size", "name of the run", "order of families"],
)
def test_how_a_run_is_carried_out_changes_no_id(dataset: Dataset, request_: RunRequest, shard_size: int) -> None:
    assert ids(make_plan(request_, dataset, shard_size)) == ids(make_plan(REQUEST, dataset, 32))


def test_the_order_of_models_changes_no_id(dataset: Dataset) -> None:
    plans = [make_plan(replace(REQUEST, models=models), dataset, 32) for models in ((MODEL, ORACLE), (ORACLE, MODEL))]
    assert ids(plans[0]) == ids(plans[1])
    assert len(ids(plans[0])) == 12


@pytest.mark.parametrize(
    "request_",
    [
        replace(REQUEST, templates=("native",)),
        replace(REQUEST, users=USERS),
        replace(REQUEST, protocol=ReleasedProtocol(ReleasedTexts(*TEXT_NAMES))),
        *(
            replace(REQUEST, models=(replace(MODEL, sampling=sampling),))
            for sampling in (
                Sampling(temperature=0.0),
                Sampling(top_p=0.5),
                Sampling(max_tokens=10),
                Sampling(seed=0),
            )
        ),
        replace(REQUEST, models=(replace(MODEL, model="other"),)),
    ],
    ids=["template", "users", "protocol", "temperature", "top_p", "max_tokens", "seed", "model"],
)
def test_what_changes_the_measurement_changes_every_id(dataset: Dataset, request_: RunRequest) -> None:
    assert not ids(make_plan(request_, dataset, 32)) & ids(make_plan(REQUEST, dataset, 32))


def test_the_content_of_a_family_changes_its_ids_and_no_others(dataset: Dataset) -> None:
    """A scenario has the same id and the same users' random numbers, whichever families are read with it."""
    rows = list(generate_rows("3", 0, ("queue", "access")))
    rows[0] = {**rows[0], "note": "one more field"}
    changed = make_plan(REQUEST, dataset_from_rows("changed", (SourceRow("f", None, row) for row in rows)), 32)
    plan = make_plan(REQUEST, dataset, 32)
    alone = make_plan(RunRequest("run", (MODEL,), ("access",)), generate_dataset("3", 0, ("access",)), 32)
    assert changed.dataset_version != plan.dataset_version
    assert ids(changed) & ids(plan) == ids(alone)
    assert set(episodes(alone)) < set(episodes(plan))


def test_an_epoch_is_an_episode_of_its_own_and_keeps_the_first(dataset: Dataset) -> None:
    """More epochs only add episodes, so a run can be extended without replaying it."""
    once, thrice = (ids(make_plan(replace(REQUEST, epochs=epochs), dataset, 32)) for epochs in (1, 3))
    assert once < thrice
    assert len(thrice) == 3 * len(once)


def test_all_models_meet_the_same_users(dataset: Dataset) -> None:
    """With common random numbers, users_seed is shared by all models and agent_seed belongs to one model."""
    plan = make_plan(replace(REQUEST, models=(MODEL, ORACLE), epochs=2), dataset, 32)
    ours, theirs = of_model(plan, MODEL.name), of_model(plan, ORACLE.name)
    assert ours.keys() == theirs.keys()
    assert all(ours[key].users_seed == theirs[key].users_seed for key in ours)
    assert all(ours[key].agent_seed != theirs[key].agent_seed for key in ours)
    assert len({episode.users_seed for episode in ours.values()}) == len(ours)
    assert all(0 <= seed < 2**63 for e in episodes(plan) for seed in (e.users_seed, e.agent_seed))


def test_two_servers_of_one_model_are_two_models(dataset: Dataset) -> None:
    """Two servers of one model name can be compared in one run, since their episodes have different ids."""
    models = (replace(MODEL, name="fp8"), replace(MODEL, name="bf16", endpoint=Endpoint(("http://other/v1",))))
    plan = make_plan(replace(REQUEST, models=models), dataset, 32)
    assert len(ids(plan)) == plan.episode_count == 12
    fp8 = {episode.id for episode in of_model(plan, "fp8").values()}
    assert plan.without(fp8).planned == {("bf16", "queue"): 3, ("bf16", "access"): 3}


def test_shard_numbers_are_unique_over_templates(dataset: Dataset) -> None:
    """Cells of one model and family are stored in one folder."""
    plan = make_plan(
        replace(REQUEST, models=(MODEL, ORACLE), templates=("says", "xml", "native"), epochs=2), dataset, 2
    )
    numbers = [(c.model.slug, c.family, shard.number) for c in plan.cells for shard in c.shards]
    assert len(set(numbers)) == len(numbers) == 2 * 2 * 3 * 3
    assert {number for _, _, number in numbers} == set(range(9))


def test_what_is_asked_for_twice_is_owed_once(dataset: Dataset) -> None:
    """A template that is requested by name and as the published one of a row is planned once."""
    both = make_plan(replace(REQUEST, families=("queue",), templates=("published", "xml")), dataset, 32)
    assert len(episodes(both)) == len(ids(both)) == both.episode_count == 3
    assert sum(both.planned.values()) == 3


def test_resuming_is_a_subtraction(dataset: Dataset) -> None:
    """Scored episodes are removed, the others keep their shards, and empty shards and cells are removed."""
    plan = make_plan(replace(REQUEST, epochs=2), dataset, 2)
    queue, access = plan.cells
    scored = {e.id for shard in queue.shards for e in shard.episodes} | {e.id for e in access.shards[0].episodes}
    scored |= {access.shards[2].episodes[0].id, "of another run"}
    owed = plan.without(scored)
    (left,) = owed.cells
    assert left.family == "access"
    assert [(shard.number, shard.episodes) for shard in left.shards] == [
        (1, access.shards[1].episodes),
        (2, access.shards[2].episodes[1:]),
    ]
    assert (owed.run_id, owed.dataset_version) == (plan.run_id, plan.dataset_version)
    assert plan.without(()) == plan
    assert not plan.without(ids(plan)).cells


def test_a_run_is_named_after_what_it_measures(dataset: Dataset) -> None:
    """Equal configs have the same run id; an explicit run id is used unchanged."""
    derived = make_plan(REQUEST, dataset, 32).run_id
    assert derived.startswith("run-")
    assert make_plan(REQUEST, dataset, 1).run_id == derived
    assert make_plan(replace(REQUEST, name="my run!"), dataset, 32).run_id == f"my-{derived}"
    for changed in (replace(REQUEST, epochs=2), replace(REQUEST, limit=1), replace(REQUEST, users=USERS)):
        assert make_plan(changed, dataset, 32).run_id != derived
    assert make_plan(REQUEST, dataset, 32, run_id="given").run_id == "given"
    long = [make_plan(replace(REQUEST, name=300 * "x", epochs=epochs), dataset, 32).run_id for epochs in (1, 2)]
    assert len(set(long)) == 2
    assert max(map(len, long)) < 150  # short enough for a folder of a store


def test_a_limit_takes_the_first_scenarios(dataset: Dataset) -> None:
    short, whole = make_plan(replace(REQUEST, limit=2), dataset, 32), make_plan(REQUEST, dataset, 32)
    assert short.planned == {("m", "queue"): 2, ("m", "access"): 2}
    assert ids(short) < ids(whole)


@pytest.mark.parametrize("size", [1, 2, 5, 6, 7])
def test_shards_hold_every_episode_once(dataset: Dataset, size: int) -> None:
    plan = make_plan(replace(REQUEST, families=("queue",), epochs=2), dataset, size)
    lengths = [len(shard.episodes) for shard in plan.cells[0].shards]
    assert sum(lengths) == len(ids(plan)) == 6
    assert all(length == size for length in lengths[:-1])
    assert 0 < lengths[-1] <= size
