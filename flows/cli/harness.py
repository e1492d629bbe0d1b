"""``muses harness``: what every agent of a run changes, compared with its model alone."""

from typing import Literal

from muses_eval.flows.api.harness import read_harness_effects
from muses_eval.flows.api.source import locate
from muses_eval.flows.cli import DONE
from muses_eval.flows.cli.compare import Correction
from muses_eval.flows.cli.find_run import print_lost
from muses_eval.flows.cli.options import OfRun, Store
from muses_eval.flows.cli.output import echo, screen
from muses_eval.pipeline.episode.score import Scoring


def harness(
    run: OfRun = None,
    /,
    *,
    scoring: Scoring = "published",
    correction: Correction = "holm",
    store: Store = None,
    format: Literal["table", "md", "csv", "latex", "json"] = "table",  # noqa: A002 - the option's name
) -> int:
    """Compare the agents of a run with their models alone, in scores, cost and time."""
    from muses_eval.dashboards.tables.harness_effect import render_harness_effects
    from muses_eval.storage.analysis.compare import ComparisonSettings

    settings = ComparisonSettings(scoring=scoring, correction=correction)
    found = read_harness_effects(locate(store, run), settings, print_lost)
    echo(render_harness_effects(found, format, screen()))
    return DONE
