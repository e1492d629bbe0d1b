"""The table of a sweep names the protocols of its runs."""

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
