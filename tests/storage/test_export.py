"""Exported tables and Inspect logs, read back with other tools."""

import csv
import json
import sys
from collections.abc import Callable
from dataclasses import asdict, replace
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings, strategies as st
from muses_eval.pipeline.episode.episode import Episode
from muses_eval.pipeline.episode.event import Event
from muses_eval.pipeline.episode.model_call import Call
from muses_eval.pipeline.episode.score import Score
from muses_eval.pipeline.episode.transcript import Message
from muses_eval.pipeline.errors import ConfigError
from muses_eval.storage.export.atomic_file import atomic_write
from muses_eval.storage.export.tables import ExportView, export_table
from muses_eval.storage.objects.object_keys import RescoredKey, ShardKey
from muses_eval.storage.objects.object_store import ObjectStore
from muses_eval.storage.objects.open_store import open_store
from muses_eval.storage.query.duckdb_connection import connect
from muses_eval.storage.runs.manifest import RunManifest, create_or_check
from muses_eval.storage.runs.rescored import RescoredEpisode, write_rescored
from muses_eval.storage.runs.shards import write_shard

from tests.storage.samples import MANIFEST, SAMPLE, episode, failed

CALLS = (
    Call("agent", "provider/model-a", 100, 20, 1.25, 2, "stop", cached_tokens=40, cost_usd=0.25),
    Call("user", "provider/user", 10, 5, 0.5, 0, "stop", cost_usd=0.5),
    Call("agent", "provider/model-a", 200, 30, 1.5, 0, "length", cached=True, cost_usd=0.5),
)
SAID = (
    Message(0, "system", ("agent",), "The briefing."),
    Message(1, "Ana", ("agent",), "Hello: \U0001f600 \u2028 NUL \x00, \"quotes\",\r\nand 'lines'"),
    Message(1, "Ben", ("agent",), ""),
    Message(1, "agent", (), '{"Ana": "yes", "Ben": "no"}'),
    Message(1, "agent", ("Ana",), "yes"),
    Message(1, "agent", ("Ana", "Ben"), "no"),
    Message(2, "Ana", ("agent",), "Ana: again"),
    Message(2, "agent", (), "so be it"),
)
LONG = replace(
    episode("long", scenario_id="s1", messages=SAID, calls=CALLS, turns=2, cost_usd=1.25, flags=("length",)),
    scores=(
        Score("published", "f1", 0.1 + 0.2),
        Score("corrected", "f1", 1 / 3),
        Score("corrected", "f1", 0.5, 1),
        Score("corrected", "f1", 1 / 3, 2),
    ),
)
SECOND = replace(LONG, episode_id="second", epoch=1, calls=(replace(CALLS[0], prompt_tokens=None),), messages=SAID[:4])
LOST = failed("lost", scenario_id="s2", messages=SAID[:3], calls=(), turns=0)
RUN = replace(MANIFEST, planned={("model-a", "queue"): 4}, made_with={"lock": "abc"})


def fill(store: ObjectStore, *episodes: Episode, run: RunManifest = RUN) -> None:
    create_or_check(store, run)
    write_shard(store, ShardKey(run.run_id, "model-a", "queue", 0, 1), episodes)


def table(store: ObjectStore, view: ExportView, form: Any, target: Path, *, replace: bool = False) -> int:
    with connect(store.url, RUN.run_id) as connection:
        return export_table(connection, view, form, target, replace=replace)


