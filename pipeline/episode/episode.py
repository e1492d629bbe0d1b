"""The record of one episode: one scenario, played once by one model.  It is one row of the store."""

from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

from muses_eval.pipeline.agents.agent_spec import FactsLevel
from muses_eval.pipeline.episode.event import Event
from muses_eval.pipeline.episode.evidence import Evidence
from muses_eval.pipeline.episode.model_call import Call
from muses_eval.pipeline.episode.score import Score
from muses_eval.pipeline.episode.transcript import Message
from muses_eval.pipeline.episode.unusable_replies import UnusableReplies
from muses_eval.pipeline.errors import FailureKind
from muses_eval.pipeline.protocols import ProtocolName

Outcome = Literal["scored", "infra_failed", "simulator_failed", "budget_stopped"]
"""``scored``: the only outcome with scores.  ``infra_failed``: the agent's model returned no reply.
``simulator_failed``: the model of a simulated user returned no reply, which never counts against the agent.
``budget_stopped``: the episode was not finished because the run's budget was reached."""
OUTCOMES: tuple[Outcome, ...] = get_args(Outcome)


@dataclass(frozen=True, slots=True, kw_only=True)
class Episode:
    """Everything that is stored about an episode."""

    episode_id: str
    run_id: str
    model: str
    """Name on the leaderboard: the model's name, and for an agent `<model> + <agent>`."""
    base_model: str
    """Name of the model alone."""
    agent: str = "chat"
    """Name of the agent; ``chat`` for the model alone."""
    facts: FactsLevel = "prose"
    """Facts that the agent receives."""
    provider: str
    provider_model: str
    family: str
    scenario_id: str
    dataset: str
    dataset_version: str
    protocol: ProtocolName = "muses"
    template: str
    mode: str | None
    attack: str | None
    disclosure: str | None
    difficulty: str | None
    num_users: int
    users: str
    """Name of the simulated users."""
    sampling: str
    """Sampling options of the agent as JSON."""
    epoch: int
    shard: int
    attempt: int
    """1-based number of the attempt to play the shard."""
    outcome: Outcome
    error_kind: FailureKind | None
    error: str | None
    flags: tuple[str, ...]
    """Remarks for the reader: unparsed, empty, length, content_filter and context_overflow, which the agent causes
    itself, in any of its replies;
    agent_error, when the agent failed in a turn, and agent_blocked, when it blocked the event loop of its worker;
    credential_masked, when a text that looked like a key was replaced before it was stored; and reused, when the
    episode was played on an earlier night."""
    scorer_version: int
    """Version of the scorer (:attr:`muses_eval.pipeline.families.family.Family.scorer_version`)."""
    turns: int
    started_at: datetime
    """Start of the episode in UTC."""
    seconds: float
    prompt_tokens: int | None
    """Sum over all calls; None when a call did not report its tokens, 0 when there was no call."""
    completion_tokens: int | None
    cost_usd: float | None
    """Cost of all calls; None when it is unknown, 0 for free models."""
    scores: tuple[Score, ...]
    messages: tuple[Message, ...]
    calls: tuple[Call, ...]
    events: tuple[Event, ...] = ()
    unusable: UnusableReplies | None = None
    """Number of unusable replies by kind; None in rows of older versions."""
    evidence: tuple[Evidence, ...] | None = None
    """The checks behind the scores; empty without scores, None when they were not computed (rows of older versions)."""
