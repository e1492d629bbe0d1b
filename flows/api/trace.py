"""One stored episode: its transcript, and its parts as frames."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

from muses_eval.flows.api.source import Location, Source, locate, query_runs, warn_lost
from muses_eval.pipeline.episode.episode import Episode

if TYPE_CHECKING:
    import polars as pl
    from duckdb import DuckDBPyConnection
    from muses_eval.storage.query.lost_objects import LostObject


@dataclass(frozen=True, slots=True, repr=False)
class Trace:
    """A stored episode.  Its text, which notebooks show, is the transcript."""

    episode: Episode
    """Everything that is stored of it; the fields are the columns of docs/traces.md."""

    def __str__(self) -> str:
        return self.transcript()

    __repr__ = __str__

    def transcript(self, *, raw: bool = False) -> str:
        """Returns who said what to whom, the scores and the model calls, as ``muses trace`` prints them.

        The command adds an explanation of the scores.

        *raw*: also the briefing, and the agent's replies as the model wrote them.
        """
        from muses_eval.dashboards.tables.transcript import render_transcript

        return render_transcript(self.episode, raw=raw)

    @property
    def messages(self) -> "pl.DataFrame":
        """A row per message: ``turn`` (0 is the briefing), ``sender``, ``audience`` and ``content``."""
        return self._entries("messages")

    @property
    def scores(self) -> "pl.DataFrame":
        """A row per score: ``scoring``, ``metric``, ``round`` (null: the whole episode) and ``value``."""
        return self._entries("scores")

    @property
    def evidence(self) -> "pl.DataFrame":
        """A row per check behind the scores: ``rule``, ``verdict``, ``principal``, ``turn``, ``span`` and others."""
        return self._entries("evidence")

    @property
    def calls(self) -> "pl.DataFrame":
        """A row per model call, with its tokens, cost in US dollars and latency in seconds."""
        return self._entries("calls")

    @property
    def events(self) -> "pl.DataFrame":
        """A row per event inside an agent: ``turn``, ``step``, ``kind`` (log, call or error) and ``text``."""
        return self._entries("events")

    def _entries(self, column: str) -> "pl.DataFrame":
        import polars as pl
        from muses_eval.storage.schema.parquet_schema import episodes_table

        rows = pl.DataFrame(episodes_table([self.episode]).select([column]))
        return rows.explode(column).filter(pl.col(column).is_not_null()).unnest(column)


def trace(episode_id: str, *, store: Source = None, run: str | None = None) -> Trace:
    """Returns one episode.

    Args:
        episode_id: the id of an episode, or a prefix of it.
        store: a folder, ``s3://bucket/prefix`` or a report; None for the store of the commands.
        run: id of its run; needed only when the same episode was played in several runs.

    Raises:
        MusesError: no episode has such an id, or several have it.
        NoSuchRunError: the store has no such run, or no run at all.
        StoreError: the store cannot be read.
    """
    return read_trace(locate(store, run), episode_id, warn_lost)


def read_trace(place: Location, episode_id: str, on_lost: "Callable[[LostObject], None]") -> Trace:
    """Returns one episode of a store, or of one run of it.

    Raises: as :func:`trace`.
    """
    from muses_eval.storage.query.find_episode import find_episode

    def ask(connection: "DuckDBPyConnection") -> Episode:
        return find_episode(connection, episode_id, place.run_id)

    return Trace(query_runs(place.store, ask, place.run_id, on_lost))
