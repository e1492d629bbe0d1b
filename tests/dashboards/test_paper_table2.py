"""The paper's rows beside those of a run, and the LaTeX table."""

import csv
import json
import re
from collections import Counter
from dataclasses import fields
from typing import Any

import pytest
from hypothesis import given, strategies as st
from muses_eval.dashboards.tables.latex_table import escape, latex_table
from muses_eval.dashboards.tables.leaderboard import leaderboard_records, render_leaderboard
from muses_eval.dashboards.tables.paper_table2 import TableRow, measured_rows, published_rows
from muses_eval.pipeline.leaderboard_columns import COLUMNS
from muses_eval.pipeline.protocols import ProtocolName
from muses_eval.storage.analysis.intervals import Bounds
from muses_eval.storage.analysis.leaderboard import LeaderboardRow
from muses_eval.storage.analysis.mean_estimate import MeanEstimate

from tests.conftest import Muses
from tests.shared import SHARED, needs_shared

OUTCOMES = {"scored": 10, "infra_failed": 0, "simulator_failed": 0, "budget_stopped": 0}


def row(model: str, value: float | None = 0.5, **changes: Any) -> LeaderboardRow:
    """Returns a ranked row with the same value in every column."""
    estimate = None if value is None else MeanEstimate(value, 0.01)
    figures: dict[str, Any] = {"estimates": dict.fromkeys(COLUMNS, estimate), "avg": value, "avg_se": 0.01}
    plain = {"rank": 1, "run_id": "run-a", "scoring": "published", "protocol": "released", "avg_columns": 5}
    plain |= {"episodes": 10, "planned": 10}
    plain |= {"coverage": 1.0, "outcomes": OUTCOMES, "bounds": {}, "cost_usd": 0.0, "ranked": True}
    return LeaderboardRow(model=model, base_model=model, **{**plain, **figures, **changes})


def _with_privacy(value: float, privacy: float) -> dict[str, MeanEstimate | None]:
    """Returns the same value for every column except ``privacy``."""
    return {**dict.fromkeys(COLUMNS, MeanEstimate(value, 0.01)), "privacy": MeanEstimate(privacy, 0.01)}


def cells(table: str, model: str) -> list[str]:
    """Returns the cells of one model's row in a LaTeX table."""
    (line,) = [line for line in table.splitlines() if line.startswith(f"{model} &")]
    return [cell.strip() for cell in line.removesuffix("\\\\").split("&")]


def test_the_papers_rows() -> None:
    """The paper has nineteen models with values from 0 to 1; the average is the mean of the five printed columns."""
    lines = published_rows()
    assert len(lines) == 19
    assert {line.source for line in lines} == {"paper"}
    gemini = next(line for line in lines if line.model == "Gemini-3-Pro")
    assert gemini.estimates == {
        "queue_f1": (0.973, 0.004),
        "instruct_accuracy": (0.934, 0.009),
        "privacy": (0.986, 0.007),
        "utility": (0.739, 0.023),
        "meeting_success": (0.648, 0.033),
        "avg": (0.856, None),
    }
    for line in lines:
        means = [estimate.mean for column in COLUMNS if (estimate := line.estimates[column])]
        average = line.estimates["avg"]
        assert average is not None
        assert sum(means) / 5 == pytest.approx(average.mean, abs=0.0011)  # the paper computed it from unrounded values


@needs_shared
def test_the_papers_rows_are_a_copy() -> None:
    """The CSV equals the paper's table, below two lines with its source."""
    import muses_eval.dashboards.tables.paper_table2 as module

    own = (module.files("muses_eval.dashboards.tables") / "paper_table2.csv").read_text(encoding="utf-8").splitlines()
    assert own[2:] == (SHARED / "muses-bench" / "paper_table2.csv").read_text(encoding="utf-8").splitlines()
    assert all(line.startswith("# ") for line in own[:2])


