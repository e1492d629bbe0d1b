"""Tables as Polars frames, with one row per model or per compared column.  Scores are 0 to 1."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, fields
from types import UnionType
from typing import Any, Union, get_args, get_origin, get_type_hints

import polars as pl
from muses_eval.dashboards.tables.comparison import pair_record
from muses_eval.dashboards.tables.harness_effect import harness_lines
from muses_eval.pipeline.episode.episode import OUTCOMES
from muses_eval.pipeline.leaderboard_columns import COLUMNS
from muses_eval.storage.analysis.compare import Comparison, ComparisonSettings
from muses_eval.storage.analysis.harness_effect import HarnessReport
from muses_eval.storage.analysis.leaderboard import LeaderboardRow
from muses_eval.storage.analysis.rank_bands import RankBand

_PAIR = ("run_a", "model_a", "run_b", "model_b", "column")
_COUNTS = ("scenarios", "pairs", "a_better", "b_better", "left_out")
_NUMBERS = ("a", "b", "difference", "se", "df", "low", "high", "p", "p_adjusted")
COMPARISON_COLUMNS: Mapping[str, type[pl.DataType]] = {
    **dict.fromkeys(_PAIR, pl.String),
    **dict.fromkeys(_NUMBERS, pl.Float64),
    "better": pl.String,
    **dict.fromkeys(_COUNTS, pl.Int64),
}

HARNESS_COLUMNS: Mapping[str, type[pl.DataType]] = {
    **dict.fromkeys(("run_id", "scoring", "model", "base_model", "agent", "facts", "column"), pl.String),
    **dict.fromkeys(("agent_mean", "chat_mean", *_NUMBERS[2:]), pl.Float64),
    **dict.fromkeys(("scenarios", "pairs", "left_out", "episodes"), pl.Int64),
    **{f"{who}_{name}": pl.Float64 for name in ("cost_usd", "tokens", "calls", "seconds") for who in ("agent", "chat")},
    "agent_error_share": pl.Float64,
}


def leaderboard_frame(rows: Sequence[LeaderboardRow], bands: Mapping[str, RankBand] | None = None) -> pl.DataFrame:
    """Returns the rows of a leaderboard.

    Each column of the leaderboard becomes four: mean, ``_se``, and ``_low`` and ``_high``, the bounds of the mean over
    all planned episodes.  ``taken_over`` and ``drifted`` name the columns that a night marks.  Each outcome becomes a
    column with its number of episodes.  *bands*: model -> possible ranks, as ``rank_best`` and ``rank_worst``.
    """
    schema: dict[str, type[pl.DataType]] = {}
    for name, dtype in _row_types().items():
        match name:
            case "estimates":
                schema |= {f"{column}{part}": pl.Float64 for column in COLUMNS for part in ("", "_se", "_low", "_high")}
            case "outcomes":
                schema |= dict.fromkeys(OUTCOMES, pl.Int64)
            case "bounds":
                pass
            case "marks":
                schema |= dict.fromkeys(("taken_over", "drifted"), pl.String)
            case _:
                schema[name] = dtype
    records = [_leaderboard_record(row) for row in rows]
    if bands is not None:
        schema |= {"rank_best": pl.Int64, "rank_worst": pl.Int64}
        for record in records:
            band = bands.get(record["model"])
            record |= {"rank_best": band and band.best, "rank_worst": band and band.worst}
    return pl.DataFrame(records, schema=schema)


def comparison_frame(comparisons: Iterable[Comparison], settings: ComparisonSettings) -> pl.DataFrame:
    """Returns a row per pair of models and column, the average last, with :data:`COMPARISON_COLUMNS`."""
    records = [record for comparison in comparisons for record in _comparison_records(comparison, settings)]
    return pl.DataFrame(records, schema=COMPARISON_COLUMNS)


def harness_frame(report: HarnessReport) -> pl.DataFrame:
    """Returns a row per agent and column, the average last, with :data:`HARNESS_COLUMNS`."""
    return pl.DataFrame(harness_lines(report), schema=HARNESS_COLUMNS)


def _row_types() -> dict[str, type[pl.DataType]]:
    hints = get_type_hints(LeaderboardRow)
    return {field.name: _data_type(hints[field.name]) for field in fields(LeaderboardRow)}


def _data_type(hint: Any) -> type[pl.DataType]:  # noqa: ANN401 - a type hint has no type
    """Returns the type of a field's column: text, for all but numbers and booleans."""
    if get_origin(hint) in (Union, UnionType):
        hint = next(part for part in get_args(hint) if part is not type(None))
    types: dict[Any, type[pl.DataType]] = {bool: pl.Boolean, int: pl.Int64, float: pl.Float64}
    return types.get(hint, pl.String)


def _leaderboard_record(row: LeaderboardRow) -> dict[str, Any]:
    record = asdict(row)
    record |= record.pop("outcomes")
    marks = record.pop("marks")
    record["taken_over"] = ", ".join(column for column, mark in marks.items() if mark["taken_over_from"]) or None
    record["drifted"] = ", ".join(column for column, mark in marks.items() if mark["drift"]) or None
    for column, estimate in record.pop("estimates").items():
        record[column], record[f"{column}_se"] = estimate or (None, None)
    for column, bounds in record.pop("bounds").items():
        record[f"{column}_low"], record[f"{column}_high"] = bounds
    return record


def _comparison_records(comparison: Comparison, settings: ComparisonSettings) -> list[dict[str, Any]]:
    pair = pair_record(comparison, settings)
    columns = pair["columns"]
    if pair["overall"] is not None and len(columns) > 1:
        columns = [*columns, pair["overall"]]
    a, b = pair["a"], pair["b"]
    names = {"run_a": a["run_id"], "model_a": a["model"], "run_b": b["run_id"], "model_b": b["model"]}
    return [{**names, **column} for column in columns]
