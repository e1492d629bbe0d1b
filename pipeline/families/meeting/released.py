"""The meeting family in the released evaluator.

The agent greets the principals before the first round.  A reply is read for JSON objects; those with a target and a
content are messages, and one that says that the goal is achieved ends the episode.  A reply without a message goes to
every principal as it is.
"""

from collections.abc import Iterable, Sequence
from functools import partial

from muses_eval.pipeline.episode.interfaces import Action, Delivery
from muses_eval.pipeline.episode.rules import EpisodeRules
from muses_eval.pipeline.episode.scenario import Input, RowPrompt
from muses_eval.pipeline.episode.serialization import ChatMessage
from muses_eval.pipeline.families.meeting.published_scoring import top_level_objects
from muses_eval.pipeline.text.released_json import FailedRowError

_MAX_ROUNDS = 10
_EVERYBODY = "all"


def released_rules(prompt: RowPrompt, names: Sequence[str], greeting: str) -> EpisodeRules:
    return EpisodeRules(
        system=prompt.system,
        greeting=greeting,
        max_turns=_MAX_ROUNDS,
        ends_in_silence=False,
        render=_render,
        interpret=partial(_interpret, tuple(names)),
    )


def _render(inputs: Iterable[Input]) -> tuple[ChatMessage, ...]:
    lines = [f"[{entry.sender}]: {entry.text}" for entry in inputs]
    return (ChatMessage("user", "\n".join(lines)),) if lines else ()


def _interpret(names: tuple[str, ...], reply: str) -> Action:
    final = readable = False
    heard: dict[object, list[str]] = {name: [] for name in names}
    try:
        objects = top_level_objects(reply)
    except FailedRowError:
        return _FAILED
    for value in objects:
        final |= bool(value.get("goal_achieved"))
        if "target" in value and "content" in value:
            readable = True
            target, content = value["target"], value["content"]
            if isinstance(target, list | dict) or not isinstance(content, str):
                return _FAILED
            for name in names if target == _EVERYBODY else [target]:
                if name in heard:
                    heard[name].append(content)
    if readable:
        deliveries = tuple(Delivery((name,), " ".join(heard[name])) for name in names if heard[name])
        return Action(deliveries, final=final)
    return Action(() if final else (Delivery(names, reply),), final=final, readable=final)


_FAILED = Action(final=True, readable=False)
"""The released code fails on the scenario."""