def test_best_and_second_best() -> None:
    """The best figures are bold and underlined over all rows; equal figures share a place."""
    lines = measured_rows(
        [
            row("first", 0.99),
            row("tied", 0.9901, estimates=_with_privacy(0.9901, 0.4)),
            row("second", 0.98, estimates={**dict.fromkeys(COLUMNS, MeanEstimate(0.98, 0.01)), "privacy": None}),
            row("third", 0.97, estimates=_with_privacy(0.97, 0.4)),
        ]
    )
    table = latex_table(lines)
    assert cells(table, "first")[1:] == ["\\textbf{99.0} $\\pm$ 1.0"] * 6
    assert cells(table, "tied")[1] == "\\textbf{99.0} $\\pm$ 1.0"
    assert cells(table, "tied")[3] == cells(table, "third")[3] == "\\underline{40.0} $\\pm$ 1.0"
    assert cells(table, "second")[1] == "\\underline{98.0} $\\pm$ 1.0"
    assert cells(table, "second")[3] == "--"
    assert cells(table, "third")[1] == "97.0 $\\pm$ 1.0"
    beside = latex_table(lines + published_rows())
    assert cells(beside, "first")[3] == "99.0 $\\pm$ 1.0"
    assert cells(beside, "GPT-5.2")[3] == "\\textbf{100.0} $\\pm$ 0.0"
    assert cells(beside, "Gemini-3-Pro")[-1] == "85.6"


def test_order_of_figures_is_that_of_numbers() -> None:
    """Figures are compared as numbers: 9.5 < 10 < 100."""
    table = latex_table(measured_rows([row("a", 0.095), row("b", 1.0), row("c", 0.1)]))
    assert [cells(table, name)[1].split()[0] for name in "abc"] == ["9.5", "\\textbf{100.0}", "\\underline{10.0}"]


def test_built_in_agents_do_not_compete() -> None:
    """Built-in agents are labelled floor or ceiling and are never marked as best."""
    rows = [
        row("scripted/oracle", 1.0, builtin="oracle"),
        row("ours", 0.6),
        row("lazy", 0.7, builtin="refuse"),  # an agent with a custom name is still built in
    ]
    table = latex_table(measured_rows(rows))
    assert cells(table, "scripted/oracle (ceiling)")[1:] == ["100.0 $\\pm$ 1.0"] * 6
    assert cells(table, "lazy (floor)")[1:] == ["70.0 $\\pm$ 1.0"] * 6
    assert cells(table, "ours")[1:] == ["\\textbf{60.0} $\\pm$ 1.0"] * 6
    for form in ("table", "md"):
        text = render_leaderboard(rows, form)  # type: ignore[arg-type]
        assert "scripted/oracle (ceiling)" in text
        assert "lazy (floor)" in text
        assert "ours (" not in text
        assert "built-in agents are the ceiling and the floor of the scores, and are not ranked" in text
    alone = render_leaderboard([rows[0], rows[2]], "table")
    assert "ranked among themselves" in alone
    beside = render_leaderboard(rows, "table", with_paper=True)
    assert beside.index("GPT-5.2") < beside.index("scripted/oracle (ceiling)") < beside.index("lazy (floor)")


def test_unranked_rows_do_not_compete() -> None:
    """Figures of unranked models are shown with a star and an explanation."""
    rows = [row("whole", 0.5), row("partial", 0.9, ranked=False, coverage=0.5, bounds={"privacy": Bounds(0.4, 0.9)})]
    table = latex_table(measured_rows(rows))
    assert cells(table, "partial$^{*}$")[1:] == ["90.0 $\\pm$ 1.0"] * 6
    assert cells(table, "whole")[1] == "\\textbf{50.0} $\\pm$ 1.0"
    assert "$^{*}$ Too few" in table
    assert "$^{*}$" not in latex_table(measured_rows(rows[:1]))


