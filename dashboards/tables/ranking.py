"""The ranking of a run's models: the possible ranks, all pairs of models, and JSON.

Tables are in percentage points; JSON is in 0-1.
"""

import json
from collections.abc import Iterator
from typing import Any

from muses_eval.dashboards.tables.comparison import (
    CORRECTIONS,
    Format,
    method_notes,
    pair_record,
    settings_record,
    won_columns,
)
from muses_eval.dashboards.tables.score_format import (
    NO_VALUE,
    column_title,
    difference_text,
    mean_text,
    p_text,
)
from muses_eval.dashboards.tables.screen import PLAIN, Screen
from muses_eval.dashboards.tables.text_table import Table, one_line, render_blocks
from muses_eval.pipeline.agents.agent_spec import CHAT
from muses_eval.pipeline.text.count_text import count_text
from muses_eval.storage.analysis.compare import AVERAGE, ColumnComparison
from muses_eval.storage.analysis.ranking import Ranking


def ranking_record(ranking: Ranking) -> dict[str, Any]:
    """Returns a run's models with their possible ranks, and all pairs of them, as JSON values."""
    return {
        "run_id": ranking.run_id,
        "protocols": list(ranking.protocols),
        **settings_record(ranking.settings),
        "models": [
            {
                "model": each.model,
                "agent": each.agent,
                "facts": each.facts,
                "rank_best": None if each.band is None else each.band.best,
                "rank_worst": None if each.band is None else each.band.worst,
                "builtin": each.builtin,
                **({} if each.unusable_excess is None else {"unusable_excess": each.unusable_excess}),
                "overall": None if each.overall is None else each.overall.mean,
                "overall_se": None if each.overall is None else each.overall.se,
            }
            for each in ranking.models
        ],
        "comparisons": [pair_record(comparison, ranking.settings) for comparison in ranking.comparisons],
        "cautions": list(ranking.cautions),
    }


def render_ranking(ranking: Ranking, form: Format, screen: Screen = PLAIN) -> str:
    """Returns the possible ranks of a run's models, then every pair of them."""
    if form == "json":
        return json.dumps(ranking_record(ranking), indent=2)
    over = f"over {count_text(len(ranking.comparisons), 'pair')}; for the columns over all pairs and columns"
    corrected_over = f"{CORRECTIONS[ranking.settings.correction]} {over}"
    notes = [
        f"run {one_line(ranking.run_id)} · {_bands_note(ranking)}",
        *_unranked(ranking),
        *method_notes(ranking.settings, ranking.protocols, corrected_over, ranking.cautions),
    ]
    ranks = render_blocks(form, _ranks_table(ranking), screen=screen)
    return f"{ranks}\n\n{render_blocks(form, _pairs_table(ranking), notes, screen=screen)}"


def render_rank_bands(ranking: Ranking, *, markdown: bool = False, screen: Screen = PLAIN) -> str:
    """Returns the possible ranks alone, to print below a leaderboard."""
    table = Table(["ranks", "model"], [[str(band), model] for model, band in ranking.bands.items()], range(0))
    notes = [_bands_note(ranking), *_unranked(ranking)]
    return f"\n{render_blocks('md' if markdown else 'table', table, notes, screen=screen)}"


def _ranks_table(ranking: Ranking) -> Table:
    columns = len(ranking.columns)
    agents = any(each.agent != CHAT.name for each in ranking.models)
    rows = [
        [
            NO_VALUE if each.band is None else str(each.band),
            each.model,
            *([each.facts] if agents else []),
            mean_text(each.overall),
        ]
        for each in ranking.models
    ]
    title = column_title(AVERAGE if columns > 1 else ranking.columns[0], columns)
    header = ["ranks", "model", *(["facts"] if agents else []), title]
    return Table(header, rows, range(len(header) - 1, len(header)))


def _pairs_table(ranking: Ranking) -> Table:
    header = ["A", "B", "A - B", "p", "adjusted p", "overall", "A better at", "B better at"]
    alpha = ranking.settings.alpha
    rows = [
        [
            comparison.a.model,
            comparison.b.model,
            *_overall_cells(comparison.overall, alpha),
            _titles(won_columns(comparison, "a", alpha)),
            _titles(won_columns(comparison, "b", alpha)),
        ]
        for comparison in ranking.comparisons
    ]
    return Table(header, rows, range(2, 5))


def _overall_cells(overall: ColumnComparison | None, alpha: float) -> tuple[str, str, str, str]:
    if overall is None:
        return NO_VALUE, NO_VALUE, NO_VALUE, "not comparable"
    verdict = {"a": "A better", "b": "B better", None: "not significant"}[overall.winner(alpha)]
    return difference_text(overall), p_text(overall.difference.p), p_text(overall.p_adjusted), verdict


def _titles(columns: list[ColumnComparison]) -> str:
    return ", ".join(column_title(column.column, 1) for column in columns) or NO_VALUE


def _unranked(ranking: Ranking) -> Iterator[str]:
    for each in ranking.models:
        if each.unusable_excess is not None:
            yield f"{one_line(each.model)} is not ranked, because {each.unusable_excess}"
    others = [each for each in ranking.models if each.band is None and each.unusable_excess is None]
    if names := [one_line(each.model) for each in others if each.builtin is None]:
        yield f"not ranked, because too few of their planned episodes are scored: {', '.join(names)}"
    if names := [one_line(each.model) for each in others if each.builtin is not None]:
        yield f"not ranked, because they are built-in agents: {', '.join(names)}"


def _bands_note(ranking: Ranking) -> str:
    share = f"{100 * ranking.settings.alpha:g} %"
    risk = f"in at most {share} of runs any of them is wrong"
    if ranking.settings.correction == "bh":
        risk = f"at most {share} of the significant differences are expected to be false"
    return f"possible ranks, from the paired differences: {risk}"
