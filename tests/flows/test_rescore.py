"""Rescoring of stored transcripts: the same scorer gives the same scores, a new one adds new scores."""

import asyncio
import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest
from muses_eval.flows.job.evaluate import evaluate
from muses_eval.flows.job.rescore import FamilyReport, RescoreOptions, RescoreReport, rescore
from muses_eval.flows.settings import read_settings
from muses_eval.pipeline.config.parse import parse_config
from muses_eval.pipeline.episode.scenario import Scenario
from muses_eval.pipeline.episode.score import Score
from muses_eval.pipeline.episode.transcript import Transcript
from muses_eval.pipeline.errors import ConfigError, MusesError, StoreError
from muses_eval.pipeline.families import FAMILIES
from muses_eval.pipeline.families.family import Family
from muses_eval.pipeline.families.queue.family import QueueFamily
from muses_eval.storage.analysis.leaderboard import leaderboard
from muses_eval.storage.objects.object_keys import RescoredKey
from muses_eval.storage.objects.open_store import open_store
from muses_eval.storage.query.duckdb_connection import connect
from muses_eval.storage.runs.rescored import RescoredEpisode, read_pending_rescore, write_rescored
from muses_eval.storage.runs.run_lock import RunLockedError
from muses_eval.storage.upkeep.compaction import compact

from tests.conftest import Muses
from tests.provider import Provider, failed
from tests.s3_server import S3Server
from tests.shared import OFFICIAL, needs_shared

AGENTS = [f"scripted/{kind}" for kind in ("oracle", "compliant", "refuse", "random")]


@pytest.fixture
def store(tmp_path: Path) -> str:
    return str(tmp_path / "store")


def play(store: str, tmp_path: Path, **config: Any) -> str:
    """Plays a run and returns its id."""
    parsed = parse_config({"models": AGENTS, "store": store, **config}, "test")
    settings = read_settings({"MUSES_HOME": str(tmp_path)})
    return asyncio.run(evaluate(parsed, settings)).run_id


CURRENT = QueueFamily.scorer_version
NEXT = 1 + max(family.scorer_version for family in FAMILIES.values())
"""A version that no family has yet."""


class HarshQueue(QueueFamily):
    """A scorer of the queue that gives every episode 0.125."""

    scorer_version = QueueFamily.scorer_version + 1

    def score(self, scenario: Scenario[Any], transcript: Transcript) -> tuple[Score, ...]:
        return (Score("published", "f1", 0.125),)


def with_family(family: Family[Any]) -> Mapping[str, Family[Any]]:
    return {**FAMILIES, family.name: family}


def ask(store: str, query: str) -> list[tuple[Any, ...]]:
    with connect(store) as connection:
        return connection.execute(query).fetchall()


def raised(version: int) -> dict[str, Family[Any]]:
    """Returns all families with unchanged scorers under another scorer version."""
    return {
        name: type(type(family).__name__, (type(family),), {"scorer_version": version})()
        for name, family in FAMILIES.items()
    }


def assert_round_trip(store: str, run_id: str) -> None:
    """Asserts that the same scorers under a new version give every stored episode the scores that it already has."""
    played = ask(store, "SELECT family, count(*) FROM episodes GROUP BY ALL ORDER BY ALL")
    report = rescore(store, run_id, options=RescoreOptions(raised(NEXT)))
    assert [(one.family, one.rescored, one.changed) for one in report.families] == [(*pair, 0) for pair in played]
    columns = "run_id, model, family, scenario_id, episode_id, scoring, metric, round, value"
    first = f"SELECT {columns} FROM score_versions WHERE scorer_version < {NEXT}"
    second = f"SELECT {columns} FROM score_versions WHERE scorer_version = {NEXT}"
    assert ask(store, f"({first} EXCEPT ALL {second}) UNION ALL ({second} EXCEPT ALL {first})") == []
    assert ask(store, f"SELECT count(*) > 0 FROM ({second})") == [(True,)]


def test_transcripts_give_the_scores_they_gave(store: str, tmp_path: Path) -> None:
    """Stored transcripts of every family and agent, with several rounds and users, give the same scores again."""
    run_id = play(store, tmp_path, dataset="generated:6@3", epochs=2)
    assert ask(store, "SELECT count(DISTINCT family) FROM episodes") == [(len(FAMILIES),)]
    assert ask(store, "SELECT max(turns) > 1, min(num_users) > 1 FROM episodes WHERE family = 'access'") == [
        (True, True)
    ]
    assert_round_trip(store, run_id)


