"""``muses harness`` and ``muses_eval.harness``: what agents change, printed in five formats and as a frame."""

import csv
import io
import json
import warnings
from dataclasses import replace
from pathlib import Path
from typing import Any

import muses_eval
import pytest
from muses_eval.flows.cli import main
from muses_eval.pipeline.episode.model_call import Call
from muses_eval.storage.objects.object_keys import ShardKey
from muses_eval.storage.objects.open_store import open_store
from muses_eval.storage.runs.manifest import create_or_check
from muses_eval.storage.runs.shards import write_shard

from tests.storage.samples import MANIFEST, scored

CALL = Call("agent", "m", 100, 20, 1.0, 0, "stop", cost_usd=0.002, turn=1, step=1)
ENTRIES = {
    "m": {"base_model": "m"},
    "m + careful": {"base_model": "m", "agent": "careful"},
    "m + guard": {"base_model": "m", "agent": "guard", "facts": "structured"},
    "n + guard": {"base_model": "n", "agent": "guard", "facts": "structured"},
}
CALLS = {"m": 1, "m + careful": 1, "m + guard": 3, "n + guard": 3}


def identity(entry: str) -> dict[str, Any]:
    """Returns an entry of the manifest."""
    names = ENTRIES[entry]
    if "agent" not in names:
        return {}
    return {"base_model": names["base_model"], "agent": {"name": names["agent"], "facts": names.get("facts", "prose")}}


def metrics(entry: str, number: int) -> dict[str, float]:
    """Returns scores of access: careful changes nothing, and guard trades utility for privacy."""
    if "guard" in entry:
        return {"privacy": 1.0, "utility": 0.1 + 0.01 * number}
    return {"privacy": 0.3 + 0.05 * number, "utility": 0.8 - 0.02 * number}


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    """Returns a store with a run in which two agents have their model beside them, and one has not."""
    opened = open_store(str(tmp_path_factory.mktemp("harness")))
    planned = {(entry, "access"): 8 for entry in ENTRIES}
    create_or_check(opened, replace(MANIFEST, planned=planned, models={entry: identity(entry) for entry in ENTRIES}))
    episodes = [
        scored(
            (entry, number),
            metrics(entry, number),
            model=entry,
            family="access",
            scenario_id=f"s{number}",
            calls=(CALL,) * CALLS[entry],
            seconds=1.5 * CALLS[entry],
            flags=("agent_error",) if entry == "m + guard" and number == 0 else (),
            **names,
        )
        for entry, names in ENTRIES.items()
        for number in range(8)
    ]
    write_shard(opened, ShardKey("run-a", "any", "access", 0, 1), episodes)
    return opened.url


def printed(capsys: pytest.CaptureFixture[str], store: str, *arguments: str) -> str:
    assert main(["harness", *arguments, "--store", store]) == 0
    return capsys.readouterr().out


def test_tables(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Differences with their tests, then usage with its ratios, then what they say, in text and in Markdown."""
    scores, usage, notes = (block.splitlines() for block in printed(capsys, store).strip().split("\n\n"))
    assert scores[0].split()[:7] == ["model", "agent", "facts", "column", "chat", "with", "agent"]
    rows = [" ".join(line.split()) for line in (*scores[2:], *usage[2:])]
    assert rows[3:6] == [
        "m guard structured privacy 47.5 100.0 +52.5 ± 4.3 +42.3 to +62.7 <0.001 <0.001 8",
        "m guard structured utility 73.0 13.5 -59.5 ± 2.6 -65.6 to -53.4 <0.001 <0.001 8",
        "m guard structured average of 2 60.2 56.8 -3.5 ± 0.9 -5.5 to -1.5 0.005 0.010 8",
    ]
    assert rows[-1] == (
        "m guard structured access 8 $0.002 → $0.006 (×3) 120 → 360 (×3) 1 → 3 (×3) 1.5 → 4.5 (×3) 12.5 %"
    )
    assert notes[1:4] == [
        "m + careful: equal on every scenario: privacy, utility",
        "m + guard: better at: privacy (+52.5 ± 4.3); worse at: utility (-59.5 ± 2.6)",
        "n: chat, the model alone, has no scored episode; not compared: guard",
    ]
    assert notes[5].startswith("adjusted p: Holm over all agents and columns; for the average over 2 agents")
    assert notes[6].startswith("caution: facts structured: m + guard; facts prose: the others.")
    marked = printed(capsys, store, "run-a", "--format=md", "--correction=bh")
    assert "| m | guard | structured | privacy | 47.5 | 100.0 | +52.5 ± 4.3 |" in marked
    assert "- adjusted p: Benjamini-Hochberg over all agents and columns" in marked


def test_latex(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A line per agent, with the significant differences in bold, and cost and time as factors."""
    lines = printed(capsys, store, "--format=latex").splitlines()
    assert "Model & Agent & Facts & Privacy & Utility & Avg. & Cost & Time \\\\" in lines
    assert (
        "m & careful & prose & $0.0$ $\\pm$ 0.0 & $0.0$ $\\pm$ 0.0 & $0.0$ $\\pm$ 0.0 & $\\times$1 & $\\times$1 \\\\"
        in lines
    )
    assert any(line.startswith("m & guard & structured & $\\mathbf{+52.5}$ $\\pm$ 4.3 & ") for line in lines)
    assert "keeps privacy by construction" in lines[3]


def test_json_csv_and_the_frame_agree(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Each has a record per agent and column; what is missing is a warning in Python."""
    record = json.loads(printed(capsys, store, "--format=json"))
    lines = list(csv.DictReader(io.StringIO(printed(capsys, store, "--format=csv"))))
    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always")
        frame = muses_eval.harness(store)
    assert [str(each.message) for each in said] == [*record["missing"], *record["cautions"]]
    assert frame.columns == list(lines[0])
    columns = [(effect, column) for effect in record["effects"] for column in (*effect["columns"], effect["overall"])]
    for (effect, column), line, row in zip(columns, lines, frame.to_dicts(), strict=True):
        assert {name: line[name] for name in ("model", "base_model", "agent", "facts")} == {
            name: effect[name] for name in ("model", "base_model", "agent", "facts")
        }
        same = ("difference", "se", "df", "low", "high", "p", "p_adjusted", "scenarios", "pairs", "left_out")
        assert {name: row[name] for name in same} == pytest.approx({name: column[name] for name in same})
        assert {name: float(line[name]) for name in same} == pytest.approx({name: row[name] for name in same})
        assert (row["agent_mean"], row["chat_mean"]) == pytest.approx((column["a"], column["b"]))
        (usage,) = (
            each for each in effect["usage"] if each["family"] == (None if column["column"] == "avg" else "access")
        )
        assert row["agent_cost_usd"] / row["chat_cost_usd"] == pytest.approx(usage["ratio"]["cost_usd"])
        assert row["agent_error_share"] == usage["agent_error_share"]


def test_a_run_without_agents_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    opened = open_store(str(tmp_path))
    create_or_check(opened, MANIFEST)
    assert main(["harness", "--store", opened.url]) == 2
    assert "no agent besides chat, the model alone; evaluate both, as `agents: [chat, ...]`" in capsys.readouterr().err
