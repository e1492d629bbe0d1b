"""Explains the scores of an episode in lines of text, from its stored evidence: what was wrong, by which rule.

Each family explains in the form of its scoring: leaks and receivers in access, decisions in queue, constraints in
instruct, the announced meeting in meeting.
"""

from collections.abc import Iterable, Iterator, Sequence

from muses_eval.dashboards.tables.evidence_checks import paired
from muses_eval.pipeline.episode.episode import Episode
from muses_eval.pipeline.episode.evidence import Evidence
from muses_eval.pipeline.episode.score import SCORINGS, Scoring
from muses_eval.pipeline.families.instruct.evidence import NO_ANSWERS
from muses_eval.pipeline.families.meeting import evidence as meeting
from muses_eval.pipeline.families.queue.evidence import NO_DECISION, UNKNOWN
from muses_eval.pipeline.families.queue.scenario import reference_number

_MAX_SHOWN = 4
_ACCESS = "access"
_ROW_ERROR = "row_error"


def explain(episode: Episode) -> Iterator[str]:
    """Yields one line per fact, or why there is none.  Texts of models are not yet made printable."""
    rows = episode.evidence
    if rows is None:
        yield f"no evidence is stored with this episode; `muses rescore {episode.run_id}` adds it"
        return
    if not rows:
        yield "this family has no evidence"
        return
    match episode.family:
        case "access":
            yield from _access(rows)
        case "queue":
            yield from _queue(rows)
        case "instruct":
            yield from _instruct(rows)
        case "meeting":
            yield from _meeting(rows)
        case _:
            yield from _any_family(rows)


def _access(rows: Sequence[Evidence]) -> Iterator[str]:
    standing = {row.principal or "": row.expected for row in rows if row.rule == _ACCESS}
    authorised = [name for name, expected in standing.items() if expected.startswith("authorised")]
    others = [name for name in standing if name not in authorised]
    yield f"authorised: {_names(authorised)} · not authorised: {_names(others)}"
    leaks: dict[tuple[int, str, Scoring], list[str]] = {}
    for row in rows:
        if row.metric == "privacy" and row.verdict == "fail" and row.rule not in (_ACCESS, _ROW_ERROR):
            leaks.setdefault((row.turn or 0, row.principal or "", row.scoring), []).append(row.span or row.expected)
    for (turn, name, scoring), words in sorted(
        leaks.items(), key=lambda leak: (leak[0][0], SCORINGS.index(leak[0][2]))
    ):
        yield f"turn {turn}: leaked to {name} by the {scoring} rule: {_quoted(words)}"
    leaky = {row.scoring for row in rows if row.metric == "privacy" and row.verdict == "fail"}
    if clean := [scoring for scoring in SCORINGS if scoring not in leaky]:
        yield f"no leak by the {' and '.join(clean)} rule{'s' if len(clean) > 1 else ''}"
    for name in authorised:
        found = {row.scoring: row.found for row in rows if row.rule == _ACCESS and row.principal == name}
        received = "; ".join(f"{found[each]} by the {each} rule" for each in SCORINGS if each in found)
        missing = [
            row.expected
            for row in rows
            if row.principal == name and row.metric == "utility" and row.verdict == "fail" and row.rule != _ACCESS
        ]
        yield f"{name} (authorised): {received}{f', lacks {_quoted(missing)}' if missing else ''}"
    for problem in dict.fromkeys(row.found for row in rows if row.rule == _ROW_ERROR):
        yield f"published: the released code fails on the replies: {problem}"


def _queue(rows: Sequence[Evidence]) -> Iterator[str]:
    checks = paired(row for row in rows if row.rule != NO_DECISION)
    expected = [check.first.expected for check in checks if check.first.expected != UNKNOWN]
    accept = expected.count("accept")
    yield f"to accept: {accept} instructions · to reject: {len(expected) - accept}"
    unread = {row.scoring: row.found for row in rows if row.rule == NO_DECISION}
    yield from (f"{scoring}: {problem}" for scoring, problem in unread.items())
    read = [scoring for scoring in SCORINGS if scoring not in unread]
    for check in checks:
        wrong = [each for each in read if each in check.rows and check.rows[each].verdict == "fail"]
        for line in dict.fromkeys(_decision(check.rows[each]) for each in wrong):
            yield line if len(wrong) == len(SCORINGS) else f"{line} ({wrong[0]} alone)"
    failed = {row.scoring for row in rows if row.verdict == "fail"}
    if right := [scoring for scoring in read if scoring not in failed]:
        yield f"every instruction is decided right ({' and '.join(right)})"


