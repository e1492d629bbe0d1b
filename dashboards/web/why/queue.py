"""The section of a queue episode: the decision as a table, an instruction a row."""

from muses_eval.dashboards.web.why.checks import ChecksSection, checks_section
from muses_eval.pipeline.episode.episode import Episode
from muses_eval.pipeline.families.queue.evidence import NO_DECISION


def queue_section(episode: Episode) -> ChecksSection | None:
    """Returns the section; None for an episode without evidence."""
    return checks_section("why_queue.html", episode.evidence, NO_DECISION) if episode.evidence else None
