"""Consecutive nights without Prefect: played cells, reused cells, reports and failures."""

import asyncio
import re
import shutil
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field, replace
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from muses_eval.dashboards.tables.leaderboard import leaderboard_records, render_leaderboard
from muses_eval.flows.job.evaluate import DIRECT, NO_OBSERVER, Driver, OnShard, play_all
from muses_eval.flows.job.prepare import PreparedRun
from muses_eval.flows.nightly.fresh_cells import FreshCells
from muses_eval.flows.nightly.night import WORK, NightResult, nightly
from muses_eval.flows.nightly.night_history import last_nights
from muses_eval.flows.nightly.publish_site import publish
from muses_eval.flows.settings import Settings
from muses_eval.pipeline.config.execution import ExecutionConfig
from muses_eval.pipeline.config.model_spec import ModelSpec
from muses_eval.pipeline.config.parse import parse_config
from muses_eval.pipeline.errors import ConfigError, StoreError
from muses_eval.storage.analysis.leaderboard import leaderboard
from muses_eval.storage.analysis.night_marks import NightMark
from muses_eval.storage.objects.object_store import ObjectStore
from muses_eval.storage.objects.open_store import open_store
from muses_eval.storage.query.duckdb_connection import connect
from muses_eval.storage.runs.manifest import list_run_ids, read_manifest
from muses_eval.storage.runs.newest_run import newest_run
from muses_eval.storage.runs.nights import Night, report_of
from muses_eval.storage.runs.run_lock import RunLockedError, hold_run_lock
from muses_eval.storage.upkeep.compaction import compact
from muses_eval.storage.upkeep.verify import verify
from muses_eval.workers.play.executor import Executor, OnStart, ignore_start
from muses_eval.workers.play.inline_executor import InlineExecutor
from muses_eval.workers.play.shard_spec import ShardSpec
from muses_eval.workers.play.shard_summary import ShardSummary
from muses_eval.workers.vllm.gpu_scheduler import GpuScheduler

from tests.provider import Provider, Response, failed, refused
from tests.released import RELEASED
from tests.s3_server import S3Server, free_ports

ALL = re.compile(r"\btask_\w+|\b[a-z]+_task_\d+|\b\d+\b")
SCENARIOS, CANARY = 10, 8
CALLS = 2 * SCENARIOS
"""Number of calls of a model that plays queue and instruct, with one turn each."""


@dataclass
class Script:
    """A provider's script: replies ``{}`` to every request, or the next item of ``trouble``."""

    text: Callable[[Mapping[str, Any]], str] = lambda _: "{}"
    trouble: list[Response | None] = field(default_factory=list)

    def say(self, request: Mapping[str, Any]) -> str:
        return self.text(request)

    def __iter__(self) -> Iterator[Response | None]:
        return self

    def __next__(self) -> Response | None:
        return self.trouble.pop(0) if self.trouble else None


@dataclass
class Board:
    """A nightly evaluation of one model beside a built-in agent."""

    store: ObjectStore
    provider: Provider
    script: Script
    raw: dict[str, Any]
    home: Path

    def night(self, day: int, driver: Driver = DIRECT, fresh: FreshCells | None = None, **changes: Any) -> NightResult:
        config = parse_config({**self.raw, **changes}, "here.yaml")
        settings = Settings(self.home, "unused", None, self.home)
        self.warnings: list[str] = []
        observer = replace(NO_OBSERVER, warn=self.warnings.append)
        night = Night("nightly", date(2026, 11, day))
        return asyncio.run(nightly(config, settings, night, observer, driver, fresh=fresh))

    def calls(self) -> int:
        """Returns the number of calls since the last count."""
        seen = len(self.provider.completions)
        counted, self._seen = seen - getattr(self, "_seen", 0), seen
        return counted

    def ask(self, query: str) -> list[tuple[Any, ...]]:
        with connect(self.store.url) as connection:
            return connection.execute(query).fetchall()