@pytest.mark.parametrize("protocol", ["muses", None])
def test_rows_of_another_protocol_do_not_compete(protocol: ProtocolName | None) -> None:
    """Beside the paper's rows, ours are marked and explained when they were played by another protocol."""
    ours = [row("ours", 0.99, protocol=protocol)]
    table = render_leaderboard(ours, "latex", with_paper=True)
    assert cells(table, "ours$^{\\dagger}$")[1:] == ["99.0 $\\pm$ 1.0"] * 6
    assert cells(table, "GPT-5.2")[3] == "\\textbf{100.0} $\\pm$ 0.0"
    assert "$^{\\dagger}$ Other prompts and turns" in table
    assert "\\textbf" in latex_table(measured_rows(ours))
    for form in ("table", "md"):
        text = render_leaderboard(ours, form, with_paper=True)  # type: ignore[arg-type]
        assert re.search(rf"ours\W+ours\W+{re.escape(protocol or '?')}\W+99\.0", text)
        assert re.search(r"GPT-5\.1\W+paper\W+released\W+94\.5", text)
        assert "do not compare with those of the paper" in text
        assert "do not compare" not in render_leaderboard([row("ours")], form, with_paper=True)  # type: ignore[arg-type]
    mine, *paper = leaderboard_records(ours, with_paper=True)
    assert mine["protocol"] == protocol
    assert {record["protocol"] for record in paper} == {"released"}


def test_columns_that_nobody_played() -> None:
    """Missing columns are left out; beside the paper, an average over fewer columns is not shown."""
    some = {**dict.fromkeys(COLUMNS, MeanEstimate(0.5, 0.01)), "privacy": None, "utility": None}
    rows = [row("ours", 0.5, avg_columns=3, estimates=some)]
    alone = latex_table(measured_rows(rows))
    assert "\\begin{tabular}{lrrrr}" in alone
    assert "Privacy" not in alone
    assert len(cells(alone, "ours")) == 5
    beside = render_leaderboard(rows, "latex", with_paper=True)
    assert cells(beside, "ours")[-1] == "--"
    text = render_leaderboard(rows, "table", with_paper=True)
    assert "ours: average not shown, because it is over 3 columns, not the paper's 5" in text
    assert "no average" not in render_leaderboard(rows, "table")


def _balanced(table: str) -> bool:
    """True when the unescaped braces of every line match."""
    bare = re.sub(r"\\[{}\\&%$#_]", "", table)
    return all(line.count("{") == line.count("}") for line in bare.splitlines())


@given(st.text())
def test_any_name_can_be_set(name: str) -> None:
    """No model name breaks the table."""
    shown = escape(name)
    bare = re.sub(r"\\(text\w+\{\}|[&%$#_{}])", "", shown)
    assert not set(bare) & set("\\&%$#_{}~^<>|\n\r")
    assert _balanced(latex_table([TableRow("ours", name, {**dict.fromkeys(COLUMNS), "avg": MeanEstimate(0.5, 0.1)})]))


def test_escaped_names() -> None:
    """Special characters are escaped."""
    assert escape("a_b & 50% {x} #1 $") == "a\\_b \\& 50\\% \\{x\\} \\#1 \\$"
    assert escape("~^\\<|>") == (
        "\\textasciitilde{}\\textasciicircum{}\\textbackslash{}\\textless{}\\textbar{}\\textgreater{}"
    )
    assert escape("two\nlines") == "two lines"


def test_a_whole_table() -> None:
    """The table uses booktabs, every row has all cells, and the caption explains them."""
    rows = [row("ours_1"), row("scripted/random", 0.1, builtin="random")]
    table = render_leaderboard(rows, "latex", with_paper=True)
    assert [rule for rule in ("\\toprule", "\\midrule", "\\bottomrule") if rule in table.splitlines()] == [
        "\\toprule",
        "\\midrule",
        "\\bottomrule",
    ]
    counts = Counter(len(re.split(r"(?<!\\)&", line)) for line in table.splitlines() if re.search(r"(?<!\\)&", line))
    assert counts == {7: 1 + 1 + 19 + 1}
    assert [line for line in table.splitlines() if "\\emph" in line] == [
        f"\\multicolumn{{7}}{{l}}{{\\emph{{{title}}}}} \\\\"
        for title in ("Measured", "As published", "Built-in agents")
    ]
    assert "not measured" in table
    assert "run run-a, published scoring, protocol released." in table
    assert _balanced(table)


