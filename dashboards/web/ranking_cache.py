"""Comparisons of all pairs of a run's models, computed once for all pages that use them."""

from muses_eval.dashboards.web.store_cache import StoreCache
from muses_eval.pipeline.errors import MusesError, StoreError
from muses_eval.storage.analysis.ranking import Ranking, rank_models

_NAME = ("ranking",)


def ranking_of(cache: StoreCache, run_id: str) -> Ranking | None:
    """Returns the comparisons of published scores; None when no two models scored the same scenario."""

    def found() -> Ranking | None:
        try:
            return cache.query(lambda connection: rank_models(connection, run_id), run_id)
        except StoreError:
            raise
        except MusesError:
            return None

    return cache.get_or_compute(_NAME, found, run_id)


def cached_ranking(cache: StoreCache, run_id: str) -> Ranking | None:
    """Returns the comparisons when they are cached, else None."""
    ranking: Ranking | None = cache.get(_NAME, run_id)
    return ranking
