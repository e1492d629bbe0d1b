"""``muses data generate``: writes generated scenarios as files."""

import filecmp
import json
from collections.abc import Iterable
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from muses_eval.dashboards.tables.text_table import text_table
from muses_eval.flows.cli import DONE
from muses_eval.flows.cli.data.options import Families, Force, dataset_config, expanded, listed
from muses_eval.flows.cli.data.scenario_counts import user_range
from muses_eval.flows.cli.options import Json
from muses_eval.flows.cli.output import echo, note, to_json
from muses_eval.flows.data.partial_file import partial_file
from muses_eval.pipeline.config.dataset import DatasetSpec
from muses_eval.pipeline.datasets.dataset import Dataset, dataset_from_rows, generate_rows
from muses_eval.pipeline.errors import ConfigError
from muses_eval.pipeline.families import BUILT_IN_FAMILIES, FAMILIES
from muses_eval.storage.objects.dataset_files import files_below, read_rows


@dataclass(frozen=True, slots=True)
class _WrittenFile:
    """One generated file."""

    family: str
    path: Path
    rows: int
    users: str
    bytes: int
    changed: bool
    """False when the same content was there already."""


def generate(  # noqa: PLR0913 - the options of a command
    *,
    out: Annotated[Path, Parameter(help="Output folder; created if missing.")],
    size: Annotated[str, Parameter(help="tiny, paper, or a number of scenarios per family.")] = "tiny",
    seed: Annotated[
        int, Parameter(help="Random seed. For one seed, a larger dataset starts with the smaller one.")
    ] = 0,
    most_users: Annotated[
        int | None, Parameter(help="Maximum number of users per scenario, from 2 to 30. Default: as in the paper.")
    ] = None,
    family: Families = (),
    force: Force = False,
    as_json: Json = False,
) -> int:
    """Write generated scenarios as one file per family. The same size and seed give the same bytes."""
    config = dataset_config({"size": size, "seed": seed, "most_users": most_users}, family)
    spec = config.dataset
    folder = expanded(out)
    wanted = tuple(name for name in FAMILIES if name in (config.families or BUILT_IN_FAMILIES))
    other_files = _other_files(folder, wanted) if folder.is_dir() else []
    if other_files and not force:
        raise ConfigError(
            f"--out {out}: it contains other .jsonl files, which would be read as well ({listed(other_files)}); "
            "choose an empty folder, or keep the files with --force"
        )
    try:
        dataset, written = _generate(spec, wanted, folder, force=force)
    except OSError as error:
        problem = f"cannot write {error.filename or 'to it'}: {error.strerror or error}"
        raise ConfigError(f"--out {out}: {problem}; choose another folder, or free disk space") from error
    if as_json:
        files = [{**asdict(file), "path": str(file.path)} for file in written]
        echo(to_json({"dataset": dataset.name, "dataset_version": dataset.version, "files": files}))
    else:
        cells = [
            [w.family, str(w.rows), w.users, str(w.bytes), str(w.path), "written" if w.changed else "already there"]
            for w in written
        ]
        echo(text_table(["family", "scenarios", "users", "bytes", "file", ""], cells, numeric=(1, 3)))
        echo(f"{dataset.name} · dataset version {dataset.version}")
    if other_files:
        note(f"{out} as a whole is another dataset: it contains other .jsonl files ({listed(other_files)})")
    return DONE


def _generate(
    spec: DatasetSpec, families: Iterable[str], folder: Path, *, force: bool
) -> tuple[Dataset, list[_WrittenFile]]:
    """Writes partial files, reads them back as a run would, and then renames all of them to their targets."""
    folder.mkdir(parents=True, exist_ok=True)
    with ExitStack() as partial_files:
        targets = {family: folder / f"{family}.jsonl" for family in families}
        parts = {family: partial_files.enter_context(partial_file(target)) for family, target in targets.items()}
        for family, part in parts.items():
            with part.open("x", encoding="utf-8", newline="\n") as file:
                for row in generate_rows(spec.size, spec.seed, [family], spec.most_users):
                    file.write(json.dumps(row, ensure_ascii=False) + "\n")
        dataset = dataset_from_rows(spec.name, (row for part in parts.values() for row in read_rows(str(part))))
        changed = {family: not _is_same(parts[family], target) for family, target in targets.items()}
        lost = [str(targets[family]) for family in parts if changed[family] and targets[family].exists()]
        if lost and not force:
            raise ConfigError(
                f"{', '.join(lost)}: already there, with other content; nothing was written. "
                "Choose another --out, or replace the files with --force"
            )
        written = []
        for family, target in targets.items():
            scenarios, bytes_ = dataset.scenarios(family), parts[family].stat().st_size
            written.append(_WrittenFile(family, target, len(scenarios), user_range(scenarios), bytes_, changed[family]))
            if changed[family]:
                parts[family].replace(target)
    return dataset, written


def _other_files(folder: Path, families: Iterable[str]) -> list[str]:
    """Returns other files that would be read as part of the dataset in *folder*."""
    ours = {folder / f"{family}.jsonl" for family in families}
    return sorted(str(file.relative_to(folder)) for file in files_below(folder) if file not in ours)


def _is_same(one: Path, other: Path) -> bool:
    return other.is_file() and filecmp.cmp(one, other, shallow=False)