def _decision(row: Evidence) -> str:
    if row.expected == UNKNOWN:
        return f"accepted, but no instruction: {row.rule}"
    name = f"{reference_number(row.rule)} of {row.principal}"
    if row.found == "both":
        return f"both accepted and rejected: {name}"
    if row.found == "accept":
        return f"wrongly accepted: {name}; to {row.expected}"
    return f"wrongly rejected or left out: {name}"


def _instruct(rows: Sequence[Evidence]) -> Iterator[str]:
    checks = paired(row for row in rows if row.rule != NO_ANSWERS)
    yield f"scored users: {_names(dict.fromkeys(check.first.principal or '' for check in checks))}"
    yield from (f"{row.scoring}: {row.found}" for row in rows if row.rule == NO_ANSWERS)
    for check in checks:
        failed = [row for row in check.rows.values() if row.verdict == "fail"]
        if failed:
            rule = "both rules" if len(failed) == len(SCORINGS) else failed[0].scoring
            found = " / ".join(dict.fromkeys(row.found for row in failed if row.found))
            has = f"; found: {found}" if found else ""
            yield f"not followed in the answer to {check.first.principal}: {check.first.expected} ({rule}){has}"
    followed = sum(not check.failed for check in checks)
    yield f"{followed} of {len(checks)} constraints are followed by both scorings"


def _meeting(rows: Sequence[Evidence]) -> Iterator[str]:
    presence = {row.principal or "": row.expected for row in rows if row.rule == meeting.INVITED}
    required = [name for name, role in presence.items() if role == meeting.REQUIRED]
    feasible = next((row.expected for row in rows if row.rule == meeting.FEASIBLE_SLOTS), "none")
    yield f"required: {_names(required)} · slots that all of them can attend: {feasible}"
    read = [row for row in rows if row.scoring == "corrected"]
    announced = next((row for row in read if row.rule == meeting.ANNOUNCED), None)
    invited = [row.principal or "" for row in read if row.rule == meeting.INVITED and row.found == "invited"]
    if announced is not None and announced.verdict == "pass":
        yield f"turn {announced.turn}: announced {announced.found} with {_names(invited)}"
        yield from _faults(read, presence)
    elif announced is not None:
        yield announced.found
    for row in read:
        if row.rule == meeting.REPORTED_CONSENT:
            yield f"turn {row.turn}: the agent reported a consent to {row.expected} that {row.principal} never gave"
    if any(row.metric == "invented_availability" and row.verdict == "fail" for row in read):
        yield "the agent relied on, or reported, a consent that was never given (invented_availability)"
    for row in rows:
        if row.scoring == "published" and row.rule == meeting.ANNOUNCED and row.verdict == "fail":
            yield f"published: {row.found}"
    failed = {row.scoring for row in rows if row.metric == "success" and row.verdict == "fail"}
    yield " · ".join(f"{scoring}: {'no success' if scoring in failed else 'success'}" for scoring in SCORINGS)


def _faults(read: Sequence[Evidence], presence: dict[str, str]) -> Iterator[str]:
    """Yields who is not invited, cannot attend, or gave no consent."""
    calendars = (meeting.PREFERRED_SLOTS, meeting.SECONDARY_SLOTS)
    for row in read:
        name = f"{row.principal} ({presence.get(row.principal or '', '')})"
        if row.verdict != "fail":
            continue
        if row.rule == meeting.INVITED:
            yield f"{name} is not invited"
        elif row.rule == meeting.ATTENDANCE:
            own = [each.expected for each in read if each.principal == row.principal and each.rule in calendars]
            yield f"{name} cannot attend {row.expected.removeprefix('can attend ')}; can: {_names(own)}"
        elif row.rule == meeting.CONSENT:
            yield f"{name} was counted on without a consent"


def _any_family(rows: Sequence[Evidence]) -> Iterator[str]:
    """Yields the failed checks of a family of an installed package."""
    for row in rows:
        if row.verdict == "fail":
            where = f"turn {row.turn}: " if row.turn else ""
            yield f"{where}{row.metric}, {row.rule}, {row.principal or 'all'}: {row.found}, not {row.expected}"


def _names(names: Iterable[str]) -> str:
    return ", ".join(names) or "none"


def _quoted(texts: Iterable[str]) -> str:
    found = [" ".join(text.split()) for text in texts]
    more = f" and {len(found) - _MAX_SHOWN} more" if len(found) > _MAX_SHOWN else ""
    return ", ".join(f"“{text}”" for text in found[:_MAX_SHOWN]) + more
