"""The leaderboard as text: means, errors, ranks, and what is missing."""

import csv
import io
import json
from dataclasses import fields, replace

import pytest
from muses_eval.dashboards.tables.leaderboard import Format, leaderboard_records, render_leaderboard
from muses_eval.dashboards.tables.paper_table2 import published_rows
from muses_eval.pipeline.leaderboard_columns import COLUMNS
from muses_eval.storage.analysis.intervals import Bounds
from muses_eval.storage.analysis.leaderboard import LeaderboardRow
from muses_eval.storage.analysis.mean_estimate import MeanEstimate

NOTHING = dict.fromkeys(COLUMNS)
FULL = LeaderboardRow(
    rank=1,
    run_id="run-a",
    scoring="published",
    protocol="muses",
    model="model-a",
    base_model="model-a",
    estimates={
        "queue_f1": MeanEstimate(0.5, 0.02),
        "instruct_accuracy": MeanEstimate(0.25, 0.01),
        "privacy": MeanEstimate(1.0, 0.0),
        "utility": MeanEstimate(0.125, 0.03),
        "meeting_success": MeanEstimate(0.75, None),
    },
    avg=0.525,
    avg_se=0.0123,
    avg_columns=5,
    episodes=1000,
    planned=1000,
    coverage=1.0,
    outcomes={"scored": 1000, "infra_failed": 0, "simulator_failed": 0, "budget_stopped": 0},
    bounds={},
    cost_usd=1.234,
    ranked=True,
)
SHORT = replace(
    FULL,
    rank=None,
    model="model-b",
    episodes=900,
    coverage=0.9,
    outcomes={"scored": 900, "infra_failed": 60, "simulator_failed": 30, "budget_stopped": 0},
    bounds={"queue_f1": Bounds(0.4, 0.6)},
    cost_usd=None,
    ranked=False,
)

GUARDED = replace(
    FULL,
    rank=2,
    model="model-a + guard",
    agent="guard",
    facts="structured",
    agent_error_share=0.125,
)


def table(*rows: LeaderboardRow, form: Format = "table") -> list[str]:
    return render_leaderboard(rows, form).splitlines()


def test_a_full_row() -> None:
    """A row has percentages with standard errors, their average, the number of episodes and the cost."""
    header, _, row, *notes = table(FULL)
    titles = "model queue F1 instruct acc privacy utility meeting succ avg episodes coverage cost"
    assert header.split() == titles.split()
    assert row.split("  ")[0] == "1"
    for cell in ("50.0 ± 2.0", "25.0 ± 1.0", "100.0 ± 0.0", "12.5 ± 3.0", "75.0 ", "52.5 ± 1.2", "1000/1000", "100 %"):
        assert cell in row
    assert row.endswith("$1.23")
    assert notes == [
        "run run-a · published scoring · protocol muses · mean ± standard error in %, clustered by scenario"
    ]


def test_rows_of_several_protocols_name_theirs() -> None:
    """A column names the protocol of each row when they differ; it is unknown without a manifest."""
    text = table(
        FULL, replace(FULL, model="model-b", run_id="run-b", protocol="released"), replace(FULL, protocol=None)
    )
    assert [line.split()[2] for line in (text[0], *text[2:5])] == ["queue", "muses", "released", "?"]
    assert text[0].split()[1] == "protocol"
    assert "run run-a, run-b · published scoring · protocol muses, released, ? · mean" in text[-1]


def test_an_incomplete_row_says_what_is_missing() -> None:
    """The note has the outcomes and the bounds, and says that the row is not ranked."""
    *_, row, _, note = table(FULL, SHORT)
    assert row.lstrip().startswith("–")
    assert "900/1000" in row
    assert "90 %" in row
    assert row.endswith("?")
    assert note == (
        "model-b: 60 infra_failed, 30 simulator_failed, not ranked; with all episodes its means would be within"
        " queue F1 40.0–60.0"
    )


def test_a_row_just_short_of_whole_is_ranked_with_its_bounds() -> None:
    almost = replace(SHORT, rank=2, ranked=True, outcomes={"scored": 999}, bounds={"privacy": Bounds(0.99, 1.0)})
    assert (
        table(almost)[-1] == "model-b: episodes missing; with all episodes its means would be within privacy 99.0–100.0"
    )


def test_columns_that_nobody_played_are_left_out() -> None:
    """Columns without episodes are left out, and the average names the number of columns."""
    row = replace(
        FULL, estimates=NOTHING | dict.fromkeys(("privacy", "utility"), MeanEstimate(0.5, None)), avg=0.5, avg_se=None
    )
    header = table(row)[0]
    assert "privacy" in header
    assert "utility" in header
    assert not any(title in header for title in ("queue", "instruct", "meeting"))
    assert "avg of 2" in header


def test_a_column_with_failures_only_is_there() -> None:
    """A column with failures only is shown."""
    lost = replace(
        FULL, estimates=NOTHING, avg=None, episodes=0, coverage=0.0, ranked=False, bounds={"privacy": Bounds(0, 1)}
    )
    header, _, row, *notes = table(lost)
    assert "privacy" in header
    assert "0/1000" in row
    assert "privacy 0.0–100.0" in notes[-1]


