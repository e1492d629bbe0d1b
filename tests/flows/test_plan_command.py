"""``muses plan`` of one run and of a grid, and the order of serving on a number of GPUs."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Muses

BASE: Mapping[str, Any] = {"name": "p", "dataset": "generated:12", "families": ["queue", "meeting"]}
API: dict[str, Any] = {"model": "openai:m", "base_url": "http://127.0.0.1:1/v1", "prices": {"input": 1, "output": 2}}
API |= {"requests_per_minute": 60}
SERVED = (
    {"model": "vllm:small"},
    {"model": "vllm:large", "engine": {"tensor_parallel": 3}},
    {"model": "vllm:mid", "engine": {"tensor_parallel": 2, "replicas": [1, 2]}},
)
GRID: Mapping[str, Any] = {"epochs": [1, 2], "sampling": [{"temperature": 0}, {"temperature": 1}]}


def planned(muses: Muses, folder: Path, raw: Mapping[str, Any], *options: str) -> dict[str, Any]:
    (folder / "plan.yaml").write_text(json.dumps({**BASE, **raw}))
    done = muses("plan", "plan.yaml", "--json", *options)
    assert done.returncode == 0, done.stderr
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def said(muses: Muses, folder: Path, raw: Mapping[str, Any], *options: str) -> str:
    (folder / "plan.yaml").write_text(json.dumps({**BASE, **raw}))
    done = muses("plan", "plan.yaml", *options)
    return done.stdout if done.returncode == 0 else f"{done.returncode} {done.stderr}"


def test_a_grid_is_the_sum_of_its_runs(muses: Muses, tmp_path: Path) -> None:
    """The estimate of a grid is the sum over its runs, including the time of an account that all runs share."""
    whole = planned(muses, tmp_path, {"models": [API], "grid": GRID})
    runs = [
        planned(muses, tmp_path, {"models": [{**API, "sampling": sampling}], "epochs": epochs})
        for epochs in GRID["epochs"]
        for sampling in GRID["sampling"]
    ]
    assert [run["run"] for run in whole["runs"]] == [
        f"epochs={epochs} sampling=temperature={temperature}" for epochs in (1, 2) for temperature in (0, 1)
    ]
    assert (whole["cells"], whole["episodes"]) == (8, 144) == (8, sum(run["episodes"] for run in runs))
    for key in ("calls", "tokens", "cost_usd", "seconds"):
        assert whole["estimate"][key]["mid"] == pytest.approx(sum(run["estimate"][key]["mid"] for run in runs)), key
    assert [(line["model"], line["role"]) for line in whole["estimate"]["by_model"]] == [("m", "agent")]
    for run, alone in zip(whole["runs"], runs, strict=True):
        shared = ("episodes", "dataset_version", "cells", "estimate", "smallest_difference")
        assert [run[key] for key in shared] == [alone[key] for key in shared]
    assert whole["runs"][2]["smallest_difference"]["queue"] > 0
    assert whole["gpus"] is None


def test_a_grid_as_text(muses: Muses, tmp_path: Path) -> None:
    raw = {"models": [API], "grid": {"epochs": [1, 2], "users": ["scripted", API]}, "budget": {"tokens": 9}}
    text = said(muses, tmp_path, raw)
    assert "epochs=2 users=scripted " in text
    assert "144 episodes in 8 cells of 4 runs" in text
    assert "the budget of 9 tokens is for all runs together" in text
    assert "the budget of 9 tokens is smaller than the plan: about 0.0" in text
    assert "smallest detectable difference of two models" in text


@pytest.mark.parametrize(("times", "text"), [(0.25, "is smaller"), (1.5, "may be smaller"), (9.0, "")])
def test_a_budget_below_the_plan_is_named_with_the_share_that_it_pays_for(
    muses: Muses, tmp_path: Path, times: float, text: str
) -> None:
    tokens = planned(muses, tmp_path, {"models": [API]})["estimate"]["tokens"]
    raw = {"models": [API], "budget": {"tokens": round(times * tokens["mid"])}}
    share = planned(muses, tmp_path, raw)["budget"]["playable_share"]
    assert share["mid"] == pytest.approx(min(times, 1.0), rel=0.01)
    assert share["low"] == pytest.approx(min(times * tokens["mid"] / tokens["high"], 1.0), rel=0.01)
    said_of_it = [line for line in said(muses, tmp_path, raw).splitlines() if line.startswith("the budget of")]
    assert [f"tokens {text} than the plan: about" in line for line in said_of_it] == ([True] if text else [])


def test_who_is_served_when(muses: Muses, tmp_path: Path) -> None:
    raw = {"models": list(SERVED), "grid": GRID}
    packed = planned(muses, tmp_path, raw, "--gpus=3")["gpus"]
    assert [([model["model"] for model in wave["models"]], wave["gpus"]) for wave in packed["waves"]] == [
        (["large"], 3),
        (["mid", "small"], 3),
    ]
    one, two = (planned(muses, tmp_path, raw, f"--gpus={gpus}")["gpus"]["seconds"]["mid"] for gpus in (6, 3))
    assert two > one > 0
    text = said(muses, tmp_path, raw, "--gpus=3")
    assert "2 waves on 3 GPUs, one after the other: " in text
    assert "all of them are served at the same time on 6 GPUs" in said(muses, tmp_path, raw, "--gpus=6")


def test_the_users_model_is_up_all_the_time(muses: Muses, tmp_path: Path) -> None:
    """The users' model is in no wave, even if it is also an agent, since it is served all the time."""
    raw = {"models": list(SERVED), "users": "vllm:small"}
    packed = planned(muses, tmp_path, raw, "--gpus=4")["gpus"]
    assert [model["model"] for model in packed["kept"]["models"]] == ["small"]
    assert [[model["model"] for model in wave["models"]] for wave in packed["waves"]] == [["large"], ["mid"]]
    text = said(muses, tmp_path, raw, "--gpus=3")
    assert text.startswith("2 muses: model 'large': one replica of 3 GPUs each need 3 GPUs; the cluster has 2: ")
    assert text.strip().endswith("(1 of 3 are held by the users' model)")
    several = {**raw, "users": {"model": "vllm:small", "engine": {"replicas": 2}}}
    assert "needs 2 GPUs all the time; the cluster has 1: add 1 more" in said(muses, tmp_path, several, "--gpus=1")


def test_what_is_said_of_gpus_where_none_are_given_or_needed(muses: Muses, tmp_path: Path) -> None:
    text = said(muses, tmp_path, {"models": list(SERVED)})
    assert "3 models with an engine: 6 GPUs for all of them at the same time; --gpus N shows how" in text
    nothing = said(muses, tmp_path, {"models": [API]}, "--gpus=2")
    assert nothing.splitlines()[-1] == "no model of this configuration has an engine, so --gpus has no effect"
    assert "GPU" not in said(muses, tmp_path, {"models": [API]})
