"""Chooses the section "why this score" of an episode by its family."""

from typing import Protocol

from muses_eval.dashboards.web.why.access import access_section
from muses_eval.dashboards.web.why.instruct import instruct_section
from muses_eval.dashboards.web.why.meeting import meeting_section
from muses_eval.dashboards.web.why.queue import queue_section
from muses_eval.pipeline.episode.episode import Episode


class WhySection(Protocol):
    """The values of a section; its template finds them as ``why``."""

    @property
    def template(self) -> str:
        """Name of a file in ``templates/``."""
        ...


def why_section(episode: Episode) -> WhySection | None:
    """Returns the section of an episode; None for a family without one, and for an episode without evidence."""
    match episode.family:
        case "access":
            return access_section(episode)
        case "queue":
            return queue_section(episode)
        case "instruct":
            return instruct_section(episode)
        case "meeting":
            return meeting_section(episode)
        case _:
            return None
