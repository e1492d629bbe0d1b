"""A dataset: the scenarios of one or more families, with a version that is a hash of their content."""

import hashlib
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from muses_eval.pipeline.config.dataset import DatasetSpec
from muses_eval.pipeline.datasets.row_reader import RowError, collect_faults, refuse
from muses_eval.pipeline.datasets.user_counts import MIN_USERS
from muses_eval.pipeline.episode.principal import RESERVED_NAMES
from muses_eval.pipeline.episode.scenario import Scenario
from muses_eval.pipeline.errors import DatasetError
from muses_eval.pipeline.families import BUILT_IN_FAMILIES, FAMILIES
from muses_eval.pipeline.families.family import Family, Row
from muses_eval.pipeline.hashing import canonical, digest

TINY_SIZE = 12
"""Number of scenarios per family in the size ``tiny``."""


class SourceRow(NamedTuple):
    """A row with its position, which messages name; ``line`` is 1-based, and None for generated rows."""

    source: str
    line: int | None
    row: Row


@dataclass(frozen=True, slots=True)
class Dataset:
    """Scenarios by family, in a fixed order."""

    name: str
    versions: Mapping[str, str]
    """Family -> 16 hex digits that identify the content of its rows, independent of their order and of their files.

    Each family has its own version, so that a scenario gets the same seeds whichever other families are read."""
    by_family: Mapping[str, Mapping[str, Scenario[Any]]]
    """Family -> id -> scenario; families without scenarios are left out."""

    def scenarios(self, family: str) -> tuple[Scenario[Any], ...]:
        """Returns the scenarios of a family in the order of their rows; empty when the dataset has none."""
        return tuple(self.by_family.get(family, {}).values())

    @property
    def families(self) -> tuple[str, ...]:
        return tuple(self.by_family)

    @property
    def version(self) -> str:
        """16 hex digits that identify the content of all families."""
        return digest("dataset", dict(self.versions))[:16]


def dataset_from_rows(name: str, rows: Iterable[SourceRow], families: Iterable[str] | None = None) -> Dataset:
    """Reads rows in the published format.

    Args:
        name: name of the dataset.
        rows: the rows, in any order.
        families: names of the families to read; rows of other families are skipped.  None reads all families.

    Raises:
        DatasetError: a row is not a scenario, or two rows of a family have the same id.
    """
    wanted = tuple(FAMILIES[family] for family in families or FAMILIES)
    found: dict[str, dict[str, Scenario[Any]]] = {}
    digests: dict[str, list[bytes]] = {}
    for source, line, row in rows:
        family = _family_of(row, source, line, wanted)
        if family not in wanted:
            continue
        try:
            scenario = _read(family, row)
        except RowError as error:
            raise _problem(family, SourceRow(source, line, row), error) from error
        scenarios = found.setdefault(family.name, {})
        if scenario.id in scenarios:
            raise DatasetError(source, f"the id {scenario.id!r} is already taken by an earlier row", line, "id")
        scenarios[scenario.id] = scenario
        digests.setdefault(family.name, []).append(hashlib.sha256(canonical(row)).digest())
    present = [family for family in FAMILIES if family in found]
    versions = {family: hashlib.sha256(b"".join(sorted(digests[family]))).hexdigest()[:16] for family in present}
    return Dataset(name, versions, {family: found[family] for family in present})


def row_problems(entry: SourceRow, families: Iterable[str] | None = None) -> tuple[DatasetError, ...]:
    """Returns all problems of a row, in the order of reading; empty when it is valid or of another family.

    Args:
        entry: the row.
        families: as for :func:`dataset_from_rows`.
    """
    wanted = tuple(FAMILIES[family] for family in families or FAMILIES)
    try:
        family = _family_of(entry.row, entry.source, entry.line, wanted)
    except DatasetError as error:
        return (error,)
    if family not in wanted:
        return ()
    return tuple(_problem(family, entry, error) for error in collect_faults(lambda: _read(family, entry.row)))


def generate_dataset(
    size: str, seed: int, families: Iterable[str] | None = None, most_users: int | None = None
) -> Dataset:
    """Generates a dataset.

    Args:
        size: ``tiny``, ``paper`` or the number of scenarios per family.
        seed: seed of the random generators.
        families: names of the families to generate; None generates those of the benchmark, so that a dataset does not
            depend on installed packages.
        most_users: largest number of users.  Each number from 2 on is equally frequent.  None uses the paper's numbers.
    """
    rows = (SourceRow("generated", None, row) for row in generate_rows(size, seed, families, most_users))
    return dataset_from_rows(DatasetSpec(None, size, seed, most_users).name, rows)


def generate_rows(
    size: str, seed: int, families: Iterable[str] | None = None, most_users: int | None = None
) -> Iterable[Row]:
    """Generates the rows of :func:`generate_dataset`, in the published format."""
    for name in families or BUILT_IN_FAMILIES:
        family = FAMILIES[name]
        match size:
            case "tiny":
                count = TINY_SIZE
            case "paper":
                count = family.paper_size
            case _:
                count = int(size)
        yield from family.generate(count, seed, None if most_users is None else range(MIN_USERS, most_users + 1))


def _read(family: Family[Any], row: Row) -> Scenario[Any]:
    scenario = family.read(row)
    if not scenario.id.strip() and "id" in row:
        refuse(RowError("expected a unique id, got a blank one", "id"), None)
    _check_names(scenario.names)
    return scenario


def _problem(family: Family[Any], entry: SourceRow, error: RowError) -> DatasetError:
    problem = f"not a scenario of the family {family.name!r}: {error.problem}"
    return DatasetError(entry.source, problem, entry.line, error.field, _id_of(entry.row))


def _check_names(names: tuple[str, ...]) -> None:
    """Raises RowError unless the names are unique, not blank and not reserved."""
    for name, count in Counter(names).items():
        if not name.strip():
            refuse(RowError("a user has a blank name; every user needs a unique name"), None)
            continue
        if count > 1:
            refuse(RowError(f"the user {name!r} occurs twice; every user needs a unique name"), None)
        if name in RESERVED_NAMES:
            refuse(RowError(f"a user has the reserved name {name!r}; rename the user"), None)


def _family_of(row: Row, source: str, line: int | None, wanted: tuple[Family[Any], ...]) -> Family[Any]:
    for family in FAMILIES.values():
        if family.matches(row):
            return family
    if len(wanted) == 1:  # reading the row as this family reports what is wrong with it
        return wanted[0]
    known = ", ".join(FAMILIES)
    raise DatasetError(
        source, f"this row is not a scenario of any known family (known: {known})", line, row_id=_id_of(row)
    )


def _id_of(row: Row) -> str | None:
    """Returns the id of a row, at most 80 characters of it, for messages; None without one."""
    identity = row.get("id")
    return identity[:80] if isinstance(identity, str) else None
