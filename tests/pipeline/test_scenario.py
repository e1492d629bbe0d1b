"""Scenarios can be pickled, and their principals have unique names."""

import json
import pickle
from typing import Any

import pytest
from muses_eval.pipeline.datasets.dataset import SourceRow, dataset_from_rows, generate_rows
from muses_eval.pipeline.episode.principal import RESERVED_NAMES
from muses_eval.pipeline.episode.scenario import Scenario
from muses_eval.pipeline.errors import DatasetError
from muses_eval.pipeline.families import FAMILIES

EACH = pytest.mark.parametrize("family", FAMILIES)


def read(family: str, row: Any) -> Scenario[Any]:
    return dataset_from_rows("d", [SourceRow("d.jsonl", 1, row)], [family]).scenarios(family)[0]


def a_row(family: str) -> dict[str, Any]:
    row: dict[str, Any] = json.loads(json.dumps(next(iter(generate_rows("1", 0, [family])))))
    return row


def users_of(row: dict[str, Any]) -> list[dict[str, Any]]:
    """Returns the row's list of users, whatever its name in the family."""
    lists = [v for v in row.values() if isinstance(v, list) and v and isinstance(v[0], dict) and "id" in v[0]]
    return max(lists, key=len)


@EACH
def test_a_scenario_can_be_sent_to_another_process(family: str) -> None:
    scenario = read(family, a_row(family))
    assert pickle.loads(pickle.dumps(scenario)) == scenario


@EACH
def test_principals_are_found_by_name(family: str) -> None:
    scenario = read(family, a_row(family))
    assert len(set(scenario.names)) == len(scenario.principals) >= 2
    assert [scenario.principal(name).name for name in scenario.names] == list(scenario.names)
    assert {opening.sender for opening in scenario.openings} <= set(scenario.names)
    with pytest.raises(KeyError):
        scenario.principal("nobody")


@pytest.mark.parametrize("family", ["queue", "access"])
def test_duplicate_names_are_rejected(family: str) -> None:
    """Two principals of one name are rejected, since one would receive the messages for the other."""
    row = a_row(family)
    users = users_of(row)
    users.append(dict(users[0]))
    with pytest.raises(DatasetError, match=rf"{users[0]['id']}.*twice"):
        read(family, row)


@pytest.mark.parametrize("name", sorted(RESERVED_NAMES))
@pytest.mark.parametrize("family", ["queue", "access"])
def test_reserved_names_are_rejected(family: str, name: str) -> None:
    """A reserved name is rejected, since its messages would be recorded as those of the agent or as the briefing."""
    own_name = users_of(a_row(family))[0]["id"]
    row = json.loads(json.dumps(a_row(family)).replace(own_name, name))
    with pytest.raises(DatasetError, match=f"{name!r}"):
        read(family, row)