def test_a_table_is_what_the_view_says(store: ObjectStore, tmp_path: Path) -> None:
    """A table equals its view, from a folder and from S3, with several attempts and rescored episodes."""
    early = failed("long", scenario_id="s1")
    fill(store, early, LOST)
    write_shard(store, ShardKey("run-a", "model-a", "queue", 0, 2), [replace(LONG, attempt=2)])
    fill(store, run=replace(RUN, run_id="run-b"))
    write_shard(store, ShardKey("run-b", "model-a", "queue", 0, 1), [replace(LONG, run_id="run-b")])
    again = RescoredEpisode("run-a", LONG.episode_id, 2, (Score("corrected", "f1", 0.75),))
    write_rescored(store, RescoredKey("run-a", "queue", 2, 0), [again])
    for view in ("episodes", "scores", "messages", "calls", "leaderboard"):
        target = tmp_path / f"{view}.parquet"
        with connect(store.url, "run-a") as connection:
            wanted = connection.execute(f"FROM {view}").to_arrow_table()
        assert table(store, view, "parquet", target) == wanted.num_rows > 0
        key = ["episode_id"] if "episode_id" in wanted.column_names else ["scoring"]
        key += [name for name in ("position", "metric", "scoring") if name in wanted.column_names]
        order = [(name, "ascending") for name in dict.fromkeys(key)]
        assert pq.read_table(target).sort_by(order).to_pylist() == wanted.sort_by(order).to_pylist()
    assert pq.read_table(tmp_path / "scores.parquet")["value"].to_pylist() == [0.75]


