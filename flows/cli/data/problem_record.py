"""The JSON record of a problem of a dataset."""

from typing import Any

from muses_eval.pipeline.errors import DatasetError


def problem_record(problem: DatasetError) -> dict[str, Any]:
    """Returns a problem with its place, as the commands print it with ``--json``."""
    return {
        "file": problem.source,
        "line": problem.line,
        "id": problem.row_id,
        "field": problem.field,
        "problem": problem.problem,
    }
