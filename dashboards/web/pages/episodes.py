"""The episodes of a run, filtered by their properties, outcome and text, and sorted by score, length or cost."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

from muses_eval.dashboards.web.main_score import MAIN_SCORE_SQL
from muses_eval.dashboards.web.page import Page, PageRequest
from muses_eval.dashboards.web.store_cache import StoreCache
from muses_eval.pipeline.episode.episode import OUTCOMES

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

PAGE_LENGTH = 50
MAX_EXPORTED = 200
"""Maximum number of a run's episodes in an export: failures first, then the lowest scores."""

ORDERS = {
    "worst": ("worst first", "outcome = 'scored', score NULLS FIRST, episode_id"),
    "best": ("best first", "score DESC NULLS LAST, episode_id"),
    "long": ("most turns first", "turns DESC, episode_id"),
    "dear": ("most expensive first", "cost_usd DESC NULLS LAST, episode_id"),
    "slow": ("slowest first", "seconds DESC, episode_id"),
}
"""Name -> (label, SQL)."""
FILTERS = ("model", "family", "variant", "template", "users", "outcome", "flag")
_EPISODES = f"""
SELECT
    episode_id, run_id, model, family, scenario_id, coalesce(mode, attack, disclosure) AS variant, difficulty, template,
    num_users, epoch, outcome, error_kind, flags, turns, seconds, cost_usd,
    {MAIN_SCORE_SQL} AS score
FROM episodes
WHERE run_id = $run
    AND ($model = '' OR model = $model)
    AND ($family = '' OR family = $family)
    AND ($template = '' OR template = $template)
    AND ($users = '' OR CAST(num_users AS VARCHAR) = $users)
    AND ($outcome = '' OR outcome = $outcome)
    AND ($variant = '' OR coalesce(mode, attack, disclosure) = $variant)
    AND ($flag = '' OR list_contains(flags, $flag))
    AND ($text = '' OR len(list_filter(messages, lambda m: contains(lower(m.content), lower($text)))) > 0)
"""  # noqa: S608 - names of our own families and metrics


@dataclass(frozen=True, slots=True)
class EpisodeSummary:
    """One row of the list of episodes."""

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


def episodes_page(cache: StoreCache, request: PageRequest) -> Page:
    """Returns the page of a run's episodes.

    Path parameter: ``run``.  Query parameters: the filters, ``text``, ``order`` and ``page``, all optional.
    """
    run = cache.run(request.path_params["run"])
    run_id = run.run_id
    chosen = {name: request.query_params.get(name, "") for name in (*FILTERS, "text")}
    order = request.query_params.get("order", "worst")
    order = order if order in ORDERS else "worst"
    number = request.query_params.get("page", "")
    page = max(1, int(number)) if number.isascii() and number.isdigit() and len(number) < 8 else 1
    key = ("episodes", tuple(chosen.items()), order, page, request.live)
    window = _Window(order, PAGE_LENGTH, (page - 1) * PAGE_LENGTH) if request.live else _Window(order, MAX_EXPORTED, 0)
    total, episodes = cache.get_or_compute(key, lambda: _search(cache, run_id, chosen, window), run_id)
    return Page(
        title=f"Episodes of {run_id}",
        template="episodes.html",
        run_id=run_id,
        values={
            "protocol": run.protocol,
            "episodes": episodes,
            "total": total,
            "first": (page - 1) * PAGE_LENGTH + 1,
            "choices": cache.get_or_compute(("choices",), lambda: _filter_values(cache, run_id), run_id),
            "chosen": chosen,
            "order": order,
            "orders": {name: label for name, (label, _) in ORDERS.items()},
            "before": _query(chosen, order, page - 1) if page > 1 else None,
            "after": _query(chosen, order, page + 1) if page * PAGE_LENGTH < total else None,
            "exported": set() if request.live else {episode.episode_id for episode in exported_episodes(cache, run_id)},
        },
    )


def exported_episodes(cache: StoreCache, run_id: str) -> list[EpisodeSummary]:
    """Returns the episodes of a run whose transcripts the export writes."""
    window = _Window("worst", MAX_EXPORTED, 0)
    no_filters = dict.fromkeys((*FILTERS, "text"), "")
    return cache.get_or_compute(("exported",), lambda: _search(cache, run_id, no_filters, window)[1], run_id)


@dataclass(frozen=True, slots=True)
class _Window:
    """The part of the matching episodes to return."""

    order: str
    length: int
    offset: int


def _search(
    cache: StoreCache, run_id: str, chosen: Mapping[str, str], window: _Window
) -> tuple[int, list[EpisodeSummary]]:
    """Returns the number of matching episodes and the episodes in the window."""
    values = {"run": run_id, **chosen}

    def read(connection: "DuckDBPyConnection") -> tuple[int, list[EpisodeSummary]]:
        connection.execute(f"CREATE TEMP TABLE found AS {_EPISODES}", values)
        (total,) = connection.execute("SELECT count(*) FROM found").fetchone() or (0,)
        rows = connection.execute(
            f"FROM found ORDER BY {ORDERS[window.order][1]} LIMIT $length OFFSET $offset",
            {"length": window.length, "offset": window.offset},
        ).fetchall()
        return total, [_summary(row) for row in rows]

    return cache.query(read, run_id)


def _summary(row: tuple[Any, ...]) -> EpisodeSummary:
    values = dict(zip(EpisodeSummary.__slots__, row, strict=True))
    return EpisodeSummary(**{**values, "flags": tuple(values["flags"])})


def _filter_values(cache: StoreCache, run_id: str) -> dict[str, list[str]]:
    """Returns filter -> values that occur in the run, sorted."""
    query = """
        SELECT list(DISTINCT model), list(DISTINCT family), list(DISTINCT coalesce(mode, attack, disclosure)),
            list(DISTINCT template), list(DISTINCT num_users), flatten(list(DISTINCT flags))
        FROM episodes WHERE run_id = $1
    """
    row = cache.query(lambda connection: connection.execute(query, [run_id]).fetchone(), run_id)
    models, families, variants, templates, users, flags = row or [()] * 6
    found: dict[str, Any] = {"model": models, "family": families, "variant": variants, "template": templates}
    found |= {"users": users, "outcome": OUTCOMES, "flag": set(flags or ())}
    return {name: [str(value) for value in sorted(filter(None, found[name] or ()))] for name in FILTERS}


def _query(chosen: Mapping[str, str], order: str, page: int) -> str:
    given = {name: value for name, value in chosen.items() if value}
    return urlencode({**given, "order": order, "page": page})
