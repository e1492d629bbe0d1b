"""The benchmark's kinds of scenario, in the order of the leaderboard's columns."""

from collections.abc import Mapping
from typing import Any

from pipeline.families.access.family import AccessFamily
from pipeline.families.base import Family
from pipeline.families.instruct.family import InstructFamily
from pipeline.families.meeting.family import MeetingFamily
from pipeline.families.queue.family import QueueFamily

_ALL: tuple[Family[Any], ...] = (QueueFamily(), InstructFamily(), AccessFamily(), MeetingFamily())
FAMILIES: Mapping[str, Family[Any]] = {family.name: family for family in _ALL}
