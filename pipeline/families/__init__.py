"""The families of the benchmark, in the order of the leaderboard's columns."""

from collections.abc import Mapping
from typing import Any

from muses_eval.pipeline.families.access.family import AccessFamily
from muses_eval.pipeline.families.family import Family
from muses_eval.pipeline.families.instruct.family import InstructFamily
from muses_eval.pipeline.families.meeting.family import MeetingFamily
from muses_eval.pipeline.families.queue.family import QueueFamily

_ALL: tuple[Family[Any], ...] = (QueueFamily(), InstructFamily(), AccessFamily(), MeetingFamily())
FAMILIES: Mapping[str, Family[Any]] = {family.name: family for family in _ALL}
