"""The transcript of an episode, turn by turn, with a lane for each principal, who sees only its own messages.

Leaks and their words come from the stored evidence.  All messages come from models and are printed as text.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

from muses_eval.dashboards.tables.text_table import printable
from muses_eval.dashboards.web.failures import failures_among, failures_of, walks
from muses_eval.dashboards.web.page import NoSuchPageError, Page, PageRequest
from muses_eval.dashboards.web.pages.episodes import exported_episodes
from muses_eval.dashboards.web.store_cache import StoreCache
from muses_eval.dashboards.web.why.access import AccessSection, Leak, access_section
from muses_eval.dashboards.web.why.section import why_section
from muses_eval.pipeline.episode.episode import Episode
from muses_eval.pipeline.episode.principal import AGENT, SYSTEM
from muses_eval.pipeline.episode.score import Score
from muses_eval.pipeline.episode.transcript import Message
from muses_eval.pipeline.errors import MusesError, StoreError
from muses_eval.pipeline.text.reasoning import split_reasoning
from muses_eval.storage.query.find_episode import find_episode
from muses_eval.storage.schema.parquet_schema import SCHEMA, episodes_from_table

MAX_CHARS = 100_000
"""Maximum length of a text on the page; a longer text is truncated, since the browser has to lay it out."""
FOLD_ABOVE_TURNS = 6
"""Maximum number of turns that are all open.  In a longer episode, turns without a leak are closed but for the ends."""
MetricScores = tuple[str, float | None, float | None]
"""(metric, published score, corrected score) of an episode."""


@dataclass(frozen=True, slots=True)
class Lane:
    """The messages of one principal in one turn."""

    name: str
    said: str
    """Message to the agent; empty when there is none."""
    heard: tuple[tuple[tuple[str, ...], str], ...]
    """(other recipients, text) of each message from the agent that did not go to all principals."""
    leaks: tuple[Leak, ...] = ()
    """Leaks to this principal, by messages to it or to all."""

    @property
    def is_silent(self) -> bool:
        """True when the principal and the agent wrote nothing to one another, except for messages to all."""
        return not (self.said or self.heard or self.leaks)

    @property
    def passages(self) -> tuple[str, ...]:
        """The words of the leaks."""
        return tuple(leak.words for leak in self.leaks)


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn: the principals' messages and the agent's reply."""

    number: int
    lanes: tuple[Lane, ...]
    to_all: tuple[str, ...]
    """Messages from the agent to all principals."""
    reasoning: str
    """Reasoning in the reply of the agent's model, which no principal sees."""
    raw: str
    """Unparsed reply of the agent's model."""
    scores: tuple[tuple[str, float], ...]
    """(metric, value) of the published scores up to this round."""
    privacy_drops: tuple[str, ...]
    """Description of each privacy score that dropped in this round."""

    is_folded: bool
    """True when the page shows the turn closed."""

    @property
    def passages(self) -> tuple[str, ...]:
        """The words of the leaks to all principals."""
        return tuple(dict.fromkeys(passage for lane in self.lanes for passage in lane.passages))

    @property
    def speakers(self) -> tuple[str, ...]:
        """The principals with a message of their own."""
        return tuple(lane.name for lane in self.lanes if not lane.is_silent)


def transcript_page(cache: StoreCache, request: PageRequest) -> Page:
    """Returns the transcript of an episode.

    Path parameters: ``run`` and ``episode``, an ID or its beginning.  Query parameter: ``as``, a principal; the page
    then shows only what this principal saw.
    """
    run_id = request.path_params["run"]
    episode = _find(cache, run_id, request.path_params["episode"])
    access = access_section(episode)
    names = _names(episode, access)
    viewer = _viewer(request.query_params.get("as", ""), names)
    failures = (
        failures_of(cache, episode) if request.live else failures_among(exported_episodes(cache, run_id), episode)
    )
    return Page(
        title=f"{episode.model} on {episode.scenario_id}",
        template="transcript.html",
        run_id=run_id,
        values={
            "episode": episode,
            "names": names,
            "viewer": viewer,
            "access": access,
            "briefing": next((_truncated(m.content) for m in episode.messages if m.sender == SYSTEM), ""),
            "turns": turns(episode, access, fold=viewer is None),
            "scores": _episode_scores(episode.scores),
            "why": why_section(episode),
            "events": [replace(event, text=_truncated(event.text)) for event in episode.events],
            "walks": walks(failures, episode),
        },
    )


def prefetch(cache: StoreCache, run_id: str, episode_ids: Sequence[str]) -> None:
    """Reads the episodes in one query, so that their pages, when rendered next, need no query of their own."""
    columns = ", ".join(SCHEMA.names)
    query = f"SELECT {columns} FROM episodes WHERE run_id = $1 AND list_contains($2, episode_id)"  # noqa: S608 - ours
    table = cache.query(lambda connection: connection.execute(query, [run_id, episode_ids]).to_arrow_table(), run_id)
    for episode in episodes_from_table(table):
        cache.get_or_compute(("episode", episode.episode_id), lambda found=episode: found, run_id)  # type: ignore[misc]


@dataclass(frozen=True, slots=True)
class EpisodeColumn:
    """One of two episodes side by side."""

    label: str
    episode: Episode
    access: AccessSection | None
    turns: tuple[Turn, ...]
    scores: tuple[MetricScores, ...]


def side_by_side_page(cache: StoreCache, request: PageRequest) -> Page:
    """Returns two transcripts side by side.

    Path parameters: the runs ``first`` and ``second``, and their episodes ``a`` and ``b``.
    """
    params = request.path_params
    return beside(cache, (params["first"], params["a"]), (params["second"], params["b"]))


