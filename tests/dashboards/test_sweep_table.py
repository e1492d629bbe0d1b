"""The table of a sweep names the protocols of its runs."""

from dataclasses import replace

import pytest
from muses_eval.dashboards.tables.sweep import SweepRow, render_sweep, sweep_record
from muses_eval.storage.runs.cell_results import CellResult

CELL = CellResult("run-a", "m", "queue", 2, {"scored": 2}, 0.5)
OURS = SweepRow("protocol=muses", "muses", CELL, complete=True)
THEIRS = SweepRow("protocol=released", "released", CELL, complete=True)


@pytest.mark.parametrize(("rows", "names"), [([OURS], "muses"), ([OURS, OURS, THEIRS], "muses and released")])
def test_the_protocols_are_below_the_table(rows: list[SweepRow], names: str) -> None:
    assert render_sweep(rows, "table").splitlines()[-1] == f"protocol {names}"
    assert render_sweep(rows, "md").endswith(f"|\n\nprotocol {names}")


def test_a_record_has_its_protocol() -> None:
    assert (sweep_record(OURS)["protocol"], sweep_record(THEIRS)["protocol"]) == ("muses", "released")


def test_unusable_replies_have_a_column_when_there_are_any() -> None:
    broken = replace(OURS, cell=replace(CELL, unusable_share=0.25))
    assert "unusable" not in render_sweep([OURS], "table")
    assert [line.split()[6:8] for line in render_sweep([OURS, broken], "table").splitlines()[2:4]] == [
        ["–", "$0.50"],
        ["25", "%"],
    ]
    assert sweep_record(broken)["unusable_share"] == 0.25
