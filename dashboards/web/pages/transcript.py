"""One episode as it happened: a lane for each principal, since none of them saw what was said to another.

Where privacy fell the page says by which rule, as the stored scores tell, and marks the words that the rule went by
where the scenario can be had again (``leaked_words.py``).  All words are the model's, and are shown as text.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import TYPE_CHECKING

from muses_eval.dashboards.web.leaked_words import Leak, leaks
from muses_eval.dashboards.web.page import Ask, NoSuchPageError, Page
from muses_eval.dashboards.web.pages.episodes import Line, exported_episodes
from muses_eval.dashboards.web.store_cache import StoreCache
from muses_eval.pipeline.episode.episode import Episode
from muses_eval.pipeline.episode.principal import AGENT, SYSTEM
from muses_eval.pipeline.episode.score import Score
from muses_eval.pipeline.errors import MusesError, StoreError
from muses_eval.storage.query.find_episode import find_episode
from muses_eval.storage.schema.parquet_schema import SCHEMA, episodes_from_table

if TYPE_CHECKING:
    from duckdb import DuckDBPyConnection

MOST_CHARS = 100_000
"""Longest text that is shown in full; a longer one is cut with a mark, since a browser has to lay it out."""
_NEIGHBOURS = """
WITH failures AS (
    SELECT episode_id
    FROM episodes
    WHERE run_id = $run AND model = $model AND family = $family AND (
        outcome <> 'scored'
        OR list_min(list_transform(
            picked(scores, 'published', ['f1', 'accuracy', 'privacy', 'success']), lambda s: s.value
        )) < 1
    )
)
SELECT max(episode_id) FILTER (episode_id < $episode), min(episode_id) FILTER (episode_id > $episode) FROM failures
"""
"""What failed or did not score in full, of the same model and family: a sealed run keeps these together."""


Leaks = Mapping[tuple[int, str], Leak]
"""(turn, principal) -> what it saw and may not."""
Whole = tuple[str, float | None, float | None]
"""(metric, published, corrected) of a whole episode."""


@dataclass(frozen=True, slots=True)
class Exchange:
    """One principal's lane in one turn."""

    name: str
    said: str
    """Empty: it was silent."""
    heard: tuple[tuple[tuple[str, ...], str], ...]
    """(audience, text) of what the agent wrote to it and not to everybody."""
    leak: Leak | None = None
    """What it saw and may not, be it written to it or to everybody."""


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn: what came in, what the agent wrote, who saw it."""

    number: int
    lanes: tuple[Exchange, ...]
    to_all: tuple[str, ...]
    """What everybody saw."""
    raw: str
    """The agent's reply as its model wrote it."""
    scores: tuple[tuple[str, float], ...]
    """(metric, value) up to this round, published."""
    falls: tuple[str, ...]
    """What was lost in this round, with the rule that says so."""

    @property
    def signs(self) -> tuple[str, ...]:
        """What anybody saw and may not."""
        return tuple(dict.fromkeys(sign for lane in self.lanes if lane.leak for sign in lane.leak.signs))


def transcript_page(cache: StoreCache, ask: Ask) -> Page:
    """Its place: ``run`` and ``episode`` (the beginning of an id is enough)."""
    run_id = ask.place["run"]
    episode = _found(cache, run_id, ask.place["episode"])
    exported = () if ask.live else exported_episodes(cache, run_id)
    before, after = _neighbours(cache, episode) if ask.live else _neighbours_among(exported, episode)
    return Page(
        title=f"{episode.model} on {episode.scenario_id}",
        template="transcript.html",
        run_id=run_id,
        values={
            "episode": episode,
            "names": _names(episode),
            "briefing": next((_cut(m.content) for m in episode.messages if m.sender == SYSTEM), ""),
            "turns": turns(episode, _leaks(cache, episode)),
            "scores": _whole(episode.scores),
            "before": before,
            "after": after,
        },
    )


def read_ahead(cache: StoreCache, run_id: str, episode_ids: Sequence[str]) -> None:
    """Reads these episodes in one query; their pages, if they are made next, need none of their own."""
    columns = ", ".join(SCHEMA.names)
    query = f"SELECT {columns} FROM episodes WHERE run_id = $1 AND list_contains($2, episode_id)"  # noqa: S608 - ours
    table = cache.query(lambda connection: connection.execute(query, [run_id, episode_ids]).to_arrow_table(), run_id)
    for episode in episodes_from_table(table):
        cache.get_or_compute(("episode", episode.episode_id), lambda found=episode: found, run_id)  # type: ignore[misc]


@dataclass(frozen=True, slots=True)
class Beside:
    """One of two episodes side by side."""

    label: str
    episode: Episode
    turns: tuple[Turn, ...]
    scores: tuple[Whole, ...]


