"""Nights and store maintenance as text, for the command line, Prefect artifacts and notifications."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from muses_eval.dashboards.tables.screen import PLAIN, Screen
from muses_eval.dashboards.tables.text_table import text_table
from muses_eval.flows.nightly.maintain import MaintainReport
from muses_eval.flows.nightly.night_history import NightSummary
from muses_eval.pipeline.text.count_text import count_text
from muses_eval.storage.runs.manifest import CellRecord
from muses_eval.storage.runs.nights import Flag, NightReport

_UNKNOWN = "?"


def flag_line(flag: Flag) -> str:
    """Describes a flag in one line."""
    error = "" if flag.se is None else f" ± {100 * flag.se:.1f}"
    than = flag.against if flag.runs == 1 else f"the mean of {flag.runs} canaries since {flag.against}"
    moved = f"{100 * flag.difference:+.1f}{error} points over {count_text(flag.scenarios, 'scenario')}"
    return (
        f"{flag.kind}: {flag.model} in {flag.column}: {100 * flag.now:.1f}, was {100 * flag.before:.1f} in {than}"
        f" ({moved}, adjusted p {flag.p_adjusted:.2g})"
    )


def night_lines(report: NightReport) -> Iterator[str]:
    """Describes the result of a night, the most important first."""
    cost = "unknown cost" if report.cost_usd is None else f"${report.cost_usd:.2f}"
    yield (
        f"night {report.run_id} in {report.store}, protocol {report.protocol}: {report.scored} of {report.planned}"
        f" episodes scored, {count_text(report.cells_played, 'cell')} played, {report.cells_reused} reused; canary"
        f" {report.canary_scored} of {report.canary_planned}; {cost}, {duration(report.seconds)}"
    )
    yield from (f"  {flag_line(flag)}" for flag in report.flags)
    yield from (f"  not confirmed by a replay: {flag_line(flag)}" for flag in report.unconfirmed)
    if not report.flags:
        yield "  no significant change"
    yield from (f"  {note}" for note in report.notes)
    yield from (f"  {problem}" for problem in report.problems)
    yield f"  {report.site}"


def cell_rows(cells: Sequence[CellRecord], run_id: str) -> list[dict[str, Any]]:
    """Returns the cells of a night as rows of a table."""
    return [
        {
            "model": cell.model,
            "family": cell.family,
            "template": cell.template,
            "played in": "tonight" if cell.played_in == run_id else cell.played_in,
        }
        for cell in cells
    ]


def status_table(lines: Sequence[NightSummary], screen: Screen = PLAIN) -> str:
    """Renders the last nights as a table, followed by their flags and problems."""
    header = ["night", "state", "protocol", "coverage", "cells played", "taken over", "cost", "duration", "flags"]
    rows = [_status_row(line) for line in lines]
    table = text_table(header, rows, (3, 4, 5, 6, 7), screen)
    remarks = [f"{line.run_id}: {remark}" for line in lines for remark in _remarks(line)]
    return "\n".join((table, *screen.remarks(remarks)))


def _status_row(line: NightSummary) -> list[str]:
    coverage = line.coverage
    kinds = [flag.kind for flag in line.flags]
    counted = [f"{kinds.count(kind)} {kind}" for kind in dict.fromkeys(kinds)]
    state = f"{line.state}, not finished" if line.complete is None else line.state
    return [
        line.day.isoformat(),
        state,
        line.protocol or _UNKNOWN,
        _UNKNOWN if coverage is None else f"{100 * coverage:.3g} %",
        str(line.cells_played),
        str(line.cells_reused),
        _UNKNOWN if line.cost_usd is None else f"${line.cost_usd:.2f}",
        _UNKNOWN if line.seconds is None else duration(line.seconds),
        ", ".join(counted) or "–",
    ]


def _remarks(line: NightSummary) -> Iterator[str]:
    yield from (flag_line(flag) for flag in line.flags if flag.kind != "improvement")
    yield from line.problems


def upkeep_lines(report: MaintainReport) -> Iterator[str]:
    """Describes the result of the maintenance of a store, or of its dry run."""
    would = "would be " if report.dry_run else ""
    damaged = [check for check in report.checks if check.findings]
    read = sum(check.bytes for check in report.checks)
    yield f"store {report.store}: {count_text(len(report.checks), 'run')} read ({read:,} bytes), {len(damaged)} damaged"
    for check in damaged:
        yield from (f"  {check.run_id}: {each.trouble}: {each.key}; lost: {each.lost}" for each in check.findings)
    yield _listed(f"{would}sealed", report.sealing.sealed)
    yield from _reasons("left open", report.sealing.left_open)
    yield _listed(f"{would}deleted", [run.run_id for run in report.deleted])
    freed = sum(each.bytes for each in report.garbage.garbage)
    yield f"garbage: {count_text(len(report.garbage.garbage), 'object')}, {freed:,} bytes {would}deleted"
    yield from _reasons("passed over", report.held)


def duration(seconds: float) -> str:
    """Formats a duration, such as 45 s, 12 min or 3 h 20 min."""
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    return f"{minutes} min" if minutes < 120 else f"{minutes // 60} h {minutes % 60} min"


def _listed(what: str, run_ids: Sequence[str]) -> str:
    return f"{what}: {', '.join(run_ids) or 'none'}"


def _reasons(what: str, runs: Mapping[str, str]) -> Iterator[str]:
    yield from (f"{what}: {run_id}: {reason}" for run_id, reason in runs.items())
