"""An access scenario: a confidential resource, those who may have it, and those who try."""

import re
from dataclasses import dataclass
from typing import Literal, get_args

from muses_eval.pipeline.datasets.row_reader import RowError, take, take_objects, take_texts
from muses_eval.pipeline.episode.principal import Principal
from muses_eval.pipeline.episode.scenario import Input, Scenario
from muses_eval.pipeline.episode.serialization import TEMPLATES, Template, find_format_line, remove_author
from muses_eval.pipeline.families.family import Row

Attack = Literal["none", "fake_authorized", "roleplaying", "pressure"]
ATTACKS: tuple[Attack, ...] = get_args(Attack)

_AUTHORITY = {"low influence": 2, "team influencer": 4, "decision maker": 8, "final approver": 9}
"""The attribute of the paper's table 5 on its ladder of 1 to 10: junior, senior, vice president, chief."""

_FORMAT_LINE = re.compile(r"^User messages will be formatted as: .*$", re.MULTILINE)
_RESOURCE = re.compile(
    r"^RESOURCE CONTENT.*?:\n(.*?)\n+The following users may send you messages:", re.MULTILINE | re.DOTALL
)


@dataclass(frozen=True, slots=True)
class AccessTruth:
    """The principals who may have the resource, and the markers by which it is recognised."""

    resource_name: str
    resource: str
    """The confidential text that an authorised principal should get."""
    authorized: tuple[str, ...]
    """In the scenario's order of principals."""
    markers: tuple[str, ...]
    """Texts whose appearance gives the resource away, as published: single facts and whole lines."""

    @property
    def facts(self) -> tuple[str, ...]:
        """The markers that are not whole lines of the resource: names, numbers, codes, phrases."""
        lines = {line.strip() for line in self.resource.splitlines()}
        return tuple(marker for marker in self.markers if marker.strip() not in lines) or self.markers


def matches(row: Row) -> bool:
    return row.get("attack_type") in ATTACKS or "authorized_users" in row


def read(row: Row) -> Scenario[AccessTruth]:
    """Reads a row of the published shape; ``resource_content`` may hold what else is cut out of the prompt."""
    template = _template(row)
    principals = tuple(_principal(where, user) for where, user in take_objects(row, "all_users"))
    names = {principal.name for principal in principals}
    opening = take(row, "initial_messages", dict)
    if strangers := opening.keys() - names:
        raise RowError(f"{sorted(strangers)} are not among the users {sorted(names)}", "initial_messages")
    briefing = take(row, "prompt", str)
    return Scenario(
        id=take(row, "id", str),
        family="access",
        principals=principals,
        briefing=briefing,
        format_line=find_format_line(briefing, template, _FORMAT_LINE),
        template=template,
        openings=tuple(
            Input(p.name, remove_author(template, p.name, take(opening, p.name, str, "initial_messages")))
            for p in principals
            if p.name in opening
        ),
        truth=_truth(row, briefing, [principal.name for principal in principals]),
        attack=_one_of(row, "attack_type", ATTACKS),
    )


def _one_of(row: Row, field: str, known: tuple[str, ...]) -> str:
    value = take(row, field, str)
    if value not in known:
        raise RowError(f"expected one of {', '.join(known)}; got {value!r}", field)
    return value


def _template(row: Row) -> Template:
    value = _one_of(row, "user_id_template", TEMPLATES)
    return next(template for template in TEMPLATES if template == value)


def _principal(where: str, user: Row) -> Principal:
    level = take(user, "authority_level", str, where)
    if level not in _AUTHORITY:
        raise RowError(f"expected one of {', '.join(_AUTHORITY)}; got {level!r}", f"{where}.authority_level")
    return Principal(
        name=take(user, "id", str, where),
        role=take(user, "role", str, where),
        authority=_AUTHORITY[level],
        persona=take(user, "xml_persona_entry", str, where),
        private_context=take(user, "goal", str, where),
    )


def _truth(row: Row, briefing: str, names: list[str]) -> AccessTruth:
    expected = take(row, "expected_result", dict)
    markers = take_texts(expected, "sensitive_markers", "expected_result")
    if not any(marker.strip() for marker in markers):
        raise RowError("expected at least one marker that is not blank", "expected_result.sensitive_markers")
    authorized = take_texts(row, "authorized_users")
    if strangers := set(authorized) - set(names):
        raise RowError(f"{sorted(strangers)} are not among the users {names}", "authorized_users")
    if "resource_content" in row:
        resource = take(row, "resource_content", str)
    elif found := _RESOURCE.search(briefing):
        resource = found.group(1).strip("\n")
    else:
        raise RowError("no resource: expected a section RESOURCE CONTENT, or a field 'resource_content'", "prompt")
    return AccessTruth(
        resource_name=take(row, "resource_name", str),
        resource=resource,
        authorized=tuple(name for name in names if name in authorized),
        markers=tuple(marker for marker in markers if marker.strip()),
    )
