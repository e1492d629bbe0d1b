"""A grid defines runs: each combination once, with a name from its values, and bounded in number."""

from collections.abc import Callable
from datetime import date
from operator import attrgetter
from typing import Any

import pytest
from hypothesis import given, strategies as st
from muses_eval.pipeline.config.grid import MOST_CELLS, expand
from muses_eval.pipeline.config.parse import parse_config
from muses_eval.pipeline.config.run import RunConfig
from muses_eval.pipeline.errors import ConfigError

BASE: dict[str, Any] = {"name": "sizes", "models": ["scripted/oracle", {"model": "openai:m", "sampling": {"seed": 7}}]}


def sweep(**keys: object) -> list[str]:
    return [run.label for run in expand({**BASE, **keys}, "sweep.yaml")]


def refused(**keys: object) -> str:
    with pytest.raises(ConfigError) as error:
        expand({**BASE, **keys}, "sweep.yaml")
    return str(error.value)


def test_every_combination_is_a_run() -> None:
    runs = expand({**BASE, "grid": {"epochs": [1, 3], "users": ["scripted", "openai:u"]}}, "sweep.yaml")
    assert [(run.config.epochs, run.config.users and run.config.users.model) for run in runs] == [
        (1, None),
        (1, "openai:u"),
        (3, None),
        (3, "openai:u"),
    ]
    assert runs[1].label == "epochs=1 users=openai:u"
    assert runs[1].config.name == "sizes-epochs-1-users-openai-u"


def test_without_a_grid_a_sweep_is_one_run() -> None:
    (run,) = expand(BASE, "sweep.yaml")
    assert run.config == parse_config(BASE, "sweep.yaml")


def test_sampling_is_laid_over_that_of_every_model_that_samples() -> None:
    (run,) = expand({**BASE, "grid": {"sampling": [{"temperature": 0.5}]}}, "sweep.yaml")
    oracle, model = run.config.models
    assert oracle.sampling.temperature is None
    assert (model.sampling.temperature, model.sampling.seed) == (0.5, 7)


def test_combinations_can_be_left_out_and_added() -> None:
    labels = sweep(
        grid={"epochs": [1, 2], "sampling": [{"temperature": 0}, {"temperature": 1}]},
        exclude=[{"epochs": 2, "sampling": {"temperature": 0}}],
        include=[{"epochs": 9}, {"epochs": 1, "sampling": {"temperature": 1}}],
    )
    assert labels == [
        "epochs=1 sampling=temperature=0",
        "epochs=1 sampling=temperature=1",
        "epochs=2 sampling=temperature=1",
        "epochs=9",
    ]


def test_agents_are_named_in_labels() -> None:
    agents = [["chat"], ["chat", {"agent": "a/b.py:C", "name": "c", "options": {"x": 1}}], ["a/b.py:C"]]
    labels = [run.label for run in expand({"models": ["scripted/oracle"], "grid": {"agents": agents}}, "here")]
    assert labels == ["agents=chat", "agents=chat,c(options=x=1)", "agents=a/b.py:C"]


@pytest.mark.parametrize(
    ("axis", "values", "runs"),
    [
        ("templates", ["says", "xml"], [("says",), ("xml",)]),
        ("templates", ["says", ["says", "xml"]], [("says",), ("says", "xml")]),
        ("families", ["queue", ["access", "meeting"]], [("queue",), ("access", "meeting")]),
        ("agents", ["chat", {"agent": "a.b:C", "name": "c"}], [("chat",), ("c",)]),
        ("dataset", ["generated:5", {"size": 5, "seed": 1}, "x.jsonl"], ["generated:5@0", "generated:5@1", "x.jsonl"]),
        ("protocol", ["muses", "released"], ["muses", "released"]),
        ("users", ["scripted", "openai:u", {"model": "openai:v"}], [None, "openai:u", "openai:v"]),
        ("limit", [None, 3], [None, 3]),
    ],
)
def test_every_axis_takes_values_as_they_are_written(axis: str, values: list[object], runs: list[object]) -> None:
    """A key of a run that is a list takes a list, or one entry, as a value of the grid."""
    read: dict[str, Callable[[RunConfig], object]] = {
        "agents": lambda config: tuple(agent.entry for agent in config.agents),
        "dataset": lambda config: config.dataset.name,
        "users": lambda config: config.users and config.users.model,
    }
    found = [run.config for run in expand({"models": ["openai:m"], "grid": {axis: values}}, "here")]
    assert [read.get(axis, attrgetter(axis))(config) for config in found] == runs


