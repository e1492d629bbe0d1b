"""Writes a dataset as one file per family: completely or not at all, and never over other content unasked."""

import filecmp
import json
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from muses_eval.flows.data.partial_file import partial_file
from muses_eval.pipeline.datasets.dataset import Dataset, dataset_from_rows
from muses_eval.pipeline.errors import ConfigError
from muses_eval.pipeline.families.family import Row
from muses_eval.storage.objects.dataset_files import files_below, read_rows


@dataclass(frozen=True, slots=True)
class WrittenFile:
    """One file of a dataset."""

    family: str
    path: Path
    bytes: int
    changed: bool
    """False when the same content was there already."""


def write_dataset(
    name: str, rows: Mapping[str, Iterable[Row]], folder: Path, *, force: bool
) -> tuple[Dataset, list[WrittenFile]]:
    """Writes partial files, reads them back as a run would, and then renames all of them to their targets.

    Args:
        name: name of the dataset.
        rows: family -> its rows; they are consumed one by one.
        folder: output folder; created if missing.
        force: True to replace files with other content.

    Raises:
        ConfigError: a file has other content and *force* is False; nothing was written.
        OSError: the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as partial_files:
        targets = {family: folder / f"{family}.jsonl" for family in rows}
        parts = {family: partial_files.enter_context(partial_file(target)) for family, target in targets.items()}
        for family, part in parts.items():
            with part.open("x", encoding="utf-8", newline="\n") as file:
                for row in rows[family]:
                    file.write(json.dumps(row, ensure_ascii=False) + "\n")
        dataset = dataset_from_rows(name, (row for part in parts.values() for row in read_rows(str(part))))
        changed = {family: not _is_same(parts[family], target) for family, target in targets.items()}
        lost = [str(targets[family]) for family in parts if changed[family] and targets[family].exists()]
        if lost and not force:
            raise ConfigError(
                f"{', '.join(lost)}: already there, with other content; nothing was written. "
                "Choose another folder, or replace the files with --force"
            )
        written = []
        for family, target in targets.items():
            written.append(WrittenFile(family, target, parts[family].stat().st_size, changed[family]))
            if changed[family]:
                parts[family].replace(target)
    return dataset, written


def other_files(folder: Path, families: Iterable[str]) -> list[str]:
    """Returns other files that would be read as part of the dataset in *folder*."""
    if not folder.is_dir():
        return []
    ours = {folder / f"{family}.jsonl" for family in families}
    return sorted(str(file.relative_to(folder)) for file in files_below(folder) if file not in ours)


def _is_same(one: Path, other: Path) -> bool:
    return other.is_file() and filecmp.cmp(one, other, shallow=False)
