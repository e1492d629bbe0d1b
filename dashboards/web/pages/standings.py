"""Every pair of a run's models, found once for all pages that tell of it."""

from muses_eval.dashboards.web.store_cache import StoreCache
from muses_eval.pipeline.errors import MusesError, StoreError
from muses_eval.storage.analysis.compare import Standings, compare_all

_NAME = ("standings",)


def standings_of(cache: StoreCache, run_id: str) -> Standings | None:
    """Published; None when fewer than two models have something in common."""

    def found() -> Standings | None:
        try:
            return cache.query(lambda connection: compare_all(connection, run_id), run_id)
        except StoreError:
            raise
        except MusesError:
            return None

    return cache.get_or_compute(_NAME, found, run_id)


def known_standings(cache: StoreCache, run_id: str) -> Standings | None:
    """Those that somebody has asked for already."""
    known: Standings | None = cache.get(_NAME, run_id)
    return known
