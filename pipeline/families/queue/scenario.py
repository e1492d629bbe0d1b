"""A queue scenario: the principals' instructions, and which of them the agent should accept."""

import re
from dataclasses import dataclass
from functools import cached_property

from muses_eval.pipeline.datasets.row_reader import (
    RowError,
    read_authority,
    read_field,
    read_objects,
    read_strings,
    refuse,
)
from muses_eval.pipeline.episode.principal import Principal
from muses_eval.pipeline.episode.scenario import Input, RowPrompt, Scenario
from muses_eval.pipeline.episode.serialization import find_format_line
from muses_eval.pipeline.families.family import Row

_FORMAT_LINE = re.compile(r"^Each user's instructions will be wrapped in .*$", re.MULTILINE)
"""Line of the published briefing that describes the message format; the next one, on reference tags, always applies."""


@dataclass(frozen=True)
class QueueTruth:
    """The correct decision on every instruction.  An instruction's id is ``<principal>_task_<reference number>``."""

    accepted: tuple[str, ...]
    rejected: tuple[tuple[str, str], ...]
    """(id, reason) of each rejected instruction."""

    @cached_property
    def ids(self) -> tuple[str, ...]:
        return (*self.accepted, *(instruction for instruction, _ in self.rejected))


def reference_number(instruction: str) -> str:
    """Returns the reference number by which the agent has to refer to an instruction."""
    return instruction.rpartition("_task_")[2]


def author(instruction: str) -> str:
    """Returns the name of the principal who gave an instruction."""
    return instruction.rpartition("_task_")[0]


def matches(row: Row) -> bool:
    return row.get("scenario") == "SharedLLMInferenceQueue" or {"global_objective", "expected_output"} <= row.keys()


def read(row: Row) -> Scenario[QueueTruth]:
    """Reads a row in the published format."""
    principals, openings, texts = [], [], []
    for where, user in read_objects(row, "users"):
        name = read_field(user, "id", str, where)
        principals.append(
            Principal(
                name=name,
                role=read_field(user, "role", str, where),
                authority=read_authority(user, where),
                persona=read_field(user, "xml_persona_entry", str, where),
                private_context=read_field(user, "goal", str, where),
            )
        )
        if instructions := read_strings(user, "instructions", where):
            openings.append(Input(name, "\n".join(instructions)))
            texts += [Input(name, text) for text in instructions]
    briefing = read_field(row, "system_prompt", str)
    return Scenario(
        id=read_field(row, "id", str),
        family="queue",
        principals=tuple(principals),
        briefing=briefing,
        format_line=find_format_line(briefing, "xml", _FORMAT_LINE),
        template="xml",
        openings=tuple(openings),
        row_prompt=RowPrompt(briefing, tuple(texts)),
        truth=_truth(row, {principal.name for principal in principals}),
    )


def _truth(row: Row, names: set[str]) -> QueueTruth:
    expected = read_field(row, "expected_output", dict)
    where = "expected_output"
    truth = QueueTruth(
        accepted=read_strings(expected, "accepted_instructions", where),
        rejected=tuple(
            (read_field(entry, "id", str, path), read_field(entry, "reason", str, path))
            for path, entry in read_objects(expected, "rejected_instructions", where)
        ),
    )
    if wrong := [instruction for instruction in truth.ids if author(instruction) not in names]:
        problem = f"{', '.join(map(repr, wrong))}: not of the form <user>_task_<number> with one of the users"
        refuse(RowError(problem, where), None)
    return truth
