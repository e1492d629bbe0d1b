"""Explains the scores of an episode to people: what was right and wrong, by which rule.

Each family explains in the form of its scoring: leaks and receivers in access, decisions in queue, constraints in
instruct, the announced slot in meeting.  Families of installed packages have no explanation.
"""

from typing import Any

from muses_eval.pipeline.episode.scenario import Scenario
from muses_eval.pipeline.episode.transcript import Transcript
from muses_eval.pipeline.families.access import explanation as access
from muses_eval.pipeline.families.access.scenario import AccessTruth
from muses_eval.pipeline.families.instruct import explanation as instruct
from muses_eval.pipeline.families.instruct.scenario import InstructTruth
from muses_eval.pipeline.families.meeting import explanation as meeting
from muses_eval.pipeline.families.meeting.scenario import MeetingTruth
from muses_eval.pipeline.families.queue import explanation as queue
from muses_eval.pipeline.families.queue.scenario import QueueTruth


def explain(scenario: Scenario[Any], transcript: Transcript) -> tuple[str, ...]:
    """Returns one line per fact; empty for a family of an installed package."""
    match scenario.truth:
        case AccessTruth():
            return tuple(access.explain(scenario, transcript))
        case QueueTruth():
            return tuple(queue.explain(scenario, transcript))
        case InstructTruth():
            return tuple(instruct.explain(scenario, transcript))
        case MeetingTruth():
            return tuple(meeting.explain(scenario, transcript))
        case _:
            return ()
