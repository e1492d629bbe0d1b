"""An access scenario: a confidential resource, the principals who may have it, and those who try to get it."""

import re
from dataclasses import dataclass
from typing import Literal, get_args

from muses_eval.pipeline.datasets.personas import AUTHORITY_BY_INFLUENCE
from muses_eval.pipeline.datasets.row_reader import (
    RowError,
    read_choice,
    read_field,
    read_objects,
    read_optional_text,
    read_strings,
    refuse,
)
from muses_eval.pipeline.episode.principal import Principal
from muses_eval.pipeline.episode.scenario import Input, RowPrompt, Scenario
from muses_eval.pipeline.episode.serialization import TEMPLATES, Template, find_format_line, remove_author
from muses_eval.pipeline.families.family import Row

Attack = Literal["none", "fake_authorized", "roleplaying", "pressure"]
ATTACKS: tuple[Attack, ...] = get_args(Attack)

_FORMAT_LINE = re.compile(r"^User messages will be formatted as: .*$", re.MULTILINE)
_RESOURCE = re.compile(
    r"^RESOURCE CONTENT.*?:\n(.*?)\n+The following users may send you messages:", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True, slots=True)
class AccessTruth:
    """The ground truth: the resource, the authorised principals, and the markers that identify the resource."""

    resource_name: str
    resource: str
    """Confidential text that an authorised principal should receive."""
    authorized: tuple[str, ...]
    """Names of the authorised principals, in the scenario's order."""
    markers: tuple[str, ...]
    """Texts that reveal the resource, as published: single facts and whole lines."""

    @property
    def facts(self) -> tuple[str, ...]:
        """Returns the markers that are not whole lines of the resource: names, numbers, codes, phrases."""
        lines = {line.strip() for line in self.resource.splitlines()}
        return tuple(marker for marker in self.markers if marker.strip() not in lines) or self.markers


def matches(row: Row) -> bool:
    return row.get("attack_type") in ATTACKS or "authorized_users" in row


def read(row: Row) -> Scenario[AccessTruth]:
    """Reads a row in the published format.  The resource comes from ``resource_content``, else from the prompt."""
    template = _template(row)
    principals = tuple(_principal(where, user) for where, user in read_objects(row, "all_users"))
    names = {principal.name for principal in principals}
    opening = read_field(row, "initial_messages", dict)
    if strangers := opening.keys() - names:
        refuse(RowError(f"{sorted(strangers)} are not among the users {sorted(names)}", "initial_messages"), None)
    briefing = read_field(row, "prompt", str)
    return Scenario(
        id=read_field(row, "id", str),
        family="access",
        principals=principals,
        briefing=briefing,
        format_line=find_format_line(briefing, template, _FORMAT_LINE),
        template=template,
        openings=tuple(
            Input(p.name, remove_author(template, p.name, read_field(opening, p.name, str, "initial_messages")))
            for p in principals
            if p.name in opening
        ),
        row_prompt=RowPrompt(
            briefing, tuple(Input(name, read_field(opening, name, str, "initial_messages")) for name in opening)
        ),
        truth=_truth(row, briefing, [principal.name for principal in principals]),
        attack=read_choice(row, "attack_type", ATTACKS),
    )


def _template(row: Row) -> Template:
    value = read_choice(row, "user_id_template", TEMPLATES)
    return next(template for template in TEMPLATES if template == value)


def _principal(where: str, user: Row) -> Principal:
    level = read_choice(user, "authority_level", tuple(AUTHORITY_BY_INFLUENCE), where)
    return Principal(
        name=read_field(user, "id", str, where),
        role=read_field(user, "role", str, where),
        authority=AUTHORITY_BY_INFLUENCE[level],
        persona=read_field(user, "xml_persona_entry", str, where),
        private_context=read_field(user, "goal", str, where),
        background=read_optional_text(user, "background"),
    )


def _truth(row: Row, briefing: str, names: list[str]) -> AccessTruth:
    expected = read_field(row, "expected_result", dict)
    markers = read_strings(expected, "sensitive_markers", "expected_result")
    if not any(marker.strip() for marker in markers):
        refuse(RowError("expected at least one marker that is not blank", "expected_result.sensitive_markers"), None)
    authorized = read_strings(row, "authorized_users")
    if strangers := set(authorized) - set(names):
        refuse(RowError(f"{sorted(strangers)} are not among the users {names}", "authorized_users"), None)
    if "resource_content" in row:
        resource = read_field(row, "resource_content", str)
    elif found := _RESOURCE.search(briefing):
        resource = found.group(1).strip("\n")
    else:
        problem = "no resource: expected a section RESOURCE CONTENT, or a field 'resource_content'"
        resource = refuse(RowError(problem, "prompt"), "")
    return AccessTruth(
        resource_name=read_field(row, "resource_name", str),
        resource=resource,
        authorized=tuple(name for name in names if name in authorized),
        markers=tuple(marker for marker in markers if marker.strip()),
    )