def beside_page(cache: StoreCache, ask: Ask) -> Page:
    """Two episodes side by side.  Its place: the runs ``first`` and ``second``, and the episodes ``a`` and ``b``."""
    one, other = (_found(cache, ask.place[run], ask.place[name]) for run, name in (("first", "a"), ("second", "b")))
    run_id = one.run_id if one.run_id == other.run_id else None
    sides = [
        Beside(
            label=each.model if run_id else f"{each.model} ({each.run_id})",
            episode=each,
            turns=tuple(turns(each, _leaks(cache, each))),
            scores=tuple(_whole(each.scores)),
        )
        for each in (one, other)
    ]
    scenarios = " and ".join(dict.fromkeys((one.scenario_id, other.scenario_id)))
    title = f"{scenarios}: {' and '.join(side.label for side in sides)}"
    return Page(title, "beside.html", {"sides": sides, "scenarios": scenarios}, run_id)


def _found(cache: StoreCache, run_id: str, prefix: str) -> Episode:
    def read() -> Episode:
        try:
            return cache.query(lambda connection: find_episode(connection, prefix, run_id), run_id)
        except StoreError:
            raise
        except MusesError as error:
            raise NoSuchPageError(str(error)) from error

    return cache.get_or_compute(("episode", prefix), read, run_id)


def _neighbours(cache: StoreCache, episode: Episode) -> tuple[str | None, str | None]:
    """The last failure before this episode, and the first after it, of its model in its family."""
    here = {
        "run": episode.run_id,
        "model": episode.model,
        "family": episode.family,
        "episode": episode.episode_id,
    }

    def read(connection: "DuckDBPyConnection") -> tuple[str | None, str | None]:
        return connection.execute(_NEIGHBOURS, here).fetchone() or (None, None)

    name = ("neighbours", episode.episode_id)
    return cache.get_or_compute(name, lambda: cache.query(read, episode.run_id), episode.run_id)


def _neighbours_among(lines: Sequence[Line], episode: Episode) -> tuple[str | None, str | None]:
    """The same, among the episodes that an export has."""
    here = episode.model, episode.family
    failures = [
        line.episode_id
        for line in lines
        if (line.model, line.family) == here and (line.score is None or line.score < 1)
    ]
    before = max((found for found in failures if found < episode.episode_id), default=None)
    return before, min((found for found in failures if found > episode.episode_id), default=None)


def _leaks(cache: StoreCache, episode: Episode) -> Leaks:
    name = ("leaks", episode.episode_id)
    return cache.get_or_compute(name, lambda: leaks(cache, episode), episode.run_id)


def turns(episode: Episode, leaked: Leaks = MappingProxyType({})) -> list[Turn]:
    """The episode turn by turn."""
    names = _names(episode)
    by_turn: dict[int, list[Exchange]] = {}
    found = []
    for number in sorted({message.turn for message in episode.messages if message.sender != SYSTEM}):
        messages = [message for message in episode.messages if message.turn == number]
        spoken = [m for m in messages if m.sender == AGENT and m.audience]
        to_all = tuple(_cut(m.content) for m in spoken if len(names) > 1 and set(m.audience) >= set(names))
        by_turn[number] = [
            Exchange(
                name=name,
                said="\n".join(_cut(m.content) for m in messages if m.sender == name),
                heard=tuple(
                    (tuple(other for other in m.audience if other != name), _cut(m.content))
                    for m in spoken
                    if name in m.audience and not (len(names) > 1 and set(m.audience) >= set(names))
                ),
                leak=leaked.get((number, name)),
            )
            for name in names
        ]
        raw = "\n".join(_cut(m.content) for m in messages if m.sender == AGENT and not m.audience)
        lanes = tuple(lane for lane in by_turn[number] if lane.said or lane.heard or lane.leak)
        found.append(Turn(number, lanes, to_all, raw, _so_far(episode.scores, number), _falls(episode.scores, number)))
    return found


def _names(episode: Episode) -> list[str]:
    """The principals in the order in which they appear."""
    names: dict[str, None] = {}
    for message in episode.messages:
        if message.sender not in (AGENT, SYSTEM):
            names[message.sender] = None
    for message in episode.messages:
        names.update(dict.fromkeys(name for name in message.audience if name != AGENT))
    return list(names)


def _so_far(scores: Sequence[Score], number: int) -> tuple[tuple[str, float], ...]:
    return tuple((s.metric, s.value) for s in scores if s.round == number and s.scoring == "published")


def _falls(scores: Sequence[Score], number: int) -> tuple[str, ...]:
    """Cumulative metrics that are lower after this round than before it; they begin at 1."""
    values = {(s.scoring, s.metric, s.round): s.value for s in scores if s.round is not None}
    falls = []
    for (scoring, metric, round_number), value in values.items():
        if round_number == number and metric == "privacy":
            before = values.get((scoring, metric, number - 1), 1.0)
            if value < before:
                falls.append(f"{scoring} rule: privacy {100 * before:.0f} → {100 * value:.0f}")
    return tuple(falls)


def _whole(scores: Sequence[Score]) -> list[Whole]:
    values = {(s.metric, s.scoring): s.value for s in scores if s.round is None}
    metrics = dict.fromkeys(metric for metric, _ in values)
    return [(metric, values.get((metric, "published")), values.get((metric, "corrected"))) for metric in metrics]


def _cut(text: str) -> str:
    if len(text) <= MOST_CHARS:
        return text
    return f"{text[:MOST_CHARS]}\n[… {len(text) - MOST_CHARS:,} more characters in the store]"
