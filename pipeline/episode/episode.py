"""One scenario played once by one model: the unit of scoring, and one row of the store."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

from muses_eval.pipeline.episode.model_call import Call
from muses_eval.pipeline.episode.score import Score
from muses_eval.pipeline.episode.transcript import Message
from muses_eval.pipeline.errors import FailureKind

Outcome = Literal["scored", "infra_failed", "simulator_failed", "budget_stopped"]
"""``scored``: only these have scores.  ``infra_failed``: the agent's model gave no answer.  ``simulator_failed``: a
simulated user's model gave none, which is never the agent's fault.  ``budget_stopped``: not played to its end because
the run's budget was reached."""
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """Everything that is kept of an episode."""

    episode_id: str
    run_id: str
    model: str
    """The name on the leaderboard."""
    provider: str
    provider_model: str
    family: str
    scenario_id: str
    dataset: str
    dataset_version: str
    template: str
    mode: str | None
    attack: str | None
    disclosure: str | None
    difficulty: str | None
    num_users: int
    users: str
    """Name of the simulated users."""
    sampling: str
    """The agent's sampling options as JSON."""
    epoch: int
    shard: int
    attempt: int
    """1-based: how many times the shard has been started."""
    outcome: Outcome
    error_kind: FailureKind | None
    error: str | None
    flags: tuple[str, ...]
    """What a reader should know: unparsed, length, content_filter, context_overflow (all of the agent's own doing),
    credential_masked (something in a text looked like a key and was replaced before it was stored), and reused (played
    in an earlier night and taken over)."""
    scorer_version: int
    """:attr:`muses_eval.pipeline.families.family.Family.scorer_version` of the scores."""
    turns: int
    started_at: datetime
    """UTC."""
    seconds: float
    prompt_tokens: int | None
    """Sum over all calls; None when a call did not report its tokens, 0 when no call was made."""
    completion_tokens: int | None
    cost_usd: float | None
    """None when it is not known; 0 for models that cost nothing."""
    scores: tuple[Score, ...]
    messages: tuple[Message, ...]
    calls: tuple[Call, ...]