def test_jsonl_keeps_everything(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store"))
    fill(store, LONG, LOST)
    target = tmp_path / "episodes.jsonl"
    assert table(store, "episodes", "jsonl", target) == 2
    lines = target.read_text(encoding="utf-8").split("\n")
    assert lines.pop() == ""
    rows = {row["episode_id"]: row for row in map(json.loads, lines)}
    row = rows[LONG.episode_id]
    assert [Message(**message | {"audience": tuple(message["audience"])}) for message in row["messages"]] == list(SAID)
    assert [Score(**score) for score in row["scores"]] == list(LONG.scores)
    assert [Call(**call) for call in row["calls"]] == list(CALLS)
    assert datetime.fromisoformat(row["started_at"]) == LONG.started_at
    assert rows[LOST.episode_id]["error"] == LOST.error
    assert rows[LONG.episode_id]["error"] is None


def test_csv_keeps_everything(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store"))
    fill(store, LONG, LOST)
    assert table(store, "messages", "csv", tmp_path / "messages.csv") == 11
    with (tmp_path / "messages.csv").open(encoding="utf-8", newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["episode_id"] == LONG.episode_id]
    assert [row["content"] for row in rows] == [message.content for message in SAID]
    assert [tuple(json.loads(row["audience"])) for row in rows] == [message.audience for message in SAID]
    table(store, "episodes", "csv", tmp_path / "episodes.csv")
    with (tmp_path / "episodes.csv").open(encoding="utf-8", newline="") as file:
        row = next(row for row in csv.DictReader(file) if row["episode_id"] == LONG.episode_id)
    assert [Score(**score) for score in json.loads(row["scores"])] == list(LONG.scores)
    assert json.loads(row["flags"]) == ["length"]
    assert datetime.fromisoformat(row["started_at"]) == LONG.started_at
    assert row["attack"] == ""


@settings(max_examples=15, deadline=None)
@given(
    st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1, max_size=8),
    st.text(st.characters(exclude_categories=["Cs"]), max_size=40),
)
def test_numbers_and_texts_come_back_as_they_were(values: list[float], text: str) -> None:
    """Any number and any text is read back unchanged."""
    import tempfile

    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        store = open_store(str(folder / "store"))
        scores = tuple(Score("published", f"m{number:02}", value) for number, value in enumerate(values))
        fill(store, replace(LONG, scores=scores, messages=(Message(1, "Ana", ("agent",), text),)))
        table(store, "scores", "csv", folder / "s.csv")
        table(store, "messages", "csv", folder / "m.csv")
        table(store, "messages", "jsonl", folder / "m.jsonl")
        with (folder / "s.csv").open(newline="") as file:
            assert [float(row["value"]) for row in csv.DictReader(file)] == values
        with (folder / "m.csv").open(encoding="utf-8", newline="") as file:
            assert next(csv.DictReader(file))["content"] == text
        assert json.loads((folder / "m.jsonl").read_bytes())["content"] == text


def test_an_empty_table_has_its_columns(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store"))
    fill(store, LOST)
    assert table(store, "calls", "csv", tmp_path / "calls.csv") == 0
    assert (tmp_path / "calls.csv").read_text().startswith("run_id,model,base_model,agent,facts,family,")


def test_a_file_is_replaced_only_when_that_is_wanted(tmp_path: Path) -> None:
    store, target = open_store(str(tmp_path / "store")), tmp_path / "deep" / "it's.csv"
    fill(store, LONG)
    assert table(store, "scores", "csv", target) == 4
    before = target.read_bytes()
    with pytest.raises(ConfigError, match=r"it's\.csv exists already; .* --force"):
        table(store, "episodes", "csv", target)
    assert target.read_bytes() == before
    assert table(store, "episodes", "csv", target, replace=True) == 1
    assert target.read_bytes() != before
    with pytest.raises(ConfigError, match="is a folder"):
        table(store, "episodes", "csv", tmp_path, replace=True)
    assert [path.name for path in target.parent.iterdir()] == [target.name]


def test_a_file_is_whole_or_not_there(tmp_path: Path) -> None:
    """After an error no file is left; a file that appears meanwhile is not overwritten."""
    target = tmp_path / "x"

    def write(text: str, meanwhile: Callable[[], object] = lambda: None) -> None:
        with atomic_write(target) as part:
            part.write_text(text)
            assert not target.exists()
            meanwhile()

    with pytest.raises(ZeroDivisionError):
        write("half", lambda: 1 / 0)
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(ConfigError, match="exists already"):
        write("ours", lambda: target.write_text("theirs"))
    assert [path.read_text() for path in tmp_path.iterdir()] == ["theirs"]
    target.unlink()
    write("whole")
    assert [path.read_text() for path in tmp_path.iterdir()] == ["whole"]


def logs(store: ObjectStore, folder: Path, run: RunManifest = RUN, **options: Any) -> list[Any]:
    """Returns the logs as Inspect reads them."""
    from inspect_ai.log import read_eval_log
    from muses_eval.storage.export.inspect_logs import export_inspect

    with connect(store.url, run.run_id) as connection:
        written = list(export_inspect(connection, run, folder, **{"replace": False} | options))
    found = [read_eval_log(str(log.path), resolve_attachments=True) for log in written]
    assert [len(log.samples or ()) for log in found] == [log.episodes for log in written]
    return found


def test_a_log_says_what_the_run_says(store: ObjectStore, tmp_path: Path) -> None:
    fill(store, LONG, SECOND, LOST)
    (log,) = logs(store, tmp_path)
    assert (log.status, log.eval.task, log.eval.model) == ("success", "muses/queue", "openai/provider/model-a")
    assert (log.eval.run_id, log.eval.config.epochs, log.eval.dataset.name) == ("run-a", 2, SAMPLE.dataset)
    assert (log.eval.revision.commit, log.eval.packages) == ("0" * 40, {"muses-eval": "0.1.0"})
    assert (log.eval.metadata["protocol"], log.eval.metadata["made_with"]) == ("muses", {"lock": "abc"})
    assert (log.results.total_samples, log.results.completed_samples) == (4, 2)
    metrics = {score.name: score.metrics for score in log.results.scores}
    assert metrics["corrected_f1"]["mean"].value == pytest.approx(1 / 3)
    assert "stderr" not in metrics["corrected_f1"]  # one scenario gives no standard error


def test_a_sample_holds_the_whole_episode(tmp_path: Path) -> None:
    """A sample has messages with turn, sender and audience, scores, usage, calls and times."""
    store = open_store(str(tmp_path / "store"))
    fill(store, LONG, SECOND, LOST)
    (log,) = logs(store, tmp_path / "logs")
    samples = {sample.uuid: sample for sample in log.samples}
    sample = samples[LONG.episode_id]
    assert (sample.id, sample.epoch, samples["second"].epoch) == ("s1", 1, 2)
    assert [message.role for message in sample.messages] == ["system", "user", "user", "assistant", "user", "assistant"]
    assert sample.messages[1].text == f"Ana: {SAID[1].content}"
    assert said(sample) == list(SAID)
    assert [message.role for message in sample.input] == ["system", "user", "user"]
    assert sample.output.completion == "so be it"
    assert sample.output.stop_reason == "max_tokens"
    assert {name: score.value for name, score in sample.scores.items()} == {
        "published_f1": 0.1 + 0.2,
        "corrected_f1": 1 / 3,
    }
    assert sample.scores["corrected_f1"].metadata == {"rounds": {"1": 0.5, "2": 1 / 3}}
    used = sample.role_usage["agent"]
    assert (used.input_tokens, used.input_tokens_cache_read, used.output_tokens) == (260, 40, 50)
    assert (used.total_cost, sample.role_usage["user"].total_cost) == (0.75, 0.5)
    assert sample.metadata["calls"] == [asdict(call) for call in CALLS]
    assert (sample.metadata["flags"], sample.metadata["users"]) == (["length"], "scripted")
    assert sample.metadata["protocol"] == "muses"
    assert datetime.fromisoformat(sample.completed_at) == LONG.started_at + timedelta(seconds=1.5)
    assert sample.error is None
    assert samples["second"].role_usage == {}  # an unknown token count is left out, not replaced


def test_a_greeting_is_no_reply_of_the_model(tmp_path: Path) -> None:
    """The greeting belongs to the input of the sample, and the calls remain those of the replies."""
    greeting = Message(0, "agent", ("Ana", "Ben"), "Good day.")
    greeted = replace(LONG, messages=(SAID[0], greeting, *SAID[1:]))
    store = open_store(str(tmp_path / "store"))
    fill(store, greeted)
    ((sample,),) = (log.samples for log in logs(store, tmp_path / "logs"))
    assert [message.role for message in sample.input] == ["system", "assistant", "user", "user"]
    assert said(sample) == list(greeted.messages)
    assert [event.retries for event in sample.events] == [2, 0]


def test_an_agent_is_named_with_its_calls(tmp_path: Path) -> None:
    """The log has the agent as an argument of its task; a reply is one event, however many calls it took."""
    events = (Event(1, 1, "call", "a draft"), Event(1, 1, "log", "checked"))
    guarded = replace(LONG, base_model="m", agent="guard", facts="structured", calls=(CALLS[0], *CALLS), events=events)
    store = open_store(str(tmp_path / "store"))
    agent = {"name": "guard", "facts": "structured"}
    run = replace(RUN, models={"model-a": {**RUN.models["model-a"], "base_model": "m", "agent": agent}})
    fill(store, guarded, run=run)
    (log,) = logs(store, tmp_path / "logs", run)
    assert log.eval.task_args == {"agent": agent}
    assert [log.eval.metadata[name] for name in ("base_model", "agent", "facts")] == ["m", "guard", "structured"]
    (sample,) = log.samples
    assert sample.metadata["events"] == [asdict(event) for event in events]
    assert [event.retries for event in sample.events] == [None, None]
    assert sample.role_usage["agent"].total_tokens == sum(
        call.prompt_tokens + call.completion_tokens for call in guarded.calls if call.role == "agent"
    )


def said(sample: Any) -> list[Message]:
    """Returns the transcript in a sample's messages."""
    found = []
    for message in sample.messages:
        about = message.metadata
        content = message.text
        if message.role == "user":
            content = content.removeprefix(f"{about['sender']}: ")
        found.append(Message(about["turn"], about["sender"], tuple(about["audience"]), content))
        deliveries = about.get("deliveries", ())
        found += [Message(about["turn"], "agent", tuple(d["audience"]), d["content"]) for d in deliveries]
    return found


def test_a_failure_is_an_error_and_no_score(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store"))
    fill(store, LOST)
    (log,) = logs(store, tmp_path / "logs")
    (sample,) = log.samples
    assert sample.error.message == "infra_failed: timeout: no answer in 120 s"
    assert sample.scores is None
    assert said(sample) == list(SAID[:3])
    assert sample.events[-1].error == LOST.error
    assert log.results.completed_samples == 0


@pytest.mark.filterwarnings("ignore:The inplace keyword")
def test_the_dataframes_of_inspect(tmp_path: Path) -> None:
    from inspect_ai.analysis import evals_df, events_df, messages_df, samples_df

    store = open_store(str(tmp_path / "store"))
    fill(store, LONG, SECOND, LOST)
    logs(store, tmp_path / "logs")
    folder = str(tmp_path / "logs")
    assert list(evals_df(folder, quiet=True)["task_name"]) == ["queue"]
    samples = samples_df(folder, quiet=True).set_index("sample_id")
    assert samples.loc[LONG.episode_id, "score_corrected_f1"] == 1 / 3
    assert samples.loc[LONG.episode_id, "total_tokens"] == 350 + 15
    assert pd.isna(samples.loc[LOST.episode_id, "score_corrected_f1"])
    assert samples.loc[LOST.episode_id, "error"].startswith("infra_failed")
    messages = messages_df(folder, quiet=True)
    long = messages[messages["sample_id"] == LONG.episode_id].sort_values("order")
    assert list(long["content"])[1:3] == [f"Ana: {SAID[1].content}", "Ben: "]
    assert list(long["role"]) == ["system", "user", "user", "assistant", "user", "assistant"]
    assert list(messages[messages["sample_id"] == LOST.episode_id]["role"]) == ["system", "user", "user"]
    assert len(events_df(folder, quiet=True)) == 4


def test_a_scenario_in_several_templates_is_several_samples(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store"))
    run = replace(RUN, templates=("says", "xml"))
    fill(store, LONG, replace(LONG, episode_id="x", template="xml"), run=run)
    (log,) = logs(store, tmp_path / "logs", run)
    assert {sample.id for sample in log.samples} == {"s1:says", "s1:xml"}


def test_a_large_cell_is_several_logs(tmp_path: Path) -> None:
    """Large cells are split into several logs, which together contain every episode once."""
    store = open_store(str(tmp_path / "store"))
    fill(store, *(replace(LONG, episode_id=f"e{number}", scenario_id=f"s{number}") for number in range(7)))
    found = logs(store, tmp_path / "logs", log_episodes=3)
    assert [len(log.samples) for log in found] == [3, 3, 1]
    assert sorted(sample.uuid for log in found for sample in log.samples) == [f"e{number}" for number in range(7)]
    assert {log.results.completed_samples for log in found} == {7}
    assert len({log.eval.eval_id for log in found}) == 3


def test_a_log_is_replaced_only_when_that_is_wanted(tmp_path: Path) -> None:
    store = open_store(str(tmp_path / "store"))
    fill(store, LONG)
    logs(store, tmp_path / "logs")
    with pytest.raises(ConfigError, match=r"queue_model-a\.eval exists already; .* --force"):
        logs(store, tmp_path / "logs")
    logs(store, tmp_path / "logs", replace=True)
    assert len(list((tmp_path / "logs").iterdir())) == 1


def test_without_inspect_the_message_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = open_store(str(tmp_path / "store"))
    fill(store, LONG)
    monkeypatch.setitem(sys.modules, "inspect_ai.log", None)
    from muses_eval.storage.export.inspect_logs import export_inspect

    with (
        connect(store.url, "run-a") as connection,
        pytest.raises(ConfigError, match=r"`make setup` installs it .* `pip install inspect-ai` alone"),
    ):
        list(export_inspect(connection, RUN, tmp_path, replace=False))
