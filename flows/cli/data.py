"""``muses data generate``, ``validate``, ``show`` and ``pull``."""

import asyncio
import difflib
import filecmp
import json
import sys
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from muses_eval.dashboards.tables.scenario import render_scenario, render_scenarios, variant_values
from muses_eval.dashboards.tables.text_table import printable, text_table
from muses_eval.flows.cli import BAD_USAGE, DONE
from muses_eval.flows.cli.options import Json
from muses_eval.flows.cli.output import echo, to_json
from muses_eval.flows.data.dataset_check import Inspection, Shortfall, inspect, play_oracle
from muses_eval.flows.data.official import PullResult, Release, pull as pull_release, read_release
from muses_eval.flows.data.partial_file import partial_file
from muses_eval.flows.job.prepare import load_dataset
from muses_eval.pipeline.config.dataset import DatasetSpec
from muses_eval.pipeline.config.parse import parse_config
from muses_eval.pipeline.config.run import RunConfig
from muses_eval.pipeline.datasets.dataset import Dataset, SourceRow, dataset_from_rows, generate_rows
from muses_eval.pipeline.episode.scenario import Scenario
from muses_eval.pipeline.errors import ConfigError, DatasetError
from muses_eval.pipeline.families import BUILT_IN_FAMILIES, FAMILIES
from muses_eval.pipeline.protocols import released_texts
from muses_eval.storage.objects.dataset_files import inspect_rows, read_rows

Families = Annotated[tuple[str, ...], Parameter(name="--family", help="Only this family; may be repeated.")]
Target = Annotated[str, Parameter(help="A JSONL file, a folder of them, or generated:SIZE@SEED.")]
Force = Annotated[bool, Parameter(help="Replace existing files with other content.")]

_GENERATED = "generated:"
_MAX_LISTED = 3


