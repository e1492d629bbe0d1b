"""``muses data pull``: downloads the official files."""

import sys
from itertools import chain
from pathlib import Path
from typing import Annotated, Any

from cyclopts import Parameter
from muses_eval.dashboards.tables.text_table import printable
from muses_eval.flows.cli import DONE
from muses_eval.flows.cli.data.options import Force, expanded
from muses_eval.flows.cli.data.problem_record import problem_record
from muses_eval.flows.cli.options import Json
from muses_eval.flows.cli.output import echo, note, to_json
from muses_eval.flows.data.dataset_check import Inspection, inspect
from muses_eval.flows.data.official import PullResult, Release, pull as pull_release, read_release
from muses_eval.pipeline.protocols import released_texts
from muses_eval.pipeline.text.count_text import count_text
from muses_eval.storage.objects.dataset_files import inspect_rows


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
    folder = expanded(out)
    done = pull_release(release, folder, base_url, force=force, on_file=_note_file)
    paths = [folder / file.path for file in release.files]
    inspection = inspect(chain.from_iterable(inspect_rows(str(path)) for path in paths))
    if as_json:
        echo(to_json(_pull_record(release, out, done, inspection, sum(path.stat().st_size for path in paths))))
        return DONE
    scenarios = count_text(sum(map(len, inspection.scenarios.values())), "scenario")
    files = count_text(len(done.fetched), "file")
    echo(f"{out}: {files} downloaded, {len(done.kept)} already correct · {scenarios}")
    echo(f"{release.repository} at {release.commit[:12]} · {release.license}")
    if released_texts.FILE_NAME in (*done.fetched, *done.kept):
        echo(f"texts of the released evaluator: {out / released_texts.FILE_NAME}")
    if inspection.problems:
        echo(f"{inspection.bad_rows} of {inspection.rows} rows are not scenarios and cannot be played:")
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
        "problems": list(map(problem_record, inspection.problems)),
    }


def _note_file(path: str) -> None:
    if sys.stderr.isatty():
        note(f"wrote {path}")
