"""Comparisons of all pairs of a run's models, computed once for all pages that use them."""

from muses_eval.dashboards.web.store_cache import StoreCache
from muses_eval.pipeline.errors import MusesError, StoreError
from muses_eval.storage.analysis.compare import Standings, compare_all

_NAME = ("standings",)


def standings_of(cache: StoreCache, run_id: str) -> Standings | None:
    """Returns the comparisons of published scores; None when no two models scored the same scenario."""

    def found() -> Standings | None:
        try:
            return cache.query(lambda connection: compare_all(connection, run_id), run_id)
        except StoreError:
            raise
        except MusesError:
            return None

    return cache.get_or_compute(_NAME, found, run_id)


def cached_standings(cache: StoreCache, run_id: str) -> Standings | None:
    """Returns the comparisons when they are cached, else None."""
    standings: Standings | None = cache.get(_NAME, run_id)
    return standings