@needs_shared
def test_official_transcripts_too(store: str, tmp_path: Path) -> None:
    """Stored transcripts of the official access scenarios, with several templates and attacks, give the same scores."""
    run_id = play(store, tmp_path, dataset=str(OFFICIAL / "access_control"), limit=40)
    assert_round_trip(store, run_id)


def test_the_same_version_changes_nothing(store: str, tmp_path: Path) -> None:
    """Rescoring with the same scorer version writes nothing."""
    run_id = play(store, tmp_path, dataset="generated:3")
    before = sorted(path for path in Path(store).rglob("*") if path.is_file())
    report = rescore(store, run_id)
    assert [one.family for one in report.families] == sorted(FAMILIES)
    assert {(one.rescored, one.changed, one.current) for one in report.families} == {(0, 0, 12)}
    assert {one.family: one.scorer_version for one in report.families} == {
        name: family.scorer_version for name, family in FAMILIES.items()
    }
    assert sorted(path for path in Path(store).rglob("*") if path.is_file()) == before


def test_a_new_scorer_shows_and_the_old_stays(store: str, tmp_path: Path) -> None:
    """SQL and the leaderboard use the new scores, the old ones stay as a version, and a second start does nothing."""
    run_id = play(store, tmp_path, dataset="generated:5", families=["queue", "access"])
    old = ask(store, "FROM scores ORDER BY ALL")
    options = RescoreOptions(with_family(HarshQueue()), part_size=3)
    report = rescore(store, run_id, options=options)
    assert report == RescoreReport(
        run_id,
        store,
        ask(store, "SELECT dataset_version FROM runs")[0][0],
        (
            FamilyReport(
                family="access",
                scorer_version=FAMILIES["access"].scorer_version,
                rescored=0,
                changed=0,
                current=20,
                unscored=0,
            ),
            FamilyReport(
                family="queue", scorer_version=HarshQueue.scorer_version, rescored=20, changed=20, current=0, unscored=0
            ),
        ),
    )
    new = ask(store, "FROM scores ORDER BY ALL")
    assert [row for row in new if row[5] == "access"] == [row for row in old if row[5] == "access"]
    assert {row[-1] for row in new if row[5] == "queue"} == {0.125}
    with connect(store) as connection:
        rows = leaderboard(connection)
        assert {row.estimates["queue_f1"].mean for row in rows} == {0.125}
        assert {row.episodes for row in rows} == {10}
        assert connection.execute(
            "SELECT DISTINCT queue_f1 FROM leaderboard WHERE scoring = 'published'"
        ).fetchall() == [(0.125,)]
        kept = connection.execute(
            f"SELECT count(*) FROM score_versions WHERE family = 'queue' AND scorer_version = {CURRENT} AND NOT newest"
        ).fetchone()
    assert kept == (len([row for row in old if row[5] == "queue"]),)
    parts = list((Path(store) / "rescored").rglob("*.parquet"))
    assert len(parts) == 7  # 20 episodes, 3 per part
    again = rescore(store, run_id, options=options)
    assert [(one.rescored, one.current) for one in again.families] == [(0, 20), (0, 20)]
    assert list((Path(store) / "rescored").rglob("*.parquet")) == parts
    assert [one.rescored for one in rescore(store, run_id).families] == [0, 0]  # an older scorer reverts nothing
    assert ask(store, "SELECT DISTINCT value FROM scores WHERE family = 'queue'") == [(0.125,)]


class BreakingQueue(HarshQueue):
    """A scorer that fails after a number of episodes."""

    def __init__(self, good: int) -> None:
        self._left = good

    def score(self, scenario: Scenario[Any], transcript: Transcript) -> tuple[Score, ...]:
        self._left -= 1
        if self._left < 0:
            raise ZeroDivisionError("no more")
        return super().score(scenario, transcript)


