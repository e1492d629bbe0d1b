"""Without a terminal, a run says how far it is: early, at intervals, and not too often."""

import asyncio
import contextlib
import io
import time
from dataclasses import replace
from itertools import pairwise
from pathlib import Path

import pytest
from muses_eval.flows.job.evaluate import evaluate
from muses_eval.flows.job.prepare import PreparedRun, prepare_without_lock
from muses_eval.flows.job.progress import ProgressDisplay
from muses_eval.flows.job.progress_log import ProgressLog
from muses_eval.flows.job.run_pace import RunPace, joint_time_left
from muses_eval.flows.settings import read_settings
from muses_eval.pipeline.config.parse import parse_config
from muses_eval.pipeline.text.quantities import duration_text
from muses_eval.storage.objects.object_keys import ShardKey
from muses_eval.workers.limits import LimitsSnapshot
from muses_eval.workers.play.shard_summary import ShardSummary

from tests.prefect_server import PATIENCE_S
from tests.provider import Provider


class Clock:
    """A clock that a test sets."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


def prepared(folder: Path, epochs: int = 1) -> PreparedRun:
    raw = {"models": ["scripted/oracle"], "dataset": "generated:100", "families": ["queue"], "run_id": "mine"}
    return prepare_without_lock(parse_config({**raw, "epochs": epochs, "store": str(folder)}, "here"))


def paced(run: PreparedRun, clock: Clock) -> PreparedRun:
    """Returns the run with a pace by *clock*."""
    run = replace(run, pace=RunPace(clock))
    run.pace.expect(run.plan.run_id, run.plan.cells)
    return run


def play_shard(run: PreparedRun, clock: Clock, number: int, seconds: float) -> None:
    """Plays a shard of the run; the clock stands at its end afterwards."""
    (cell,) = run.plan.cells
    key = ShardKey(run.plan.run_id, cell.slug, cell.family, number, 1)
    run.pace.started(key, len(cell.shards[number].episodes))
    clock.now += seconds
    run.pace.ended(key, stored=True)


def played(scored: int, failed: int = 0, cost_usd: float | None = 0.5) -> ShardSummary:
    return ShardSummary("", {"scored": scored, "infra_failed": failed}, {}, cost_usd)


def left(run: PreparedRun) -> str:
    seconds = run.pace.time_left()
    assert seconds is not None
    return duration_text(seconds)


def test_a_short_run_says_nothing(tmp_path: Path) -> None:
    said, clock = list[str](), Clock()
    log = ProgressLog(said.append, clock)
    log.begin(prepared(tmp_path))
    clock.now = 50.0
    for clock.now in (100.0, 105.0, 109.9):  # the time begins with the first status
        log.status(LimitsSnapshot())
        log.add(played(2))
    clock.now = 160.0
    log.add(played(94))  # the last shard: the result follows
    assert said == []


def test_a_long_run_says_how_far_it_is(tmp_path: Path) -> None:
    said, clock = list[str](), Clock()
    log = ProgressLog(said.append, clock)
    run = paced(prepared(tmp_path), clock)
    log.begin(run)
    log.tick()
    clock.now = 10.0
    log.tick()
    play_shard(run, clock, 0, 10.0)
    log.add(played(9))  # no failure, no tenth, no interval
    assert said == ["run mine: 0 of 100 episodes (0%)"]
    log.add(played(0, failed=1))
    assert said[1:] == [f"run mine: 10 of 100 episodes (10%) · 1 failed · $1.00 · about {left(run)} left"]
    clock.now = 49.0
    log.tick()
    log.add(played(1, cost_usd=None))
    assert len(said) == 2
    clock.now = 50.0
    log.tick()
    assert said[2:] == [f"run mine: 11 of 100 episodes (11%) · 1 failed · cost unknown · about {left(run)} left"]
    run.pace.is_paused = True
    log.say_now()
    assert " · paused · about " in said[3]


def test_the_number_of_lines_is_bounded(tmp_path: Path) -> None:
    """A day of ticks every second, with a shard every ten seconds, is a few hundred lines, at most 300 s apart."""
    said, clock = list[float](), Clock()
    log = ProgressLog(lambda _: said.append(clock.now), clock)
    log.begin(prepared(tmp_path, epochs=100))
    for second in range(86_400):
        clock.now = float(second)
        if second % 10 == 0:
            log.add(played(1))
        log.tick()
    assert len(said) < 400
    assert max(later - earlier for earlier, later in pairwise(said)) <= 300


def test_several_runs_are_one_line(tmp_path: Path) -> None:
    said, clock = list[str](), Clock()
    log = ProgressLog(said.append, clock)
    first, second = (paced(prepared(tmp_path / name), clock) for name in ("a", "b"))
    log.begin(first)
    log.begin(second)
    log.tick()
    play_shard(first, clock, 0, 10.0)
    seconds = joint_time_left([first.pace, second.pace])
    assert seconds is not None
    assert 50 < seconds < 90  # seven shards of ten seconds, one after the other
    log.add(played(50, cost_usd=0.0))
    assert said == [f"2 runs: 50 of 200 episodes (25%) · about {duration_text(seconds)} left"]


def test_a_run_without_a_terminal(tmp_path: Path) -> None:
    """The line comes while the run is played: the server holds its replies until it is there."""
    said = io.StringIO()

    def reply(_: object) -> str:
        end = time.monotonic() + PATIENCE_S
        while "of 2 episodes" not in said.getvalue():
            assert time.monotonic() < end, "no line of progress"
            time.sleep(0.05)
        return "{}"

    with Provider(reply=reply) as provider, contextlib.redirect_stderr(said):
        model = {"model": "openai:m", "base_url": provider.base_url}
        raw = {"models": [model], "dataset": "generated:2", "families": ["queue"], "run_id": "mine"}
        config = parse_config({**raw, "store": str(tmp_path)}, "here")
        display = ProgressDisplay(clock=lambda: 60 * time.monotonic())
        asyncio.run(evaluate(config, read_settings({"MUSES_HOME": str(tmp_path)}), display.observer))
    lines = said.getvalue().splitlines()
    assert lines[0] == "run mine: 0 of 2 episodes (0%) · 2 calls in flight, 0 waiting"


def test_quiet_shows_warnings_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clock = Clock()
    display = ProgressDisplay(quiet=True, clock=clock)
    stored = display.begin(prepared(tmp_path))
    for clock.now in (1.0, 100.0):
        stored(played(10, failed=1))
        display.status(LimitsSnapshot())
    display.warn("careful")
    assert capsys.readouterr() == ("", "careful\n")
