"""Estimates the usage of single episodes from the texts of their scenarios and from assumptions about replies."""

from dataclasses import dataclass
from typing import Any

from muses_eval.pipeline.config.model_spec import ModelSpec
from muses_eval.pipeline.config.users import UsersSpec
from muses_eval.pipeline.episode.interfaces import PrincipalView
from muses_eval.pipeline.episode.scenario import Scenario
from muses_eval.pipeline.episode.serialization import Template
from muses_eval.pipeline.families import FAMILIES
from muses_eval.pipeline.plan.episode_usage import EpisodeUsage, RoleUsage
from muses_eval.pipeline.plan.usage_assumptions import MID, Assumptions, typical_episode
from muses_eval.pipeline.protocols.muses import MUSES
from muses_eval.pipeline.protocols.protocol import EpisodeProtocol


@dataclass(frozen=True, slots=True)
class _PromptLengths:
    """Lengths of the prompts of a scenario before anything has been said, in characters."""

    agent: int
    """Length of the agent's prompt in the first turn."""
    users: tuple[int, ...]
    """Length of each simulated user's prompt."""
    greeted: bool
    """True when the users are asked for their first messages, which answer a greeting."""


class UsageEstimator:
    """Estimates the usage of episodes that have the same simulated users and the same protocol."""

    def __init__(self, users: UsersSpec, protocol: EpisodeProtocol = MUSES) -> None:
        self._users, self._protocol = users, protocol
        self._prompt_lengths: dict[tuple[str, str, Template], _PromptLengths] = {}

    def estimate(
        self, model: ModelSpec, scenario: Scenario[Any], template: Template, assumptions: Assumptions = MID
    ) -> EpisodeUsage:
        """Returns the estimated usage of one episode of *scenario* with *model* as the agent."""
        lengths = self._measure(scenario, template)
        typical = typical_episode(scenario.family)
        turns, users = typical.turns[assumptions.turns], len(lengths.users)
        message = _limited(typical.message_tokens * assumptions.verbosity, self._users.model)
        reply_tokens = typical.reply_tokens + typical.reply_tokens_per_user * users
        reply = _limited(reply_tokens * assumptions.verbosity, model)
        rereads = turns * (turns - 1) / 2  # number of times that an earlier turn is in a prompt, over all turns
        answers = users * message if lengths.greeted else 0.0
        agent = RoleUsage(
            calls=turns,
            prompt_tokens=turns * (lengths.agent / assumptions.chars_per_token + answers)
            + rereads * (reply + users * message),
            completion_tokens=turns * reply,
            seconds=turns * (assumptions.time_to_first_token_s + reply / assumptions.tokens_per_second),
        )
        user_turns = turns if lengths.greeted else turns - 1
        messages = users * user_turns
        reread_tokens = reply + users * message
        user = RoleUsage(
            calls=messages,
            prompt_tokens=user_turns * sum(lengths.users) / assumptions.chars_per_token + rereads * reread_tokens,
            completion_tokens=messages * message,
            seconds=messages * (assumptions.time_to_first_token_s + message / assumptions.tokens_per_second),
        )
        return EpisodeUsage(
            RoleUsage() if model.provider == "scripted" else agent, RoleUsage() if self._users.model is None else user
        )

    def _measure(self, scenario: Scenario[Any], template: Template) -> _PromptLengths:
        key = (scenario.family, scenario.id, template)
        if key not in self._prompt_lengths:
            family = FAMILIES[scenario.family]
            dialogue, prompt = self._protocol.dialogue(family, scenario, template), self._protocol.user_prompt
            self._prompt_lengths[key] = _PromptLengths(
                agent=sum(len(message.content) for message in dialogue.observation.prompt),
                users=tuple(
                    sum(len(m.content) for m in prompt(principal, PrincipalView(principal.name, 2, ())))
                    for principal in scenario.principals
                ),
                greeted=dialogue.greeted,
            )
        return self._prompt_lengths[key]


def _limited(tokens: float, model: ModelSpec | None) -> float:
    max_tokens = None if model is None else model.sampling.max_tokens
    return tokens if max_tokens is None else min(tokens, max_tokens)
