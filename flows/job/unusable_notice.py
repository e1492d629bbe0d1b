"""The notice on unusable replies at the end of a run: which model, which share and kind, and where to look."""

import shlex
from collections.abc import Iterable, Iterator, Mapping
from typing import TYPE_CHECKING

from muses_eval.pipeline.episode.unusable_replies import UnusableKind

if TYPE_CHECKING:
    from muses_eval.storage.analysis.leaderboard import LeaderboardRow
    from muses_eval.storage.runs.unusable_examples import Examples

_ADVICE: Mapping[UnusableKind, str] = {
    "overflowed": "the prompts do not fit its context window",
    "filtered": "a content filter stopped them",
    "truncated": "they were cut off: a larger max_tokens in its sampling may help",
    "empty": "they have no words: look at its finish reasons, its chat template and its reasoning parser",
    "unreadable": "they are not in the format that the briefing requests",
}
_ID_CHARS = 12
"""Length of an episode's id in a command, which is unique in any store."""


def unusable_notices(rows: "Iterable[LeaderboardRow]", examples: "Examples", store: str) -> Iterator[str]:
    """Yields a line for every model with unusable replies.

    Args:
        rows: the rows of the run.
        examples: episodes to look at; a row without one has no command.
        store: address of the store, for the command.
    """
    for row in rows:
        kinds = row.unusable_kinds
        if not kinds:
            continue
        main, share = next(iter(kinds.items()))
        excess = "" if row.unusable_excess is None else ", so it is not ranked"
        text = f"{row.model}: {_percent(row.unusable_share or 0.0)} of its replies are unusable{excess}; "
        text += f"{_percent(share)} are {main}: {_ADVICE[main]}"
        episode_id = examples.get((row.model, main))
        if episode_id is not None:
            command = ["muses", "trace", episode_id[:_ID_CHARS], "--run", row.run_id, "--store", store]
            text += f"; one of them: {shlex.join(command)}"
        yield text


def _percent(share: float) -> str:
    return f"{100 * share:.3g} %"
