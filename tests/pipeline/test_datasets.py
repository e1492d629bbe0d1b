"""The version of a dataset depends on its content, and malformed rows are rejected with source, line and field."""

import copy
import json
from collections.abc import Iterable
from typing import Any

import pytest
from hypothesis import given, strategies as st
from muses_eval.pipeline.datasets.dataset import (
    TINY_SIZE,
    Dataset,
    SourceRow,
    dataset_from_rows,
    generate_dataset,
    generate_rows,
)
from muses_eval.pipeline.errors import DatasetError
from muses_eval.pipeline.families import FAMILIES

from tests.strategies import JSON_VALUES

EACH = pytest.mark.parametrize("family", FAMILIES)


def rows(*families: str, count: int = 3) -> list[dict[str, Any]]:
    return [json.loads(json.dumps(row)) for row in generate_rows(str(count), 0, families or None)]


def dataset(found: Iterable[Any], source: str = "f.jsonl", families: Iterable[str] | None = None) -> Dataset:
    return dataset_from_rows("d", (SourceRow(source, n, row) for n, row in enumerate(found, 1)), families)


def refused(found: Iterable[Any], families: Iterable[str] | None = None) -> DatasetError:
    with pytest.raises(DatasetError) as error:
        dataset(found, families=families)
    return error.value


def test_the_version_depends_only_on_the_content() -> None:
    """The order of rows and keys, the files, and the dataset's name do not affect the version."""
    found = rows()
    version = dataset(found).version
    assert len(version) == 16
    assert dataset(reversed(found)).version == version
    assert dataset([dict(reversed(row.items())) for row in found]).version == version
    halves = (SourceRow(name, 1, row) for name, half in (("b", found[4:]), ("a", found[:4])) for row in half)
    assert dataset_from_rows("other name", halves).version == version


@EACH
def test_any_content_changes_the_version(family: str) -> None:
    """Fields that no scenario reads and the number of rows change the version too."""
    found = rows(family)
    versions = {dataset(found).version, dataset(found[:-1]).version}
    for key in found[0]:
        changed = copy.deepcopy(found)
        changed[0]["a note"] = key
        versions.add(dataset(changed).version)
    assert len(versions) == 2 + len(found[0])


def test_the_order_of_a_family_is_the_order_of_its_rows() -> None:
    found = rows("queue")
    assert [s.id for s in dataset(reversed(found)).scenarios("queue")] == [row["id"] for row in reversed(found)]


def test_families_have_the_order_of_the_leaderboard() -> None:
    found = rows()
    mixed = dataset(reversed(found))
    assert mixed.families == tuple(FAMILIES)
    assert all(len(mixed.scenarios(family)) == 3 for family in FAMILIES)
    assert mixed.scenarios("no such family") == ()


@EACH
def test_the_version_of_one_family(family: str) -> None:
    """The version of a family depends only on its own rows, so rows of other families do not change its results."""
    assert dataset(rows(), families=[family]).version == dataset(rows(family)).version
    assert dataset(rows(), families=[family]).families == (family,)


@EACH
def test_ids_are_unique_within_a_family(family: str) -> None:
    found = rows(family)
    found[2]["id"] = found[0]["id"]
    error = refused(found)
    assert (error.source, error.line, error.field) == ("f.jsonl", 3, "id")
    assert repr(found[0]["id"]) in str(error)


def test_meetings_that_the_builder_numbers_alike_are_told_apart_by_their_disclosure() -> None:
    """The released builder of the files of 10 to 30 users numbers the rows of both disclosures from 1000 on."""
    full, partial, own = rows("meeting", count=3)
    full |= {"id": "meeting_consensus_1000", "disclosure_mode": "full"}
    partial |= {"id": "meeting_consensus_1000", "disclosure_mode": "partial"}
    own |= {"id": "meeting_of_1000", "disclosure_mode": "full"}
    ids = [scenario.id for scenario in dataset([full, partial, own]).scenarios("meeting")]
    assert ids == ["meeting_consensus_1000_full", "meeting_consensus_1000_partial", "meeting_of_1000"]
    assert refused([full, full]).field == "id"


def test_two_families_may_use_the_same_id() -> None:
    queue, access = rows("queue", count=1)[0], rows("access", count=1)[0]
    access["id"] = queue["id"]
    assert len(dataset([queue, access]).families) == 2


@pytest.mark.parametrize("row", [{}, {"id": "x"}, {"question": "?", "answer": 4}])
def test_a_row_of_an_unknown_family(row: dict[str, object]) -> None:
    error = refused([*rows("queue"), row])
    assert (error.line, error.field, error.row_id) == (4, None, row.get("id"))
    assert str(error).startswith("f.jsonl, line 4")
    assert "this row is not a scenario of any known family" in str(error)
    assert all(family in str(error) for family in FAMILIES)


@EACH
def test_a_missing_field_is_named(family: str) -> None:
    """A row with a missing field still belongs to its family, whatever else is missing."""
    found = rows(family)
    del found[1]["id"]
    error = refused(found)
    assert (error.line, error.field) == (2, "id")
    assert "missing" in error.problem
    assert family in error.problem


@pytest.mark.parametrize("family", FAMILIES)
def test_with_one_requested_family_every_row_is_read_as_its_row(family: str) -> None:
    """The message names the missing field instead of an unknown family."""
    error = refused([{"id": "x"}], families=[family])
    assert error.line == 1
    assert family in error.problem
    assert "any known family" not in error.problem


@EACH
@given(data=st.data())
def test_every_row_gives_a_scenario_or_a_dataset_error(family: str, data: st.DataObject) -> None:
    """Any field, at any depth, is replaced by any value; the error names the line."""
    row = rows(family, count=1)[0]
    place: Any = row
    for _ in range(data.draw(st.integers(0, 3))):
        keys = [
            k for k in (place if isinstance(place, dict) else range(len(place))) if isinstance(place[k], dict | list)
        ]
        if not keys:
            break
        place = place[data.draw(st.sampled_from(keys))]
    keys = list(place if isinstance(place, dict) else range(len(place)))
    if keys:
        place[data.draw(st.sampled_from(keys))] = data.draw(JSON_VALUES)
    try:
        dataset([row], families=[family])
    except DatasetError as error:
        assert error.line == 1  # noqa: PT017


@pytest.mark.parametrize(
    ("size", "count"), [("tiny", lambda _: TINY_SIZE), ("paper", lambda f: f.paper_size), ("5", lambda _: 5)]
)
def test_sizes(size: str, count: Any) -> None:
    for name, family in FAMILIES.items():
        assert sum(1 for _ in generate_rows(size, 0, [name])) == count(family)


def test_a_generated_dataset_is_reproducible_and_depends_on_the_seed() -> None:
    first, again, other = (generate_dataset("4", seed) for seed in (1, 1, 2))
    assert first.version == again.version != other.version
    assert first.name == "generated:4@1"
    assert dataset(rows(count=4)).version == generate_dataset("4", 0).version