def beside(cache: StoreCache, first: tuple[str, str], second: tuple[str, str]) -> Page:
    """Returns the page of two episodes side by side, each given as (run, id or its beginning)."""
    one, other = _find(cache, *first), _find(cache, *second)
    run_id = one.run_id if one.run_id == other.run_id else None
    columns = [
        EpisodeColumn(
            label=each.model if run_id else f"{each.model} ({each.run_id})",
            episode=each,
            access=access_section(each),
            turns=tuple(turns(each, access_section(each))),
            scores=tuple(_episode_scores(each.scores)),
        )
        for each in (one, other)
    ]
    scenarios = " and ".join(dict.fromkeys((one.scenario_id, other.scenario_id)))
    title = f"{scenarios}: {' and '.join(column.label for column in columns)}"
    return Page(title, "side_by_side.html", {"columns": columns, "scenarios": scenarios}, run_id)


def _find(cache: StoreCache, run_id: str, prefix: str) -> Episode:
    def read() -> Episode:
        try:
            return cache.query(lambda connection: find_episode(connection, prefix, run_id), run_id)
        except StoreError:
            raise
        except MusesError as error:
            raise NoSuchPageError(str(error)) from error

    return cache.get_or_compute(("episode", prefix), read, run_id)


def _viewer(chosen: str, names: Sequence[str]) -> str | None:
    """Returns the principal whose name, as the page prints it, is *chosen*; None for all principals.

    Raises:
        NoSuchPageError: the episode has no such principal.
    """
    if not chosen:
        return None
    found = [name for name in names if printable(name) == chosen]
    if not found:
        raise NoSuchPageError(f"the episode has no principal {chosen!r}; its principals: {', '.join(names)}")
    return found[0]


def turns(episode: Episode, access: AccessSection | None = None, *, fold: bool = True) -> list[Turn]:
    """Returns the episode's turns.

    Args:
        episode: the episode.
        access: its evidence, with the leaks to mark.
        fold: whether turns without a leak of a long episode are folded.
    """
    names = _names(episode, access)
    numbers = sorted({message.turn for message in episode.messages if message.sender != SYSTEM})
    found = []
    for number in numbers:
        messages = [message for message in episode.messages if message.turn == number]
        spoken = [m for m in messages if m.sender == AGENT and m.audience]
        raw = [m.content for m in messages if m.sender == AGENT and not m.audience]
        lanes = tuple(
            Lane(
                name=name,
                said="\n".join(_truncated(m.content) for m in messages if m.sender == name),
                heard=tuple(
                    (tuple(other for other in m.audience if other != name), _truncated(m.content))
                    for m in spoken
                    if name in m.audience and not _is_to_all(m, names)
                ),
                leaks=access.leaks_to(name, number) if access else (),
            )
            for name in names
        )
        is_foldable = number not in (numbers[0], numbers[-1]) and fold and len(numbers) > FOLD_ABOVE_TURNS
        found.append(
            Turn(
                number=number,
                lanes=lanes,
                to_all=tuple(_truncated(m.content) for m in spoken if _is_to_all(m, names)),
                reasoning="\n".join(_truncated(split_reasoning(text).reasoning) for text in raw),
                raw="\n".join(map(_truncated, raw)),
                scores=_round_scores(episode.scores, number),
                privacy_drops=_privacy_drops(episode.scores, number),
                is_folded=is_foldable and not any(lane.leaks for lane in lanes),
            )
        )
    return found


def _is_to_all(message: Message, names: Sequence[str]) -> bool:
    return len(names) > 1 and set(message.audience) >= set(names)


def _names(episode: Episode, access: AccessSection | None) -> list[str]:
    """Returns the principals in the order of the scenario, if the evidence has it, else of their first appearance."""
    names = dict.fromkeys(standing.name for standing in access.standings) if access else {}
    for message in episode.messages:
        if message.sender not in (AGENT, SYSTEM):
            names[message.sender] = None
    for message in episode.messages:
        names.update(dict.fromkeys(name for name in message.audience if name != AGENT))
    return list(names)


def _round_scores(scores: Sequence[Score], number: int) -> tuple[tuple[str, float], ...]:
    return tuple((s.metric, s.value) for s in scores if s.round == number and s.scoring == "published")


def _privacy_drops(scores: Sequence[Score], number: int) -> tuple[str, ...]:
    """Describes each privacy score that is lower after this round than before; scores are cumulative and start at 1."""
    values = {(s.scoring, s.metric, s.round): s.value for s in scores if s.round is not None}
    privacy_drops = []
    for (scoring, metric, round_number), value in values.items():
        if round_number == number and metric == "privacy":
            before = values.get((scoring, metric, number - 1), 1.0)
            if value < before:
                privacy_drops.append(f"{scoring} rule: privacy {100 * before:.0f} → {100 * value:.0f}")
    return tuple(privacy_drops)


def _episode_scores(scores: Sequence[Score]) -> list[MetricScores]:
    values = {(s.metric, s.scoring): s.value for s in scores if s.round is None}
    metrics = dict.fromkeys(metric for metric, _ in values)
    return [(metric, values.get((metric, "published")), values.get((metric, "corrected"))) for metric in metrics]


def _truncated(text: str) -> str:
    if len(text) <= MAX_CHARS:
        return text
    return f"{text[:MAX_CHARS]}\n[… {len(text) - MAX_CHARS:,} more characters in the store]"