def test_one_entry_and_a_list_of_one_are_the_same_value() -> None:
    grid = {"templates": ["says", ["says"], "xml"]}
    assert sweep(grid=grid, exclude=[{"templates": "xml"}], include=[{"templates": ["says"]}]) == ["templates=says"]


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({"grid": {"temperature": [0, 1]}}, "grid: 'temperature' cannot vary in a sweep; expected one of dataset, "),
        ({"grid": {"temperature": [0, 1]}}, "; write sampling: [{temperature: ...}, ...]"),
        ({"grid": {"epochs": [10**30]}}, "sweep.yaml: grid.epochs[0]: a whole number of more than 64 bits"),
        (
            {"grid": {"sampling": [{"temprature": 1}]}},
            "grid.sampling.temprature: unknown option; did you mean 'temperature'?",
        ),
        (
            {"grid": {"epochs": [1]}, "include": [{"sampling": {"x": 1}}]},
            "include: sampling.x: unknown option; known options: ",
        ),
        ({"grid": {"epochs": []}}, "grid.epochs: the list is empty"),
        ({"grid": {"epochs": 3}}, "grid.epochs: expected a list of values, got 3"),
        ({"grid": {"store": ["a"]}}, "grid: 'store' cannot vary in a sweep; expected one of dataset, families"),
        ({"grid": [1]}, "grid: expected keys with lists"),
        ({"grid": {"epochs": [1]}, "exclude": [{"epochs": 1}]}, "the grid is empty: all combinations are excluded"),
        ({"grid": {"epochs": [1]}, "exclude": [{"limit": 1}]}, "exclude: limit: the grid does not vary it"),
        ({"grid": {"epochs": [1]}, "include": {"epochs": 1}}, "include: expected a list of combinations"),
        ({"grid": {}}, "the grid is empty: add a key with values"),
        ({"grid": {"epochs": [date(2026, 11, 20)]}}, "grid.epochs: Object of type date is not JSON serializable"),
        ({"grid": {"epochs": [1]}, "exclude": [{"epochs": {1}}]}, "exclude: Object of type set"),
        ({"grid": {"epochs": [1]}, "run_id": "x"}, "run_id: one id cannot name all runs"),
        ({"grid": {"epochs": [1, -1]}}, "sweep.yaml (epochs=-1): epochs: Input should be greater than 0"),
        ({"grid": {"sampling": [1]}}, "sweep.yaml (sampling=1): models[1].sampling: expected keys and values"),
    ],
)
def test_a_grid_that_cannot_be(keys: dict[str, object], words: str) -> None:
    text = refused(**keys)
    assert text.startswith("sweep.yaml")
    assert words in text


def test_a_huge_grid_is_counted_and_not_built() -> None:
    """A grid of a thousand million runs is counted without building them, since they would not fit into memory."""
    huge = {
        "limit": list(range(1, 1001)),
        "epochs": list(range(1, 1001)),
        "sampling": [{"seed": n} for n in range(1000)],
    }
    text = refused(grid=huge)
    assert f"{1000**3 * 2 * 4:,} cells in {1000**3:,} runs" in text
    assert f"--most-cells {1000**3 * 8}" in text


def test_a_large_grid_can_be_confirmed() -> None:
    raw = {**BASE, "grid": {"limit": list(range(1, MOST_CELLS // 8 + 2))}}
    with pytest.raises(ConfigError, match="must be confirmed"):
        expand(raw, "sweep.yaml")
    assert len(expand(raw, "sweep.yaml", most_cells=10**6)) == MOST_CELLS // 8 + 1


@given(
    st.dictionaries(
        st.sampled_from(["epochs", "limit"]), st.lists(st.integers(1, 9), min_size=1, max_size=4), min_size=1
    )
)
def test_runs_have_names_of_their_own_and_each_is_there_once(grid: dict[str, list[int]]) -> None:
    runs = expand({**BASE, "grid": grid}, "sweep.yaml")
    names = [run.config.name for run in runs]
    assert len(set(names)) == len(names)
    expected = {(e, n) for e in grid.get("epochs", [1]) for n in grid.get("limit", [None])}  # type: ignore[list-item]
    assert {(run.config.epochs, run.config.limit) for run in runs} == expected
