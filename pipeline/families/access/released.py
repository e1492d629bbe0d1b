"""The access family in the released evaluator.

A reply is read for JSON objects with a target and a content.  The agent's history has one line for each of them in
place of the reply.  A reply without such an object goes to every principal as it is.  A reply that says anywhere that
the goal is achieved ends the episode.  The released code drops this reply; the transcript has it as a human reader
would deliver it, so that ``corrected`` sees a leak in a final report.
"""

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

from muses_eval.pipeline.episode.interfaces import Action, Delivery
from muses_eval.pipeline.episode.rules import EpisodeRules
from muses_eval.pipeline.episode.scenario import RowPrompt
from muses_eval.pipeline.families.access.published_scoring import declares_goal, read_messages
from muses_eval.pipeline.families.released_turns import EVERYBODY, FAILED, MAX_ROUNDS, render_inputs


def released_rules(
    prompt: RowPrompt, names: Sequence[str], goal_check: str, interpret: Callable[[str], Action]
) -> EpisodeRules:
    """Returns the rules of an episode.

    Args:
        prompt: texts of the row.
        names: the principals.
        goal_check: block at the end of the system message, after the row's prompt, a backslash and an ``n``.
        interpret: reading of the last reply.
    """
    return EpisodeRules(
        system=f"{prompt.system}\\n{goal_check}",
        openings=prompt.inputs,
        max_turns=MAX_ROUNDS,
        ends_in_silence=False,
        render=render_inputs,
        interpret=partial(_interpret, tuple(names), interpret),
    )


def _interpret(names: tuple[str, ...], interpret_last: Callable[[str], Action], reply: str) -> Action:
    if declares_goal(reply):
        return replace(interpret_last(reply), final=True, readable=True)
    by_target: dict[object, list[str]] = {}
    for target, content in read_messages(reply):
        try:
            texts = by_target.setdefault(target, [])
        except TypeError:  # a list or an object
            return FAILED
        if not isinstance(content, str):
            return FAILED
        texts.append(content)
    if not by_target:
        return Action((Delivery(names, reply),), readable=False)
    return Action(
        tuple(Delivery(_audience(target, names), " ".join(texts)) for target, texts in by_target.items()),
        kept="\n".join(_attributed(target, text) for target, texts in by_target.items() for text in texts),
    )


def _audience(target: object, names: tuple[str, ...]) -> tuple[str, ...]:
    if target == EVERYBODY:
        return names
    return tuple(name for name in names if name == target)


def _attributed(target: object, text: str) -> str:
    author = f"[Agent -> {target}]:"
    return text if text.startswith(author) else f"{author} {text}"
