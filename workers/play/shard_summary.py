"""The summary of a shard, which a worker returns to the driver instead of the traces."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from muses_eval.pipeline.episode.call_usage import sum_or_none
from muses_eval.pipeline.episode.episode import Episode, Outcome
from muses_eval.pipeline.errors import FailureKind
from muses_eval.storage.objects.object_keys import ShardKey


@dataclass(frozen=True, slots=True)
class ShardSummary:
    """Counts over a shard's episodes."""

    key: str
    outcomes: Mapping[Outcome, int]
    problems: Mapping[tuple[FailureKind, str], int]
    """Number of failures, by their kind and text."""
    cost_usd: float | None
    """None when the cost of an episode is unknown."""
    flags: Mapping[str, int] = field(default_factory=dict)
    """Number of episodes with each flag."""

    @classmethod
    def of(cls, key: ShardKey, episodes: Sequence[Episode]) -> "ShardSummary":
        return cls(
            key=str(key),
            outcomes=Counter(episode.outcome for episode in episodes),
            problems=Counter((e.error_kind, e.error or "") for e in episodes if e.error_kind is not None),
            cost_usd=sum_or_none(episode.cost_usd for episode in episodes),
            flags=Counter(flag for episode in episodes for flag in episode.flags),
        )
