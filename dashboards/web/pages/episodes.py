"""The episodes of a run: found by what they are, how they ended, how they scored and what was said in them."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from muses_eval.dashboards.web.page import Ask, Page
from muses_eval.dashboards.web.store_cache import StoreCache
from muses_eval.pipeline.episode.episode import OUTCOMES
from muses_eval.pipeline.leaderboard_columns import COLUMNS

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

PAGE_LENGTH = 50
MOST_EXPORTED = 200
"""Episodes of a run that an export has: those that failed and those that scored lowest."""

ORDERS = {
    "worst": ("worst first", "outcome = 'scored', score NULLS FIRST, episode_id"),
    "best": ("best first", "score DESC NULLS LAST, episode_id"),
    "long": ("most turns first", "turns DESC, episode_id"),
    "dear": ("dearest first", "cost_usd DESC NULLS LAST, episode_id"),
    "slow": ("slowest first", "seconds DESC, episode_id"),
}
"""Name -> (label, SQL)."""
FILTERS = ("model", "family", "variant", "template", "outcome", "flag")
_MAIN_METRICS = {column.family: column.metric for column in reversed(list(COLUMNS.values()))}
_LINES = f"""
SELECT
    episode_id, run_id, model, family, scenario_id, coalesce(mode, attack, disclosure) AS variant, difficulty, template,
    num_users, epoch, outcome, error_kind, flags, turns, seconds, cost_usd,
    picked(scores, 'published', [CASE family {
    " ".join(f"WHEN '{family}' THEN '{metric}'" for family, metric in _MAIN_METRICS.items())
} END])[1].value AS score
FROM episodes
WHERE run_id = $run
    AND ($model = '' OR model = $model)
    AND ($family = '' OR family = $family)
    AND ($template = '' OR template = $template)
    AND ($outcome = '' OR outcome = $outcome)
    AND ($variant = '' OR coalesce(mode, attack, disclosure) = $variant)
    AND ($flag = '' OR list_contains(flags, $flag))
    AND ($text = '' OR len(list_filter(messages, lambda m: contains(lower(m.content), lower($text)))) > 0)
"""  # noqa: S608 - names of our own families and metrics
"""Score: the family's first column on the leaderboard."""


@dataclass(frozen=True, slots=True)
class Line:
    """One episode of the list."""

    episode_id: str
    run_id: str
    model: str
    family: str
    scenario_id: str
    variant: str | None
    difficulty: str | None
    template: str
    num_users: int
    epoch: int
    outcome: str
    error_kind: str | None
    flags: tuple[str, ...]
    turns: int
    seconds: float
    cost_usd: float | None
    score: float | None


def episodes_page(cache: StoreCache, ask: Ask) -> Page:
    """Its place: ``run``.  Its query: the filters, ``text``, ``order`` and ``page``, all optional."""
    run_id = cache.run(ask.place["run"]).run_id
    chosen = {name: ask.query.get(name, "") for name in (*FILTERS, "text")}
    order = ask.query.get("order", "worst")
    order = order if order in ORDERS else "worst"
    number = ask.query.get("page", "")
    page = max(1, int(number)) if number.isascii() and number.isdigit() and len(number) < 8 else 1
    key = ("episodes", tuple(chosen.items()), order, page, ask.live)
    window = _Window(order, PAGE_LENGTH, (page - 1) * PAGE_LENGTH) if ask.live else _Window(order, MOST_EXPORTED, 0)
    total, lines = cache.get_or_compute(key, lambda: _found(cache, run_id, chosen, window), run_id)
    return Page(
        title=f"Episodes of {run_id}",
        template="episodes.html",
        run_id=run_id,
        values={
            "lines": lines,
            "total": total,
            "first": (page - 1) * PAGE_LENGTH + 1,
            "choices": cache.get_or_compute(("choices",), lambda: _choices(cache, run_id), run_id),
            "chosen": chosen,
            "order": order,
            "orders": {name: label for name, (label, _) in ORDERS.items()},
            "before": _query(chosen, order, page - 1) if page > 1 else None,
            "after": _query(chosen, order, page + 1) if page * PAGE_LENGTH < total else None,
            "exported": set() if ask.live else {line.episode_id for line in exported_episodes(cache, run_id)},
        },
    )


def exported_episodes(cache: StoreCache, run_id: str) -> list[Line]:
    """The episodes of a run whose transcripts an export has."""
    window = _Window("worst", MOST_EXPORTED, 0)
    nothing = dict.fromkeys((*FILTERS, "text"), "")
    return cache.get_or_compute(("exported",), lambda: _found(cache, run_id, nothing, window)[1], run_id)


@dataclass(frozen=True, slots=True)
class _Window:
    """Which of the episodes that match are wanted."""

    order: str
    length: int
    offset: int


def _found(cache: StoreCache, run_id: str, chosen: Mapping[str, str], window: _Window) -> tuple[int, list[Line]]:
    """How many episodes match, and those of the window."""
    values = {"run": run_id, **chosen}

    def found(connection: "DuckDBPyConnection") -> tuple[int, list[Line]]:
        connection.execute(f"CREATE TEMP TABLE found AS {_LINES}", values)
        (total,) = connection.execute("SELECT count(*) FROM found").fetchone() or (0,)
        rows = connection.execute(
            f"FROM found ORDER BY {ORDERS[window.order][1]} LIMIT $length OFFSET $offset",
            {"length": window.length, "offset": window.offset},
        ).fetchall()
        return total, [_line(row) for row in rows]

    return cache.query(found, run_id)


def _line(row: tuple[Any, ...]) -> Line:
    values = dict(zip(Line.__slots__, row, strict=True))
    return Line(**{**values, "flags": tuple(values["flags"])})


def _choices(cache: StoreCache, run_id: str) -> dict[str, list[str]]:
    """What each filter may be."""
    query = """
        SELECT list(DISTINCT model), list(DISTINCT family), list(DISTINCT coalesce(mode, attack, disclosure)),
            list(DISTINCT template), flatten(list(DISTINCT flags))
        FROM episodes WHERE run_id = $1
    """
    row = cache.query(lambda connection: connection.execute(query, [run_id]).fetchone(), run_id)
    models, families, variants, templates, flags = row or [()] * 5
    found: dict[str, Any] = {"model": models, "family": families, "variant": variants, "template": templates}
    found |= {"outcome": OUTCOMES, "flag": set(flags or ())}
    return {name: sorted(value for value in found[name] or () if value is not None) for name in FILTERS}


def _query(chosen: Mapping[str, str], order: str, page: int) -> str:
    given = {name: value for name, value in chosen.items() if value}
    return urlencode({**given, "order": order, "page": page})
