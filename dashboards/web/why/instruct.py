"""The section of an instruct episode: the constraints of the scored users, and what each answer has instead."""

from muses_eval.dashboards.web.why.checks import ChecksSection, checks_section
from muses_eval.pipeline.episode.episode import Episode
from muses_eval.pipeline.families.instruct.evidence import NO_ANSWERS


def instruct_section(episode: Episode) -> ChecksSection | None:
    """Returns the section; None for an episode without evidence."""
    return checks_section("why_instruct.html", episode.evidence, NO_ANSWERS) if episode.evidence else None