def test_records_say_where_they_come_from() -> None:
    """All records have the same keys; the paper's have published values only, from 0 to 1."""
    rows = [row("ours")]
    assert [record["source"] for record in leaderboard_records(rows)] == ["ours"]
    ours, *paper = leaderboard_records(rows, with_paper=True)
    assert ours == {**leaderboard_records(rows)[0]}
    assert len(paper) == 19
    keys = {"source", *(field.name for field in fields(LeaderboardRow))} - {"estimates"}
    keys |= {name for column in COLUMNS for name in (column, f"{column}_se")}
    assert {frozenset(record) for record in (ours, *paper)} == {frozenset(keys)}
    assert {record["source"] for record in paper} == {"paper"}
    gpt = next(record for record in paper if record["model"] == "GPT-5.1")
    assert (gpt["queue_f1"], gpt["queue_f1_se"], gpt["avg"], gpt["avg_se"]) == (0.945, 0.005, 0.789, None)
    assert (gpt["rank"], gpt["run_id"], gpt["episodes"], gpt["ranked"]) == (None, None, None, False)
    assert json.loads(render_leaderboard(rows, "json", with_paper=True)) == [ours, *paper]
    lines = list(csv.DictReader(render_leaderboard(rows, "csv", with_paper=True).splitlines()))
    assert [(line["source"], line["model"]) for line in lines] == [(r["source"], r["model"]) for r in (ours, *paper)]


@pytest.mark.parametrize("form", ["table", "md"])
def test_tables_for_people(form: Any) -> None:
    """Rows of both sources are sorted by average and name their source, with a note below."""
    text = render_leaderboard([row("ours", 0.79)], form, with_paper=True)
    lines = text.splitlines()
    order = [next(i for i, line in enumerate(lines) if name in line) for name in ("Gemini-3-Flash", "ours", "GPT-5.1 ")]
    assert order == sorted(order)
    assert re.search(r"ours\W+ours\W+79\.0 ± 1\.0", lines[order[1]])
    assert re.search(r"GPT-5\.1\W+paper\W+94\.5 ± 0\.5", lines[order[2]])
    assert "not measured here" in text
    assert "paper" not in render_leaderboard([row("ours", 0.79)], form)


def test_from_the_command_line(muses: Muses) -> None:
    """The command shows the paper's rows and the LaTeX table, and refuses the paper beside the corrected scoring."""
    played = muses("run", "--model=scripted/refuse", "--model=scripted/oracle", "--dataset=generated:2", "--store=s")
    assert played.returncode == 0, played.stderr
    answer = muses("leaderboard", "--store=s", "--format=json", "--with-paper")
    records = json.loads(answer.stdout)
    assert Counter(record["source"] for record in records) == {"ours": 2, "paper": 19}
    assert {r["model"]: r["builtin"] for r in records if r["source"] == "ours"} == {
        "scripted/oracle": "oracle",
        "scripted/refuse": "refuse",
    }
    table = muses("leaderboard", "--store=s", "--format=latex").stdout
    assert "scripted/refuse (floor) &" in table
    assert "\\textbf" not in table
    averaged = json.loads(muses("leaderboard", "--store=s", "--format=json", "--averaging=released").stdout)
    assert {(r["averaging"], r["left_out"]) for r in averaged} == {("released", 0)}
    assert (
        "averaging: released, 0 of 16 rows left out" in muses("leaderboard", "--averaging=released", "--store=s").stdout
    )
    for other in ("--scoring=corrected", "--bands"):
        refused = muses("leaderboard", "--store=s", "--averaging=released", other)
        assert (refused.returncode, "averaging 'released'" in refused.stderr) == (2, True)
    refused = muses("leaderboard", "--store=s", "--with-paper", "--scoring=corrected")
    assert refused.returncode == 2
    assert "--scoring published" in refused.stderr