# generate


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
    config = _config({"size": size, "seed": seed, "most_users": most_users}, family)
    spec = config.dataset
    folder = _expanded(out)
    wanted = tuple(name for name in FAMILIES if name in (config.families or BUILT_IN_FAMILIES))
    other_files = _other_files(folder, wanted)
    if other_files and not force:
        raise ConfigError(
            f"--out {out}: it contains other .jsonl files, which would be read as well ({_listed(other_files)}); "
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
        _note(f"{out} as a whole is another dataset: it contains other .jsonl files ({_listed(other_files)})")
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
            written.append(_WrittenFile(family, target, len(scenarios), _users(scenarios), bytes_, changed[family]))
            if changed[family]:
                parts[family].replace(target)
    return dataset, written


def _other_files(folder: Path, families: Iterable[str]) -> list[str]:
    """Returns other files that would be read as part of the dataset in *folder*."""
    ours = {folder / f"{family}.jsonl" for family in families}
    return sorted(str(file.relative_to(folder)) for file in folder.rglob("*.jsonl") if file not in ours)


def _is_same(one: Path, other: Path) -> bool:
    return other.is_file() and filecmp.cmp(one, other, shallow=False)


# validate


def validate(
    target: Target,
    /,
    *,
    family: Families = (),
    oracle: Annotated[
        bool, Parameter(help="Also play scripted/oracle, and list the scenarios that it does not solve.")
    ] = False,
    as_json: Json = False,
) -> int:
    """Read every row and report every problem with file, line, field and expected value. Exit 2 on problems."""
    families = _config({}, family).families or None
    inspection = inspect(_rows_or_errors(target), families)
    problems = list(inspection.problems)
    if not inspection.rows and not problems:
        problems.append(DatasetError(target, "no rows; expected one scenario per line"))
    elif not inspection.scenarios and not problems:
        problems.append(
            DatasetError(target, f"none of its {inspection.rows} rows belongs to the family {_listed(family)}")
        )
    dataset = None if problems else dataset_from_rows(target, _valid_rows(target), families)
    shortfalls = asyncio.run(play_oracle(inspection.scenarios)) if oracle else []
    version = None if dataset is None else dataset.version
    if as_json:
        record = _validation_record(target, inspection, problems, version, shortfalls if oracle else None)
        echo(to_json(record))
    else:
        for line in _validation_lines(target, inspection, problems, version):
            echo(printable(line))
        if oracle:
            _print_oracle(inspection, shortfalls)
    return BAD_USAGE if problems or shortfalls else DONE


def _rows_or_errors(target: str) -> Iterable[SourceRow | DatasetError]:
    """Yields the rows of a dataset, and an error in place of each unreadable line."""
    return _valid_rows(target) if target.startswith(_GENERATED) else inspect_rows(target)


def _valid_rows(target: str) -> Iterable[SourceRow]:
    """Yields the rows of a dataset as a run reads them.

    Raises:
        DatasetError: a line is not readable.
    """
    if not target.startswith(_GENERATED):
        return read_rows(target)
    spec = _config(target).dataset
    return (SourceRow(target, None, row) for row in generate_rows(spec.size, spec.seed, None, spec.most_users))


def _validation_lines(
    target: str, inspection: Inspection, problems: list[DatasetError], version: str | None
) -> Iterator[str]:
    yield from map(str, problems)
    if inspection.scenarios:
        cells = [
            [name, str(len(scenarios)), _users(scenarios), _format_counts(_variant_counts(scenarios))]
            for name, scenarios in inspection.scenarios.items()
        ]
        yield text_table(["family", "scenarios", "users", "variants"], cells, numeric=(1,))
    if problems:
        yield f"{target}: {inspection.rows} rows, {len(problems)} problems"
    else:
        yield f"{target}: {inspection.rows} rows, no problems · dataset version {version}"


def _validation_record(
    target: str,
    inspection: Inspection,
    problems: list[DatasetError],
    version: str | None,
    shortfalls: list[Shortfall] | None,
) -> dict[str, Any]:
    """Returns the JSON record of a validation; *shortfalls* is None when the oracle did not play."""
    return {
        "dataset": target,
        "dataset_version": version,
        "rows": inspection.rows,
        "problems": list(map(_problem_record, problems)),
        "families": {
            name: {
                "scenarios": len(scenarios),
                "users": {str(number): count for number, count in _user_counts(scenarios).items()},
                "variants": _variant_counts(scenarios),
            }
            for name, scenarios in inspection.scenarios.items()
        },
        "oracle": None if shortfalls is None else [asdict(shortfall) for shortfall in shortfalls],
    }


def _problem_record(problem: DatasetError) -> dict[str, Any]:
    return {
        "file": problem.source,
        "line": problem.line,
        "id": problem.row_id,
        "field": problem.field,
        "problem": problem.problem,
    }


def _print_oracle(inspection: Inspection, shortfalls: list[Shortfall]) -> None:
    for shortfall in shortfalls:
        echo(printable(str(shortfall)))
    played = sum(map(len, inspection.scenarios.values()))
    short = len({(shortfall.family, shortfall.id) for shortfall in shortfalls})
    echo(f"oracle: {played} scenarios played, {short} below 1")


# show


def show(
    target: Target,
    scenario_id: Annotated[
        str | None, Parameter(help="Scenario id or a prefix of it; without it, all scenarios are listed.")
    ] = None,
    /,
    *,
    family: Families = (),
    private: Annotated[bool, Parameter(help="Also show the private context of each principal.")] = False,
    truth: Annotated[bool, Parameter(help="Also show the ground truth that the scorers use.")] = False,
) -> int:
    """List the scenarios of a dataset, or print one in readable form."""
    dataset = load_dataset(_config(target, family))
    if scenario_id is None:
        echo(render_scenarios(dataset))
    else:
        echo(render_scenario(_find(dataset, scenario_id), private=private, truth=truth))
    return DONE


def _find(dataset: Dataset, wanted: str) -> Scenario[Any]:
    """Returns the scenario with the id *wanted*, else the only one whose id starts with it.

    Raises:
        ConfigError: no scenario matches, or several do.
    """
    scenarios = [scenario for name in dataset.families for scenario in dataset.scenarios(name)]
    found = [s for s in scenarios if s.id == wanted] or [s for s in scenarios if s.id.startswith(wanted)]
    if len(found) == 1:
        return found[0]
    if found:
        places = [f"{scenario.id} ({scenario.family})" for scenario in found]
        raise ConfigError(
            f"{wanted!r} could be {len(found)} scenarios ({_listed(places)}); give a longer prefix, or a --family"
        )
    near = difflib.get_close_matches(wanted, [scenario.id for scenario in scenarios], n=_MAX_LISTED, cutoff=0.4)
    hint = f"nearest: {', '.join(near)}" if near else "muses data show without an id lists them"
    raise ConfigError(f"{dataset.name} has no scenario {wanted!r}; {hint}")


# pull


def pull(
    *,
    out: Annotated[Path, Parameter(help="Output folder; files keep their paths in the repository.")],
    base_url: Annotated[
        str | None, Parameter(help="URL of a mirror, to which the paths are appended. Default: the public repository.")
    ] = None,
    force: Force = False,
    as_json: Json = False,
) -> int:
    """Download the official scenarios and the texts of the released evaluator, and verify their checksums.

    Correct files are kept. Rows that are not scenarios are listed; all other rows can be played.
    """
    return pull_and_report(read_release(), out, base_url, force=force, as_json=as_json)


def pull_and_report(release: Release, out: Path, base_url: str | None, *, force: bool, as_json: bool) -> int:
    """Downloads a release, checks its rows, and prints what is there; as :func:`pull`."""
    folder = _expanded(out)
    done = pull_release(release, folder, base_url, force=force, on_file=_note_file)
    paths = [folder / file.path for file in release.files]
    inspection = inspect(chain.from_iterable(inspect_rows(str(path)) for path in paths))
    if as_json:
        echo(to_json(_pull_record(release, out, done, inspection, sum(path.stat().st_size for path in paths))))
        return DONE
    scenarios = sum(map(len, inspection.scenarios.values()))
    echo(f"{out}: {len(done.fetched)} files downloaded, {len(done.kept)} already correct · {scenarios} scenarios")
    echo(f"{release.repository} at {release.commit[:12]} · {release.license}")
    if released_texts.FILE_NAME in (*done.fetched, *done.kept):
        echo(f"texts of the released evaluator: {out / released_texts.FILE_NAME}")
    if inspection.problems:
        echo(f"{len(inspection.problems)} of {inspection.rows} rows are not scenarios and cannot be played:")
        for problem in inspection.problems:
            echo(printable(f"  {problem}"))
    return DONE


def _pull_record(release: Release, out: Path, done: PullResult, inspection: Inspection, size: int) -> dict[str, Any]:
    return {
        "out": str(out),
        "repository": release.repository,
        "commit": release.commit,
        "license": release.license,
        "rows": inspection.rows,
        "bytes": size,
        "fetched": list(done.fetched),
        "kept": list(done.kept),
        "problems": list(map(_problem_record, inspection.problems)),
    }


def _note_file(path: str) -> None:
    if sys.stderr.isatty():
        _note(f"wrote {path}")


# shared by the commands


def _config(dataset: str | Mapping[str, object], family: tuple[str, ...] = ()) -> RunConfig:
    """Returns the run configuration of a dataset and its families, so that all commands accept the same values."""
    return parse_config({"models": ["scripted/oracle"], "dataset": dataset, "families": family}, "command line")


def _expanded(folder: Path) -> Path:
    try:
        return folder.expanduser()
    except RuntimeError as error:
        raise ConfigError(f"--out {folder}: {error}; write the full path") from error


def _variant_counts(scenarios: Iterable[Scenario[Any]]) -> dict[str, dict[str, int]]:
    """Returns variant -> value -> number of scenarios."""
    counts: dict[str, Counter[str]] = {}
    for scenario in scenarios:
        for name, value in variant_values(scenario).items():
            counts.setdefault(name, Counter())[value] += 1
    return {name: dict(sorted(counter.items())) for name, counter in counts.items()}


def _format_counts(variants: Mapping[str, Mapping[str, int]]) -> str:
    return "; ".join(
        f"{name} {', '.join(f'{value} {count}' for value, count in counts.items())}"
        for name, counts in variants.items()
    )


def _user_counts(scenarios: Iterable[Scenario[Any]]) -> dict[int, int]:
    return dict(sorted(Counter(len(scenario.principals) for scenario in scenarios).items()))


def _users(scenarios: Iterable[Scenario[Any]]) -> str:
    """Returns the smallest and largest number of users per scenario, as ``2-6``."""
    numbers = list(_user_counts(scenarios))
    return "-".join(map(str, sorted({numbers[0], numbers[-1]})))


def _listed(names: Iterable[str]) -> str:
    listed = list(names)
    rest = len(listed) - _MAX_LISTED
    return ", ".join(listed[:_MAX_LISTED]) + (f" and {rest} more" if rest > 0 else "")


def _note(text: str) -> None:
    print(text, file=sys.stderr)  # noqa: T201
