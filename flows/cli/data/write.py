"""Writing of datasets, shared by several commands: refuses folders with other files, and prints what was written."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from muses_eval.dashboards.tables.text_table import text_table
from muses_eval.flows.cli.data.options import expanded, listed
from muses_eval.flows.cli.data.scenario_counts import user_range
from muses_eval.flows.cli.output import echo, note, to_json
from muses_eval.flows.data.dataset_writer import other_files, write_dataset
from muses_eval.pipeline.errors import ConfigError
from muses_eval.pipeline.families.family import Row


@dataclass(frozen=True, slots=True)
class Output:
    """Destination of a dataset."""

    folder: Path
    option: str
    """Name of the folder on the command line, for messages."""
    force: bool
    as_json: bool


def write_and_report(name: str, rows: Mapping[str, Iterable[Row]], output: Output) -> None:
    """Writes a dataset, family -> rows, and prints its files and its version.

    Raises:
        ConfigError: the folder has other files or other content, or cannot be written; nothing was written.
    """
    folder = expanded(output.folder)
    others = other_files(folder, rows)
    if others and not output.force:
        raise ConfigError(
            f"{output.option}: it contains other .jsonl files, which would be read as well ({listed(others)}); "
            "choose an empty folder, or keep the files with --force"
        )
    try:
        dataset, written = write_dataset(name, rows, folder, force=output.force)
    except (OSError, ValueError) as error:  # ValueError: the path has a NUL
        place, why = getattr(error, "filename", None) or "to it", getattr(error, "strerror", None) or error
        problem = f"cannot write {place}: {why}"
        raise ConfigError(f"{output.option}: {problem}; choose another folder, or free disk space") from error
    scenarios = {file.family: dataset.scenarios(file.family) for file in written}
    if output.as_json:
        files = [
            {
                "family": file.family,
                "path": str(file.path),
                "rows": len(scenarios[file.family]),
                "users": user_range(scenarios[file.family]),
                "bytes": file.bytes,
                "changed": file.changed,
            }
            for file in written
        ]
        echo(to_json({"dataset": dataset.name, "dataset_version": dataset.version, "files": files}))
    else:
        cells = [
            [
                file.family,
                str(len(scenarios[file.family])),
                user_range(scenarios[file.family]),
                str(file.bytes),
                str(file.path),
                "written" if file.changed else "already there",
            ]
            for file in written
        ]
        echo(text_table(["family", "scenarios", "users", "bytes", "file", ""], cells, numeric=(1, 3)))
        echo(f"{dataset.name} · dataset version {dataset.version}")
    if others:
        note(f"{output.folder} as a whole is another dataset: it contains other .jsonl files ({listed(others)})")
