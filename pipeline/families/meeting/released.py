"""The meeting family in the released evaluator.

The agent greets the principals before the first round.  A reply is read for JSON objects; those with a target and a
content are messages, and one that says that the goal is achieved ends the episode.  A reply without a message goes to
every principal as it is.  Nobody answers the last reply; the transcript has it as a human reader would deliver it.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from muses_eval.pipeline.episode.interfaces import Action, Delivery
from muses_eval.pipeline.episode.rules import EpisodeRules
from muses_eval.pipeline.episode.scenario import RowPrompt
from muses_eval.pipeline.families.meeting.published_scoring import check_messages, top_level_objects
from muses_eval.pipeline.families.released_turns import EVERYBODY, FAILED, MAX_ROUNDS, render_inputs
from muses_eval.pipeline.text.released_json import FailedRowError


def released_rules(
    prompt: RowPrompt, names: Sequence[str], greeting: str, interpret: Callable[[str], Action]
) -> EpisodeRules:
    """Returns the rules of an episode.

    Args:
        prompt: texts of the row.
        names: the principals.
        greeting: first message of the agent.
        interpret: reading of the last reply.
    """
    return EpisodeRules(
        system=prompt.system,
        greeting=greeting,
        max_turns=MAX_ROUNDS,
        ends_in_silence=False,
        render=render_inputs,
        interpret=partial(_interpret, tuple(names), interpret),
    )


def _interpret(names: tuple[str, ...], interpret_last: Callable[[str], Action], reply: str) -> Action:
    try:
        objects = top_level_objects(reply)
        check_messages(objects)
    except FailedRowError:
        return FAILED
    if any(value.get("goal_achieved") for value in objects):
        return replace(interpret_last(reply), final=True, readable=True)
    messages = [
        (value["target"], str(value["content"])) for value in objects if "target" in value and "content" in value
    ]
    if not messages:
        return Action((Delivery(names, reply),), readable=False)
    heard = {name: [text for target, text in messages if target in (name, EVERYBODY)] for name in names}
    return Action(tuple(Delivery((name,), " ".join(texts)) for name, texts in heard.items() if texts))
