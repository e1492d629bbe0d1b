"""Nights as text: changes, problems and unknown values."""

from dataclasses import replace
from datetime import date

import pytest
from muses_eval.flows.nightly.night_history import NightSummary
from muses_eval.flows.nightly.night_text import cell_rows, duration, flag_line, night_lines, status_table
from muses_eval.storage.runs.manifest import CellRecord

from tests.storage.test_nights import FLAG, REPORT

WORSE = replace(FLAG, kind="regression", against="nightly-2026-11-22", runs=1)
LINE = NightSummary(
    run_id="nightly-2026-11-23",
    day=date(2026, 11, 23),
    state="sealed",
    protocol="muses",
    planned=8,
    scored=6,
    complete=False,
    cost_usd=1.25,
    seconds=4000.0,
    cells_played=1,
    cells_reused=3,
    flags=(FLAG, WORSE, WORSE, replace(FLAG, kind="improvement")),
    problems=("2 x timeout: no answer",),
    notes=("a note",),
)


def test_a_flag_says_what_where_and_since_when() -> None:
    assert flag_line(FLAG) == (
        "drift: m in privacy: 50.0, was 75.0 in the mean of 3 canaries since nightly-canary-2026-11-20"
        " (-25.0 ± 6.2 points over 20 scenarios, adjusted p 0.001)"
    )
    assert "was 75.0 in nightly-2026-11-22 (-25.0 points over" in flag_line(replace(WORSE, se=None))


def test_a_night() -> None:
    lines = list(night_lines(REPORT))
    assert lines[0].startswith(
        "night nightly-2026-11-23 in here, protocol muses: 3 of 4 episodes scored, 1 cell played, 2 reused;"
    )
    assert "canary 2 of 2; unknown cost, 12 s" in lines[0]
    assert [line.split(":")[0].strip() for line in lines[1:3]] == ["drift", "improvement"]
    assert lines[3:] == ["  a note", "  1 x timeout: no answer", f"  {REPORT.site}"]
    quiet = list(night_lines(replace(REPORT, flags=(), cost_usd=0.5)))
    assert "$0.50" in quiet[0]
    assert quiet[1] == "  no significant change"


def test_the_last_nights() -> None:
    """Unknown values are not shown as 0; alarms and problems are listed below the table, improvements are not."""
    going = replace(LINE, state="open", scored=None, complete=None, cost_usd=None, seconds=None, flags=(), problems=())
    first, second, *below = status_table([LINE, going]).splitlines()[2:]
    assert (
        " ".join(first.split()) == "2026-11-23 sealed muses 75 % 1 3 $1.25 67 min 1 drift, 2 regression, 1 improvement"
    )
    assert " ".join(second.split()) == "2026-11-23 open, not finished muses ? 1 3 ? ? –"
    assert below == [
        f"{LINE.run_id}: {flag_line(FLAG)}",
        *[f"{LINE.run_id}: {flag_line(WORSE)}"] * 2,
        f"{LINE.run_id}: 2 x timeout: no answer",
    ]


def test_cells() -> None:
    cell = CellRecord(model="m", family="queue", template="native", content_key="0", played_in="n-2")
    rows = cell_rows((cell, replace(cell, played_in="n-1")), "n-2")
    assert [row["played in"] for row in rows] == ["tonight", "n-1"]
    assert rows[0] == {"model": "m", "family": "queue", "template": "native", "played in": "tonight"}


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.4, "0 s"), (119, "119 s"), (720, "12 min"), (7199, "2 h 0 min"), (12000, "3 h 20 min")]
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text
