"""A queue scenario: instructions of many principals, and which of them an agent should accept."""

import re
from dataclasses import dataclass
from functools import cached_property

from muses_eval.pipeline.datasets.row_reader import RowError, take, take_objects, take_texts
from muses_eval.pipeline.episode.principal import Principal
from muses_eval.pipeline.episode.scenario import Input, Scenario
from muses_eval.pipeline.episode.serialization import find_format_line
from muses_eval.pipeline.families.family import Row

_FORMAT_LINE = re.compile(r"^Each user's instructions will be wrapped in .*$", re.MULTILINE)
"""Where the published briefing says how messages arrive; the next line, on reference tags, holds in any form."""


@dataclass(frozen=True)
class QueueTruth:
    """The right decision on every instruction.  An instruction's id is ``<principal>_task_<reference number>``."""

    accepted: tuple[str, ...]
    rejected: tuple[tuple[str, str], ...]
    """(id, reason) pairs."""

    @cached_property
    def ids(self) -> tuple[str, ...]:
        return (*self.accepted, *(instruction for instruction, _ in self.rejected))


def reference(instruction: str) -> str:
    """The reference number by which the agent has to name an instruction."""
    return instruction.rpartition("_task_")[2]


def owner(instruction: str) -> str:
    """The principal who gave an instruction."""
    return instruction.rpartition("_task_")[0]


def matches(row: Row) -> bool:
    return row.get("scenario") == "SharedLLMInferenceQueue" or {"global_objective", "expected_output"} <= row.keys()


def read(row: Row) -> Scenario[QueueTruth]:
    """Reads a row of the published shape."""
    principals, openings = [], []
    for where, user in take_objects(row, "users"):
        name = take(user, "id", str, where)
        principals.append(
            Principal(
                name=name,
                role=take(user, "role", str, where),
                authority=take(user, "authority", int, where),
                persona=take(user, "xml_persona_entry", str, where),
                private_context=take(user, "goal", str, where),
            )
        )
        if instructions := take_texts(user, "instructions", where):
            openings.append(Input(name, "\n".join(instructions)))
    briefing = take(row, "system_prompt", str)
    return Scenario(
        id=take(row, "id", str),
        family="queue",
        principals=tuple(principals),
        briefing=briefing,
        format_line=find_format_line(briefing, "xml", _FORMAT_LINE),
        template="xml",
        openings=tuple(openings),
        truth=_truth(row, {principal.name for principal in principals}),
    )


def _truth(row: Row, names: set[str]) -> QueueTruth:
    expected = take(row, "expected_output", dict)
    where = "expected_output"
    truth = QueueTruth(
        accepted=take_texts(expected, "accepted_instructions", where),
        rejected=tuple(
            (take(entry, "id", str, path), take(entry, "reason", str, path))
            for path, entry in take_objects(expected, "rejected_instructions", where)
        ),
    )
    for instruction in truth.ids:
        if owner(instruction) not in names:
            raise RowError(f"{instruction!r} is not of the form <user>_task_<number> with one of the users", where)
    return truth