def test_what_was_interrupted_is_completed(store: str, tmp_path: Path) -> None:
    """After a failure, complete parts stay, and the next start scores only the remaining episodes."""
    run_id = play(store, tmp_path, dataset="generated:3", families=["queue"])
    with pytest.raises(
        MusesError, match=rf"scorer of queue \(version {CURRENT + 1}\) failed on episode \w{{32}} .*ZeroDivisionError"
    ):
        rescore(store, run_id, options=RescoreOptions(with_family(BreakingQueue(5)), part_size=2))
    assert ask(store, "SELECT count(*) FROM rescored") == [(4,)]
    assert ask(store, "SELECT count(*) FROM scores WHERE value = 0.125 AND metric = 'f1'") >= [(4,)]
    seen: list[tuple[str, int, int]] = []
    options = RescoreOptions(with_family(HarshQueue()), 2, lambda *progress: seen.append(progress))
    (report,) = rescore(store, run_id, options=options).families
    assert (report.rescored, report.current) == (8, 4)
    assert seen == [("queue", done, 8) for done in (0, 2, 4, 6, 8)]
    assert ask(store, "SELECT count(*), count(DISTINCT episode_id) FROM rescored") == [(12, 12)]


class CuriousQueue(HarshQueue):
    """A scorer that runs a callback at its third episode."""

    def __init__(self, act: Callable[[], None]) -> None:
        self._act, self._calls = act, 0

    def score(self, scenario: Scenario[Any], transcript: Transcript) -> tuple[Score, ...]:
        self._calls += 1
        if self._calls == 3:
            self._act()
        return super().score(scenario, transcript)


def test_the_second_of_two_is_refused(store: str, tmp_path: Path) -> None:
    """A second rescore of the same run is refused with the name of the holder, and the first one completes."""
    run_id = play(store, tmp_path, dataset="generated:3", families=["queue"])
    refused = []

    def again() -> None:
        with pytest.raises(RunLockedError, match="held by `muses rescore`") as caught:
            rescore(store, run_id, options=RescoreOptions(with_family(HarshQueue())))
        refused.append(caught.value)

    (report,) = rescore(store, run_id, options=RescoreOptions(with_family(CuriousQueue(again)), part_size=2)).families
    assert (report.rescored, len(refused)) == (12, 1)


def test_a_late_writer_stores_nothing_twice(store: str, tmp_path: Path) -> None:
    """A process that has lost the lock and writes a part late stores no episode twice."""
    run_id = play(store, tmp_path, dataset="generated:3", families=["queue"])
    opened = open_store(store)

    def overtake() -> None:
        owed = read_pending_rescore(opened, run_id, "queue", CURRENT + 1)
        ids = [episode_id for each in owed.episodes.values() for episode_id in each]
        rows = [
            RescoredEpisode(run_id, episode_id, CURRENT + 1, (Score("published", "f1", 0.125),)) for episode_id in ids
        ]
        assert write_rescored(opened, RescoredKey(run_id, "queue", CURRENT + 1, owed.next_part), rows)

    (report,) = rescore(
        store, run_id, options=RescoreOptions(with_family(CuriousQueue(overtake)), part_size=2)
    ).families
    assert report.rescored == 2
    assert ask(store, "SELECT count(*), count(DISTINCT episode_id) FROM rescored") == [(12, 12)]


def test_a_sealed_run_is_rescored(store: str, tmp_path: Path) -> None:
    """A sealed run is rescored from its compacted transcripts, and the next compaction merges the new scores."""
    run_id = play(store, tmp_path, dataset="generated:4", families=["queue", "access"])
    compact(open_store(store), run_id)
    assert_round_trip(store, run_id)
    (report, *_) = [
        one
        for one in rescore(store, run_id, options=RescoreOptions(raised(NEXT + 1))).families
        if one.family == "queue"
    ]
    before = ask(store, "FROM scores ORDER BY ALL")
    assert (report.rescored, report.changed) == (16, 0)
    compact(open_store(store), run_id)
    assert ask(store, "SELECT count(*) FROM rescored") == [(0,)]
    assert ask(store, "SELECT DISTINCT scorer_version FROM episodes") == [(NEXT + 1,)]
    assert ask(store, "FROM scores ORDER BY ALL") == before