@contextmanager
def board_over(url: str, home: Path, models: Response | None = None) -> Iterator[Board]:
    script = Script()
    with Provider(reply=script.say, script=script, models=models) as provider:
        raw = {
            "models": [
                "scripted/compliant",
                {"model": "openai:m", "base_url": provider.base_url, "prices": {"input": 1.0, "output": 1.0}},
            ],
            "dataset": f"generated:{SCENARIOS}",
            "families": ["queue", "instruct"],
            "store": url,
            "nightly": {"canary": CANARY, "alpha": 0.05},
            "execution": {"shard_size": 4},
        }
        yield Board(open_store(url), provider, script, raw, home)


@pytest.fixture
def board(tmp_path: Path) -> Iterator[Board]:
    """A nightly evaluation before its first night."""
    with board_over(str(tmp_path / "store"), tmp_path) as board:
        yield board


@pytest.fixture(scope="module")
def first_night(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The store after one night."""
    home = tmp_path_factory.mktemp("nights")
    with board_over(str(home / "store"), home) as board:
        board.night(1)
    return home / "store"


@pytest.fixture
def later(first_night: Path, tmp_path: Path) -> Iterator[Board]:
    """A nightly evaluation before its second night, with a provider that has had no call yet."""
    shutil.copytree(first_night, tmp_path / "store")
    with board_over(str(tmp_path / "store"), tmp_path) as board:
        yield board


def played_in(board: Board, run_id: str) -> dict[tuple[str, str], str]:
    return {(cell.model, cell.family): cell.played_in for cell in read_manifest(board.store, run_id).cells}


def test_the_first_night(board: Board) -> None:
    """The first night plays all cells and the canary, notes that it has no earlier night, and seals both runs."""
    result = board.night(1)
    report = result.report
    assert board.calls() == CALLS + 2 * CANARY
    assert (report.planned, report.scored, report.canary_planned, report.canary_scored) == (
        40,
        40,
        4 * CANARY,
        4 * CANARY,
    )
    assert (report.complete, report.coverage, report.before, report.flags) == (True, 1.0, None, ())
    assert (report.cells_played, report.cells_reused) == (4, 0)
    assert report.cost_usd == result.night.cost_usd + result.canary.cost_usd > 0  # type: ignore[operator]
    assert any("no earlier sealed night" in note for note in report.notes)
    assert any("no earlier canary" in note for note in report.notes)
    manifests = [read_manifest(board.store, run_id) for run_id in (report.run_id, report.canary_id)]
    assert [manifest.state for manifest in manifests] == ["sealed", "sealed"]
    assert report_of(manifests[0]) == report
    assert {cell.played_in for cell in manifests[1].cells} == {report.canary_id}


def test_no_key_is_kept_with_what_failed(tmp_path: Path) -> None:
    """A key in a provider's error message is kept neither in the report nor in the manifest."""
    key = "sk-ant-api03-" + "Ab1" * 12
    refusal = refused(401, f"Incorrect API key provided: {key}")
    with board_over(str(tmp_path / "store"), tmp_path, models=refusal) as board:
        report = board.night(1).report
    assert any(problem.startswith("20 x auth: ") for problem in report.problems)
    assert key not in str(report)
    assert key not in str(read_manifest(board.store, report.run_id).night)


def test_later_nights_take_over_what_has_not_changed(later: Board) -> None:
    """Later nights call models only for the canary; reused cells keep their scores and the name of their source run."""
    second, third = later.night(2).report, later.night(3).report
    assert later.calls() == 2 * 2 * CANARY
    assert (second.cells_played, second.cells_reused, second.before) == (0, 4, "nightly-2026-11-01")
    assert (third.cells_reused, third.before) == (4, "nightly-2026-11-02")
    assert set(played_in(later, third.run_id).values()) == {"nightly-2026-11-01"}
    assert (third.planned, third.scored, third.flags) == (40, 40, ())
    rows = later.ask(
        "SELECT run_id, count(*), count(*) FILTER (list_contains(flags, 'reused')), sum(cost_usd),"
        " max(len(list_filter(flags, lambda f: f = 'reused'))) FROM episodes"
        " WHERE run_id NOT LIKE '%canary%' GROUP BY ALL ORDER BY ALL"
    )
    assert [(row[1], row[2], row[4]) for row in rows] == [(40, 0, 0), (40, 40, 1), (40, 40, 1)]
    assert rows[0][3] > 0
    assert [row[3] for row in rows[1:]] == [0.0, 0.0]
    same = "SELECT * EXCLUDE (run_id) FROM leaderboard WHERE run_id = '{}' ORDER BY ALL"
    one, three = (later.ask(same.format(run_id)) for run_id in ("nightly-2026-11-01", "nightly-2026-11-03"))
    assert one == three
    assert all(not verify(later.store, run_id).findings for run_id in list_run_ids(later.store))
    canary = "SELECT count(*) FROM episodes WHERE run_id LIKE '%canary%' AND list_contains(flags, 'reused')"
    assert later.ask(canary) == [(0,)]


def test_what_has_changed_is_played(later: Board) -> None:
    """When one model's sampling changes, only its cells are played."""
    scripted, model = later.raw["models"]
    result = later.night(2, models=[scripted, {**model, "sampling": {"temperature": 0.5}}])
    assert later.calls() == CALLS + 2 * CANARY
    assert (result.report.cells_played, result.report.cells_reused) == (2, 2)
    assert played_in(later, result.report.run_id) == {
        ("scripted/compliant", "queue"): "nightly-2026-11-01",
        ("scripted/compliant", "instruct"): "nightly-2026-11-01",
        ("m", "queue"): "nightly-2026-11-02",
        ("m", "instruct"): "nightly-2026-11-02",
    }


def say_more(request: Mapping[str, Any]) -> str:
    """Returns a reply that accepts every number in the prompt, so that its scores differ from those of ``{}``."""
    text = " ".join(str(message["content"]) for message in request["messages"])
    return f'{{"accepted_instructions": {sorted(set(ALL.findall(text)))!r}}}'.replace("'", '"')


def test_a_provider_that_changes_behind_a_name_is_noticed(later: Board) -> None:
    """When only the provider's model changes, its cells are reused, the canary reports drift, and both are marked."""
    later.script.text = say_more
    result = later.night(2)
    report = result.report
    assert report.cells_reused == 4
    assert {(flag.kind, flag.model, flag.column) for flag in report.flags} == {("drift", "m", "queue_f1")}
    assert report.alarms == report.flags
    assert (report.flags[0].against, report.flags[0].runs) == ("nightly-canary-2026-11-01", 1)
    source = "nightly-2026-11-01"
    marks = {"queue_f1": NightMark(source, drift=True), "instruct_accuracy": NightMark(source)}
    with connect(later.store.url) as connection:
        (stored,) = [row for row in leaderboard(connection, run_id=report.run_id) if row.model == "m"]
    (shown,) = [row for row in result.night.rows if row.model == "m"]
    assert stored.marks == shown.marks == marks
    (record,) = [each for each in leaderboard_records(result.night.rows) if each["model"] == "m"]
    assert record["marks"]["queue_f1"] == {"taken_over_from": source, "drift": True}
    text = render_leaderboard(result.night.rows, "table")
    assert [text.count(mark) for mark in ("†", "‡")] == [4 + 1, 1 + 1]
    assert f"† taken over: played in {source}, not in this night" in text
    page = later.store.get(f"site/runs/{report.run_id}/index.html").decode()
    assert (page.count(">taken over<"), page.count(">drift<")) == (4, 1)


@pytest.mark.slow
def test_chosen_cells_are_played_anew_also_in_a_finished_night(later: Board) -> None:
    """The new episodes replace the copies; a second start plays nothing, and the other cells stay taken over."""
    later.night(2)
    later.script.text = say_more
    later.calls()
    fresh = FreshCells(models=("m",), families=("queue",))
    result = later.night(2, fresh=fresh, nightly={**later.raw["nightly"], "confirm": 0})
    assert (later.calls(), result.did_work) == (SCENARIOS, True)
    assert (result.report.cells_played, result.report.cells_reused) == (1, 3)
    assert {(flag.kind, flag.column) for flag in result.report.flags} == {("improvement", "queue_f1")}
    played = {part for part, run_id in played_in(later, result.report.run_id).items() if run_id == "nightly-2026-11-02"}
    assert played == {("m", "queue")}
    (row,) = [row for row in result.night.rows if row.model == "m"]
    assert (list(row.marks), row.episodes) == (["instruct_accuracy"], 2 * SCENARIOS)
    copies = "SELECT count(*) FROM episodes WHERE run_id = 'nightly-2026-11-02' AND list_contains(flags, 'reused')"
    assert later.ask(copies) == [(3 * SCENARIOS,)]
    assert (later.night(2, fresh=fresh).report, later.calls()) == (result.report, 0)
    with pytest.raises(ConfigError, match="--fresh: the night has no model n; it has: m, scripted/compliant"):
        later.night(2, fresh=FreshCells(models=("n",)))


def test_a_fresh_night_takes_nothing_over(later: Board) -> None:
    report = later.night(2, fresh=FreshCells()).report
    assert (report.cells_played, report.cells_reused, later.calls()) == (4, 0, CALLS + 2 * CANARY)


@pytest.mark.parametrize("confirm", [1, pytest.param(0, marks=pytest.mark.slow)])
def test_a_flag_that_a_replay_does_not_confirm_is_no_alarm(later: Board, confirm: int) -> None:
    """The replay is a run of its own beside the canary, whose scores stay; nothing is replayed with confirm: 0."""
    first = [say_more] * (2 * CANARY)
    later.script.text = lambda request: first.pop()(request) if first else "{}"
    report = later.night(2, nightly={**later.raw["nightly"], "confirm": confirm}).report
    flags, replay = (report.unconfirmed, report.flags)[:: 1 if confirm else -1], "nightly-canary-confirm-2026-11-02"
    assert [[(flag.kind, flag.model, flag.column) for flag in part] for part in flags] == [
        [("drift", "m", "queue_f1")],
        [],
    ]
    assert later.calls() == (2 + confirm) * CANARY
    assert report_of(read_manifest(later.store, report.run_id)) == report
    runs = f"run_id IN ('{report.canary_id}', '{replay}')"
    scores = later.ask(f"SELECT model FROM leaderboard WHERE scoring = 'published' AND {runs}")
    assert len(scores) == 2 + confirm  # the scripted agent is not replayed
    if confirm:
        assert read_manifest(later.store, replay).state == "sealed"
        with connect(later.store.url) as connection:
            assert newest_run(connection) == report.run_id


@pytest.mark.slow
def test_a_regression_is_replayed_beside_the_night(later: Board) -> None:
    """A regression that persists is an alarm; the night keeps its own scores and pays for the replay."""
    scripted, model = later.raw["models"]
    later.script.text = say_more
    later.night(2, models=[scripted, {**model, "sampling": {"seed": 1}}])
    later.script.text = lambda _: "{}"
    later.calls()
    report = later.night(3, models=[scripted, {**model, "sampling": {"seed": 2}}]).report
    assert [(flag.kind, flag.model, flag.column) for flag in report.alarms] == [("regression", "m", "queue_f1")]
    assert (report.unconfirmed, later.calls()) == ((), CALLS + 2 * CANARY + SCENARIOS)
    (cost,) = later.ask("SELECT sum(cost_usd) FROM episodes WHERE run_id LIKE '%-03'")
    assert report.cost_usd == pytest.approx(cost[0])
    runs = later.ask("SELECT run_id, count(*) FROM episodes WHERE run_id LIKE 'nightly-confirm%' GROUP BY ALL")
    assert runs == [("nightly-confirm-2026-11-03", SCENARIOS)]


def test_what_was_played_is_held_against_the_night_before(later: Board) -> None:
    """A better score is reported without an alarm; the canary has no history with the new sampling."""
    later.script.text = say_more
    scripted, model = later.raw["models"]
    report = later.night(2, models=[scripted, {**model, "sampling": {"seed": 1}}]).report
    (flag,) = report.flags
    assert "m differs from nightly-2026-11-01: other sampling" in report.notes
    assert (flag.kind, flag.model, flag.column) == ("improvement", "m", "queue_f1")
    assert (flag.against, flag.now > flag.before, report.alarms) == ("nightly-2026-11-01", True, ())


def test_a_model_that_has_gone(later: Board) -> None:
    """A removed model is named in the notes, and the others are evaluated."""
    report = later.night(2, models=["scripted/compliant", "scripted/refuse"]).report
    assert "in nightly-2026-11-01 and not in the config any more: model m" in report.notes
    assert "new since nightly-2026-11-01: model scripted/refuse" in report.notes
    assert (report.complete, report.cells_played, report.cells_reused) == (True, 2, 2)


@pytest.mark.slow
def test_a_model_that_was_left_out_for_a_night(later: Board) -> None:
    """Cells of a model that returns after a night are reused from the night before; only the canary calls the model."""
    later.night(2, models=["scripted/compliant"])
    report = later.night(3).report
    assert later.calls() == 2 * CANARY
    assert (report.before, report.cells_reused) == ("nightly-2026-11-02", 4)
    assert set(played_in(later, report.run_id).values()) == {"nightly-2026-11-01"}
    assert report.scored == report.planned


def test_other_scenarios(later: Board) -> None:
    """With other scenarios, nothing is reused or compared, and a note says so."""
    report = later.night(2, dataset=f"generated:{SCENARIOS}@7").report
    assert later.calls() == CALLS + 2 * CANARY
    assert (report.cells_reused, report.flags) == (0, ())
    (note,) = [note for note in report.notes if "other scenarios" in note]
    assert note.startswith("other scenarios than in nightly-2026-11-01: instruct, queue; they are neither reused")


def test_another_protocol(later: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    """With another protocol, nothing is reused or compared, and a note says so."""
    monkeypatch.setattr("muses_eval.flows.job.prepare.load_protocol", lambda _: RELEASED)
    report = later.night(2, protocol="released").report
    assert (report.protocol, report.cells_reused, report.flags) == ("released", 0, ())
    assert "protocol released, in nightly-2026-11-01 muses: nothing is reused or compared" in report.notes


def test_a_second_start_changes_nothing(later: Board) -> None:
    """A second start of a finished night makes no calls and changes neither the report nor the sealed objects."""
    before = read_manifest(later.store, "nightly-2026-11-01")
    again = later.night(1)
    assert (again.report, again.did_work) == (report_of(before), False)
    assert later.calls() == 0
    assert read_manifest(later.store, "nightly-2026-11-01") == before


def test_a_night_that_was_cut_off_goes_on(board: Board) -> None:
    """A night that was interrupted does not replay finished episodes, and its report covers the whole night."""

    async def stops(run: PreparedRun, executor: Executor, on_shard: OnShard) -> list[ShardSummary]:
        half = replace(run, pending=replace(run.pending, cells=run.pending.cells[-1:]))
        await play_all(half, executor, on_shard)
        raise StoreError("the machine went away")

    with pytest.raises(StoreError, match="went away"):
        board.night(1, Driver(WORK, play=stops))
    assert report_of_night(board, 1) is None
    first = board.calls()
    assert board.night(1).report.scored == 40
    assert first + board.calls() == CALLS + 2 * CANARY


def test_a_night_that_ended_before_it_was_sealed_is_still_news(board: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise StoreError("the disk is full")

    monkeypatch.setattr("muses_eval.flows.nightly.night.compact", full)
    with pytest.raises(StoreError, match="disk is full"):
        board.night(1)
    monkeypatch.undo()
    assert board.calls() == CALLS + 2 * CANARY
    assert board.night(1).did_work
    assert board.calls() == 0
    assert not board.night(1).did_work


def test_a_night_goes_on_with_the_config_that_it_began_with(later: Board) -> None:
    with pytest.raises(StoreError) as refused:
        later.night(1, models=["scripted/compliant"])
    told = str(refused.value).splitlines()
    assert "'nightly-canary-2026-11-01' exists and was planned differently" in told[0]
    assert any(line.startswith("  model m: {") for line in told)
    assert told[-1].startswith("A night continues with the config with which it started: undo the changes, or wait")
    assert "--run-id" not in str(refused.value)


@pytest.mark.slow
def test_taking_over_that_was_cut_off_goes_on(later: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the process ends when half a cell is copied, the next start copies the other half and makes no calls."""
    from muses_eval.storage.runs import reuse

    original, left = reuse.write_shard, iter(range(2))

    def write(*args: Any) -> bool:
        if next(left, None) is None:
            raise KeyboardInterrupt
        return original(*args)

    monkeypatch.setattr(reuse, "write_shard", write)
    with pytest.raises(KeyboardInterrupt):
        later.night(2)
    monkeypatch.undo()
    assert later.night(2).report.cells_reused == 4
    assert later.calls() == 2 * CANARY
    assert later.ask("SELECT count(*) FROM traces WHERE run_id = 'nightly-2026-11-02'") == [(40,)]


def test_what_cannot_be_taken_over_is_played(later: Board, monkeypatch: pytest.MonkeyPatch) -> None:
    """If the store fails after one cell is copied, the other cells are played, and a warning says so."""
    from muses_eval.storage.runs import reuse

    original, left = reuse.write_shard, iter(range(4))

    def write(*args: Any) -> bool:
        if next(left, None) is None:
            raise StoreError("the disk is full")
        return original(*args)

    monkeypatch.setattr(reuse, "write_shard", write)
    report = later.night(2).report
    assert any("some cells cannot be reused and are played: the disk is full" in w for w in later.warnings)
    assert (report.complete, report.scored, report.cells_reused, report.cells_played) == (True, 40, 1, 3)
    where = played_in(later, report.run_id)
    assert sorted(where.values()) == ["nightly-2026-11-01", *["nightly-2026-11-02"] * 3]
    assert later.ask(
        "SELECT count(*) FILTER (list_contains(flags, 'reused')) FROM episodes WHERE run_id = 'nightly-2026-11-02'"
    ) == [(14,)]  # includes the copied shard of the second cell


def test_of_two_at_once_one_leaves(board: Board) -> None:
    with hold_run_lock(board.store, "nightly-canary-2026-11-01", WORK), pytest.raises(RunLockedError) as refused:
        board.night(1)
    assert "the run 'nightly-canary-2026-11-01' is held by `muses flow nightly` on" in str(refused.value)


def test_what_failed_is_played_by_the_next_night(board: Board) -> None:
    """A partial night is sealed; the next night reuses its complete cells and plays the others."""
    board.script.trouble = [None] * (2 * CANARY) + [failed(400)]
    first = board.night(1).report
    assert (first.complete, first.scored) == (False, 39)
    assert any(problem.startswith("1 x ") for problem in first.problems)
    assert read_manifest(board.store, first.run_id).state == "sealed"
    board.calls()
    second = board.night(2).report
    assert (second.complete, second.cells_played, second.cells_reused) == (True, 1, 3)
    assert board.calls() == 2 * CANARY + SCENARIOS


@pytest.mark.slow
def test_a_model_that_is_away_for_some_nights(tmp_path: Path) -> None:
    """While a model does not respond, nights of the others are sealed, also when one night is started twice."""
    with board_over(str(tmp_path / "store"), tmp_path) as board:
        away = f"http://127.0.0.1:{free_ports(1)[0]}/v1"
        models = ["scripted/compliant", {"model": "openai:m", "base_url": away, "max_retries": 0}]
        for day in (1, 1, 2, 3):
            report = board.night(day, models=models).report
            assert (report.complete, report.scored, report.planned) == (False, 2 * SCENARIOS, 4 * SCENARIOS)
            assert read_manifest(board.store, report.run_id).state == "sealed"
        assert board.night(4).report.complete


@pytest.mark.slow
def test_a_damaged_night_before_costs_no_night(later: Board) -> None:
    """If the last night is damaged, all cells are played, and a warning and a note say so."""
    (entry,) = read_manifest(later.store, "nightly-2026-11-01").sealed
    later.store.delete(entry.key)
    later.store.put_if_absent(entry.key, b"no parquet")
    report = later.night(2).report
    assert later.calls() == CALLS + 2 * CANARY
    assert any("no cell is reused from nightly-2026-11-01" in warning for warning in later.warnings)
    assert any("could not be compared with the last sealed night" in note for note in report.notes)
    assert (report.complete, report.cells_reused) == (True, 0)


def test_the_pages_are_published(later: Board) -> None:
    """A night publishes pages of itself, its canary and runs without pages, and its comparison with the last night."""
    before, canary = "nightly-2026-11-01", "nightly-canary-2026-11-01"
    assert {"site/index.html", "site/history.html", "site/static/style.css"} <= keys(later, "site/")
    for run_id in (before, canary):
        assert {f"site/runs/{run_id}/{page}/index.html" for page in ("figures", "episodes")} <= keys(
            later, "site/runs/"
        )
    for key in keys(later, f"site/runs/{before}/"):
        later.store.delete(key)
    later.store.delete(f"site/runs/{canary}/figures/index.html")
    report = later.night(2).report
    assert report.site == later.store.uri(f"site/runs/{report.run_id}/index.html")
    for run_id in (before, report.run_id, report.canary_id):
        assert f"site/runs/{run_id}/index.html" in keys(later, "site/runs/")
    assert f"site/runs/{canary}/figures/index.html" not in keys(later, "site/runs/")  # it has pages already
    assert f"site/compare/{report.run_id}/{before}/index.html" in keys(later, "site/compare/")


def test_pages_of_deleted_runs_go(later: Board) -> None:
    """Only pages of deleted runs are removed; other files in the folder stay."""
    later.store.put_if_absent("site/ours.txt", b"a note")
    later.store.put_if_absent("site/compare/gone/nightly-2026-11-01/index.html", b"old")
    later.store.delete("runs/nightly-canary-2026-11-01.json")
    publish(later.store, ())
    site = keys(later, "site/")
    assert not any("canary" in key or "gone" in key for key in site)
    assert {"site/ours.txt", "site/runs/nightly-2026-11-01/index.html"} <= site
    assert publish(later.store, ("nightly-2026-11-01",)) == 0  # nothing to publish


def keys(board: Board, prefix: str) -> set[str]:
    return {info.key for info in board.store.list(prefix)}


@pytest.mark.slow
def test_one_pool_for_both_runs(board: Board) -> None:
    """A night and its canary share one executor, and none is opened when there is nothing to play."""
    opened = 0

    @asynccontextmanager
    async def counted(*args: Any) -> Any:
        nonlocal opened
        opened += 1
        async with DIRECT.open_executor(*args) as pool:
            yield pool

    driver = Driver(WORK, open_executor=counted)
    board.night(1, driver)
    board.night(1, driver)
    assert opened == 1


def test_the_last_nights(later: Board) -> None:
    """Nights are listed newest first, including an unfinished night and one whose manifest is unreadable."""
    later.night(2)
    manifest = read_manifest(later.store, "nightly-2026-11-02")
    text = later.store.get("runs/nightly-2026-11-02.json")
    for day, changed in ((3, text.replace(b'"state": "sealed"', b'"state": "open"')), (4, b"{}")):
        night = re.sub(rb'"night": \{.*\n  \}', b'"night": null', changed, flags=re.DOTALL)
        later.store.put_if_absent(f"runs/nightly-2026-11-0{day}.json", night.replace(b"2026-11-02", b"2026-11-03"))
    lines = last_nights(later.store, "nightly", 3)
    assert [(line.day.day, line.state, line.complete) for line in lines] == [
        (4, "unreadable", None),
        (3, "open", None),
        (2, "sealed", True),
    ]
    last = lines[-1]
    report = report_of(manifest)
    assert report is not None
    assert (last.coverage, last.cells_reused, last.cells_played) == (1.0, 4, 0)
    assert (last.cost_usd, last.seconds, last.flags) == (report.cost_usd, report.seconds, report.flags)
    assert lines[1].seconds is None
    assert "not a run's manifest" in lines[0].problems[0]


@pytest.mark.slow
@pytest.mark.integration
def test_nights_in_s3(s3: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in s3.environment.items():
        monkeypatch.setenv(name, value)
    url = "s3://muses-tests/nights"
    with board_over(url, tmp_path) as board:
        report = board.night(1).report
        assert report.complete
        assert report.site == f"{url}/site/runs/{report.run_id}/index.html"
        assert f"site/runs/{report.run_id}/index.html" in {info.key for info in board.store.list("site/")}


def report_of_night(board: Board, day: int) -> object:
    run_id = f"nightly-2026-11-{day:02}"
    return report_of(read_manifest(board.store, run_id)) if run_id in list_run_ids(board.store) else None


def test_a_sealed_night_that_owes_episodes_goes_on(board: Board) -> None:
    """A second start of a partial night plays the failed episodes and seals it again; its durations add up."""
    board.script.trouble = [None] * (2 * CANARY) + [failed(400)]
    first = board.night(1).report
    second = board.night(1).report
    assert (second.complete, second.scored) == (True, 40)
    assert all("are unusable" in problem for problem in second.problems)
    assert second.seconds > first.seconds
    assert second.started_at == first.started_at
    assert read_manifest(board.store, first.run_id).state == "sealed"
    assert compact(board.store, first.run_id).removed == 0


# Models that the night serves itself, on a fleet without real servers


@dataclass
class Engines:
    """A fleet that reports one version of vLLM."""

    version: str
    asked: int = 0

    async def start(self, models: Iterable[ModelSpec]) -> None:
        pass

    async def stop(self, models: Iterable[ModelSpec]) -> None:
        pass

    async def waves(self, models: Iterable[ModelSpec]) -> list[list[ModelSpec]]:
        return [list(models)]

    async def describe(self, models: Iterable[ModelSpec]) -> dict[str, dict[str, Any]]:
        self.asked += 1
        return {model.name: {"vllm": self.version, "build": "gpu"} for model in models}

    @asynccontextmanager
    async def open(self, execution: ExecutionConfig, _: Settings) -> AsyncIterator[Executor]:
        async with ServedInline(execution.shards_per_worker) as inner, GpuScheduler(inner, self) as staged:
            yield staged


class ServedInline(InlineExecutor):
    """An executor in which a built-in agent replaces a served model."""

    async def run(self, spec: ShardSpec, on_start: OnStart = ignore_start) -> ShardSummary:
        model = replace(spec.model, provider="scripted", model="refuse", engine=None)
        return await super().run(replace(spec, model=model), on_start)


@pytest.mark.slow
def test_an_engine_that_is_upgraded_plays_anew(board: Board) -> None:
    """An upgrade of vLLM makes the model's cells be played again and starts a new history of its canary."""
    changes: dict[str, Any] = {"models": ["vllm:m", "scripted/compliant"], "execution": {"executor": "ray"}}

    def night(day: int, engines: Engines) -> tuple[int, int, list[str]]:
        report = board.night(day, replace(DIRECT, open_executor=engines.open), **changes).report
        assert report.scored == report.planned
        return report.cells_played, report.cells_reused, [note for note in report.notes if "vLLM" in note]

    assert night(1, Engines("0.32.0")) == (4, 0, [])
    assert night(2, Engines("0.32.0")) == (0, 4, [])
    note = "m is served by vLLM 0.33.0 gpu, in nightly-2026-11-02 by 0.32.0 gpu"
    assert night(3, Engines("0.33.0")) == (2, 2, [note])
    assert played_in(board, "nightly-2026-11-03")["m", "queue"] == "nightly-2026-11-03"
    keys = [
        {(cell.model, cell.content_key) for cell in read_manifest(board.store, f"nightly-canary-2026-11-0{day}").cells}
        for day in (1, 2, 3)
    ]
    assert keys[0] == keys[1]
    assert {model for model, _ in keys[1] & keys[2]} == {"scripted/compliant"}
    again = Engines("0.34.0")
    night(3, again)
    assert again.asked == 0  # the night has nothing to play