def test_an_unknown_plan_is_unknown() -> None:
    row = table(replace(FULL, planned=None, coverage=None, rank=None, ranked=False))[2]
    assert "1000/?" in row
    assert "100 %" not in row


def test_the_averaging_of_the_released_code_is_named() -> None:
    """Every format names the averaging and how many rows it leaves out; without it, the text formats do not."""
    rows = [replace(FULL, averaging="released", left_out=3), replace(SHORT, averaging="released")]
    note = "averaging: released, 3 of 1900 rows left out (model-a 3)"
    assert note in table(*rows)
    assert note in table(*rows, form="md")
    assert "Averaging of the released code: 3 of 1900 rows are left out." in render_leaderboard(rows, "latex")
    for record in json.loads(render_leaderboard(rows, "json")):
        assert (record["averaging"], record["left_out"]) in {("released", 3), ("released", 0)}
    assert not any("averaging" in line.lower() for form in ("table", "md", "latex") for line in table(FULL, form=form))


def test_agents_are_named_with_their_facts_and_failures() -> None:
    """A table with an agent has columns for the agent, its facts and the share of episodes in which it failed."""
    header, _, alone, guarded, *notes = table(FULL, GUARDED)
    assert header.split()[:3] == ["model", "agent", "facts"]
    assert header.endswith("agent errors")
    assert alone.split()[:4] == ["1", "model-a", "chat", "prose"]
    assert alone.endswith("–")
    assert guarded.split()[:6] == ["2", "model-a", "+", "guard", "guard", "structured"]
    assert guarded.endswith("12.5 %")
    assert any(note.startswith("facts structured: ") for note in notes)
    assert "| 2 | model-a + guard | guard | structured | 50.0 ± 2.0 |" in table(FULL, GUARDED, form="md")[3]
    assert "model-a & guard & structured & " in render_leaderboard([FULL, GUARDED], "latex")
    paper = render_leaderboard([FULL, GUARDED], "latex", with_paper=True)
    assert paper.count(" & chat & prose & ") == 1 + len(published_rows())
    records = leaderboard_records([FULL, GUARDED])
    assert [(record["agent"], record["facts"], record["agent_error_share"]) for record in records] == [
        ("chat", "prose", None),
        ("guard", "structured", 0.125),
    ]


@pytest.mark.parametrize("form", ["table", "md", "csv", "latex"])
def test_a_table_of_models_alone_does_not_name_agents(form: Format) -> None:
    text = render_leaderboard([FULL, SHORT], form, with_paper=form != "csv")
    assert not any(word in text.lower() for word in ("facts", "chat", "prose", "base_model"))


def test_nothing_played() -> None:
    assert table()[-1] == "no episodes have been played"
    assert table(form="md")[-1] == "no episodes have been played"
    assert render_leaderboard([], "json") == "[]"
    assert render_leaderboard([], "csv") == ""


@pytest.mark.parametrize("form", ["table", "md"])
@pytest.mark.parametrize("name", ["通义|千问", "\x1b[31mred\n| a | b |", "<b>bold</b>", "\u202ebackwards"])
def test_no_name_of_a_model_breaks_out_of_its_cell(form: Format, name: str) -> None:
    """A model name cannot add a cell or a line to the table or to its notes."""
    plain, strange = (render_leaderboard([FULL, replace(SHORT, model=n)], form) for n in ("plain", name))
    assert len(strange.splitlines()) == len(plain.splitlines())
    assert not {"\x1b", "\u202e"} & set(strange)
    if form == "md":
        line = strange.splitlines()[3]
        assert line.replace("\\|", "").count("|") == plain.splitlines()[3].count("|")


@pytest.mark.parametrize(
    "rows", [[FULL], [FULL, GUARDED], [FULL, SHORT, replace(SHORT, estimates=NOTHING, avg=None, model='a "b",\n|c')]]
)
def test_json_and_csv_hold_every_field(rows: list[LeaderboardRow]) -> None:
    """Records have means in 0-1 and null for unknown values; CSV has the same values."""
    records = json.loads(render_leaderboard(rows, "json"))
    for record, row in zip(records, rows, strict=True):
        for field in fields(LeaderboardRow):
            value = getattr(row, field.name)
            if field.name == "estimates":
                for column, estimate in value.items():
                    assert (record[column], record[f"{column}_se"]) == (estimate or (None, None))
                continue
            if field.name == "bounds":
                value = {column: {"low": b.low, "high": b.high} for column, b in value.items()}
            assert record[field.name] == value, field.name
    assert records == leaderboard_records(rows)
    read = list(csv.DictReader(io.StringIO(render_leaderboard(rows, "csv"))))
    of_agents = {"base_model", "agent", "facts", "agent_error_share"}
    left_out = {"marks", *(of_agents if all(row.is_chat for row in rows) else ())}  # marks are those of nights
    assert [line.keys() for line in read] == [record.keys() - left_out for record in records]
    for line, record in zip(read, records, strict=True):
        for name in line:
            value, shown = record[name], line[name]
            if isinstance(value, dict):
                assert json.loads(shown) == value
            else:
                assert shown == ("" if value is None else str(value)), name