def test_failed_episodes_stay_unscored(store: str, tmp_path: Path) -> None:
    """Failed episodes are not rescored; once replayed, they get scores of the new version too."""
    with Provider(reply=lambda _: "{}", script=[failed(400)] * 3) as provider:
        model = {"model": "openai:m", "base_url": provider.base_url}
        config = {"models": [model], "dataset": "generated:8", "families": ["queue"]}
        run_id = play(store, tmp_path, **config)
        (report,) = rescore(store, run_id, options=RescoreOptions(with_family(HarshQueue()))).families
        assert (report.rescored, report.unscored) == (5, 3)
        assert ask(store, "SELECT outcome, count(*), sum(len(scores)) FROM episodes GROUP BY ALL ORDER BY ALL") == [
            ("infra_failed", 3, 0),
            ("scored", 5, 5),
        ]
        play(store, tmp_path, **config)
    (report,) = rescore(store, run_id, options=RescoreOptions(with_family(HarshQueue()))).families
    assert (report.rescored, report.current, report.unscored) == (3, 5, 0)


def test_scenarios_that_have_changed(store: str, tmp_path: Path) -> None:
    """If the scenarios have changed, the error names both versions; --dataset with the old scenarios works."""
    rows = [json.dumps(row) + "\n" for row in FAMILIES["queue"].generate(3, 1)]
    path, backup = tmp_path / "queue.jsonl", tmp_path / "backup.jsonl"
    path.write_text("".join(rows))
    backup.write_text("".join(reversed(rows)))
    run_id = play(store, tmp_path, dataset=str(path))
    ((version,),) = ask(store, "SELECT dataset_version FROM runs")
    path.write_text("".join(rows[1:]))
    with pytest.raises(ConfigError, match=rf"version {version} of .* now has version [0-9a-f]{{16}}.*\n.*--dataset"):
        rescore(store, run_id, options=RescoreOptions(with_family(HarshQueue())))
    path.unlink()
    with pytest.raises(ConfigError, match=rf"no such file(.|\n)*version {version} with --dataset"):
        rescore(store, run_id)
    assert ask(store, "SELECT count(*) FROM rescored") == [(0,)]
    (report,) = rescore(store, run_id, str(backup), RescoreOptions(with_family(HarshQueue()))).families
    assert report.rescored == 12


def test_families_added_since_do_not_matter(store: str, tmp_path: Path) -> None:
    """A family that was added to the dataset folder later does not prevent rescoring."""
    folder = tmp_path / "scenarios"
    folder.mkdir()
    (folder / "queue.jsonl").write_text("".join(json.dumps(row) + "\n" for row in FAMILIES["queue"].generate(3, 1)))
    run_id = play(store, tmp_path, dataset=str(folder))
    (folder / "access.jsonl").write_text("".join(json.dumps(row) + "\n" for row in FAMILIES["access"].generate(3, 1)))
    (report,) = rescore(store, run_id, options=RescoreOptions(with_family(HarshQueue()))).families
    assert report.rescored == 12


def test_unknown_runs_and_families(store: str, tmp_path: Path) -> None:
    """The message lists the runs or families that exist."""
    run_id = play(store, tmp_path, dataset="generated:2", families=["queue"])
    with pytest.raises(StoreError, match=f"no run 'other' in the store .*; it has {run_id}"):
        rescore(store, "other")
    with pytest.raises(MusesError, match="episodes of queue, for which this version has no scorer; it has: access"):
        rescore(store, run_id, options=RescoreOptions({"access": FAMILIES["access"]}))


def test_from_the_command_line(muses: Muses, s3: S3Server) -> None:
    """The command prints a table or JSON, over S3 too; an unknown run is a usage error."""
    store = "s3://muses-tests/rescore"
    played = muses(
        *("run", "--model=scripted/random", "--dataset=generated:3", "--family=queue", "--run-id=one"),
        f"--store={store}",
        **s3.environment,
    )
    assert played.returncode == 0, played.stderr
    done = muses("rescore", "one", f"--store={store}", "--json", **s3.environment)
    assert done.returncode == 0, done.stderr
    report = json.loads(done.stdout)
    assert (report["run_id"], report["store"]) == ("one", store)
    assert report["families"] == [
        {"family": "queue", "scorer_version": CURRENT, "rescored": 0, "changed": 0, "current": 3, "unscored": 0}
    ]
    table = muses("rescore", "one", f"--store={store}", **s3.environment)
    assert table.stdout.splitlines()[-1].split() == ["queue", str(CURRENT), "0", "0", "3", "0"]
    unknown = muses("rescore", "two", f"--store={store}", **s3.environment)
    assert unknown.returncode == 2
    assert "it has one" in unknown.stderr
    assert unknown.stdout == ""
