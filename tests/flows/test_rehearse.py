"""``muses rehearse``: a run against a provider that injects faults, and the counts of both sides."""

import asyncio
import json
import re
import signal
import subprocess
import sys
import urllib.error
import urllib.request
from pathlib import Path
from typing import Any

import pytest
from muses_eval.flows.cli.rehearse import read_fault_profile
from muses_eval.flows.job.evaluate import NO_OBSERVER
from muses_eval.flows.job.rehearsal import RehearsalReport, accounts_of, declared_limits, redirect_models, rehearse
from muses_eval.flows.settings import read_settings
from muses_eval.pipeline.config.parse import parse_config
from muses_eval.pipeline.config.run import RunConfig
from muses_eval.storage.query.duckdb_connection import connect
from muses_eval.workers.rehearsal.fault_profile import PRESETS, Distribution, Fault, FaultProfile, HardLimits, Latency
from muses_eval.workers.rehearsal.provider import RehearsalProvider

from tests.conftest import Muses

ROOT = Path(__file__).parents[2]
QUICK = Latency(base=Distribution(least=0.0, most=0.01))
TROUBLE = FaultProfile(
    latency=QUICK,
    faults=tuple(
        Fault(kind=kind, share=0.02)
        for kind in (
            "rate_limited",
            "server_error",
            "reset",
            "cut_off",
            "garbled",
            "wrong_json",
            "html",
            "error_inside",
        )
    ),
    limits=HardLimits(retry_after="none"),
)


def config(tmp_path: Path, name: str = "r", **more: object) -> RunConfig:
    raw: dict[str, Any] = {
        "name": name,
        "run_id": name,
        "store": str(tmp_path / "store"),
        "dataset": "generated:2",
        "models": [{"model": "openai:small", "api_key_env": "NOT_SET"}],
        "users": {"model": "anthropic:other", "base_url": "https://users.example/v1"},
    }
    return parse_config({**raw, **more}, "test")


def rehearsed(parsed: RunConfig, weather: FaultProfile, tmp_path: Path) -> RehearsalReport:
    settings = read_settings({"MUSES_HOME": str(tmp_path / "home")})
    return asyncio.run(rehearse(parsed, weather, settings, NO_OBSERVER))


def scores(parsed: RunConfig) -> list[tuple[Any, ...]]:
    with connect(parsed.store, parsed.run_id) as connection:
        return connection.execute(
            "SELECT episode_id, scoring, metric, round, value FROM scores ORDER BY ALL"
        ).fetchall()


def test_trouble_changes_the_books_and_not_the_scores(tmp_path: Path) -> None:
    """With faults, a run of all families and a users' model has the same scores, and every call is accounted for."""
    calm, rough = (config(tmp_path, name, users={"model": "openai:other"}) for name in ("calm", "rough"))
    undisturbed = rehearsed(calm, FaultProfile(latency=QUICK), tmp_path)
    disturbed = rehearsed(rough, TROUBLE, tmp_path)
    for result in (undisturbed, disturbed):
        assert result.report.outcomes["scored"] == result.report.planned == 8
        assert result.must_match
        assert result.disagreements == ()
        assert set(result.totals.by_model) == {"small", "other"}
    assert disturbed.totals.asked > undisturbed.totals.asked == undisturbed.totals.answered
    assert sum(disturbed.totals.faulted.values()) > 0
    assert scores(calm) == scores(rough) != []


def test_episodes_that_failed_leave_answers_that_nobody_kept(tmp_path: Path) -> None:
    """Calls of failed episodes may be missing from the store without a disagreement."""
    parsed = config(tmp_path, families=["access"], users="scripted", coverage=0)
    dead = FaultProfile(latency=QUICK, faults=(Fault(kind="server_error", share=0.5),))
    parsed = parsed.model_copy(update={"models": (parsed.models[0].model_copy(update={"max_retries": 0}),)})
    result = rehearsed(parsed, dead, tmp_path)
    assert result.report.outcomes["infra_failed"] > 0
    assert not result.must_match
    assert result.disagreements == ()
    assert result.recorded.tries < result.totals.asked


def test_disagreements_are_found(tmp_path: Path) -> None:
    from dataclasses import replace

    from muses_eval.workers.rehearsal.request_log import TokenUsage

    result = rehearsed(config(tmp_path, families=["queue"], users="scripted"), FaultProfile(latency=QUICK), tmp_path)
    one_more = {model: tokens + TokenUsage(1, 5, 5) for model, tokens in result.recorded.by_model.items()}
    wrong = replace(result, recorded=replace(result.recorded, by_model=one_more, tries=99))
    assert len(wrong.disagreements) == 2
    assert "small" in wrong.disagreements[0]
    assert "99 attempts" in wrong.disagreements[1]
    assert len(replace(wrong, killed=(1,)).disagreements) == 2
    fewer = replace(result, recorded=replace(result.recorded, by_model={}, tries=0))
    assert len(fewer.disagreements) == 2
    assert replace(fewer, killed=(1,)).disagreements == ()


def test_every_called_model_is_pointed_at_the_provider(tmp_path: Path) -> None:
    """A redirected model keeps its name, limits and number of addresses, and loses its key and engine."""
    parsed = config(
        tmp_path,
        models=[
            "scripted/oracle",
            {"model": "openai:a", "base_url": ["http://one/v1", "http://two/v1"], "requests_per_minute": 60},
            {"model": "anthropic:b", "account": "team", "tokens_per_minute": 500},
            {"model": "anthropic:c", "account": "team", "tokens_per_minute": 900, "max_concurrency": 3},
            {"model": "vllm:d", "name": "D", "engine": {"replicas": 2}},
        ],
        users="scripted",
        cache="local",
        execution={"executor": "ray", "ray_address": "far:6379"},
    )
    accounts = accounts_of(parsed)
    provider = RehearsalProvider(FaultProfile())
    pointed = redirect_models(parsed, provider, accounts)
    home = provider.base_url().removesuffix("/v1")
    urls = [model.base_url for model in pointed.models]
    assert urls == [
        None,
        (f"{home}/one-v1/0/v1", f"{home}/one-v1/1/v1"),
        (f"{home}/team/v1",),
        (f"{home}/team/v1",),
        (f"{home}/vllm-d/v1",),
    ]
    assert [model.spec().name for model in pointed.models] == [model.spec().name for model in parsed.models]
    assert [model.spec().provider for model in pointed.models][2:] == ["anthropic", "anthropic", "openai"]
    assert all(model.api_key_env is None and model.engine is None for model in pointed.models)
    assert (pointed.cache, pointed.execution.ray_address) == ("off", None)
    assert declared_limits(parsed, accounts) == {
        "one-v1": HardLimits(requests_per_minute=60),
        "team": HardLimits(tokens_per_minute=500, concurrency=3),
        "vllm-d": HardLimits(),
    }


@pytest.mark.slow
@pytest.mark.integration
def test_killed_workers_change_nothing_but_the_time(tmp_path: Path) -> None:
    """When a Ray worker is killed every few seconds, every episode is still scored once, with the same scores."""
    more = {"families": ["queue"], "dataset": "generated:40"}
    calm = config(tmp_path, "calm", **more)
    rehearsed(calm, FaultProfile(latency=QUICK), tmp_path)
    execution = {"executor": "ray", "workers": 2, "shard_size": 1, "shards_per_worker": 1}
    ray = config(tmp_path, "ray", **more, execution=execution)
    result = rehearsed(
        ray, FaultProfile(latency=Latency(base=Distribution(median=0.5)), kill_worker_every_s=3), tmp_path
    )
    assert result.killed
    assert result.report.outcomes["scored"] == result.report.planned == 40
    assert result.disagreements == ()
    assert scores(ray) == scores(calm) != []


def test_the_command_prints_both_sides_books(muses: Muses, tmp_path: Path) -> None:
    told = ("rehearse", "--model", "openai:gpt-9", "--family", "queue", "--dataset", "generated:2", "--weather")
    (tmp_path / "w.yaml").write_text("like: calm\nlatency: {base: 0.01}\n")
    done = muses(*told, "w.yaml", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["episodes"]["scored"] == found["provider"]["asked"] == found["recorded"]["calls"] == 2
    assert found["books_agree"]
    assert found["coverage"] == 1
    assert found["store"] == str(tmp_path / ".muses" / "rehearsal")
    assert "scores mean nothing" in done.stderr
    table = muses(*told, "w.yaml")
    assert table.returncode == 0, table.stderr
    assert re.search(r"requests, and our tries +2 +2", table.stdout)
    assert "The counts of the provider and the store agree." in table.stdout
    assert not (tmp_path / ".muses" / "store").exists()


def test_a_rehearsal_that_falls_short_says_so(muses: Muses, tmp_path: Path) -> None:
    (tmp_path / "w.yaml").write_text("faults: [{kind: server_error, status: 503}]\n")
    (tmp_path / "c.yaml").write_text(
        "models: [{model: 'openai:m', max_retries: 0}]\nfamilies: [queue]\ndataset: generated:2\n"
    )
    done = muses("rehearse", "c.yaml", "--weather", "w.yaml", "--json")
    assert done.returncode == 3, done.stderr
    found = json.loads(done.stdout)
    assert found["episodes"]["infra_failed"] == found["provider"]["faulted"]["server_error"] == 2
    assert found["coverage"] == 0


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ((), "nothing to run"),
        (("--model", "scripted/oracle"), "nothing to rehearse"),
        (
            ("--model", "openai:m", "--weather", "rain"),
            "no fault profile 'rain' (No such file or directory); name a YAML",
        ),
        (("--model", "openai:m", "--weather", "bad.yaml"), "bad.yaml: storms: unknown key"),
        (("--model", "openai:m", "--weather", "like.yaml"), "like.yaml: like: no preset 'rain'; expected one of calm"),
        (("--model", "openai:m", "--weather", "kills"), "add --executor ray"),
        (("--model", "openai:m", "--store", ".muses/store"), "is the store of the run"),
    ],
)
def test_bad_usage(muses: Muses, tmp_path: Path, arguments: tuple[str, ...], problem: str) -> None:
    (tmp_path / "bad.yaml").write_text("storms: 1")
    (tmp_path / "like.yaml").write_text("like: rain")
    done = muses("rehearse", *arguments)
    assert done.returncode == 2
    assert problem in done.stderr
    assert "Traceback" not in done.stderr


def test_a_file_may_start_from_a_preset(tmp_path: Path) -> None:
    path = tmp_path / "w.yaml"
    path.write_text("like: storm\nseed: 9\n")
    assert read_fault_profile(str(path)) == PRESETS["storm"].model_copy(update={"seed": 9})


def test_the_example_is_a_weather() -> None:
    weather = read_fault_profile(str(ROOT / "infra" / "rehearsal.yaml"))
    assert weather.limits is not None
    assert len(weather.changes) == 2


def test_serving_by_hand_ends_with_the_books(tmp_path: Path) -> None:
    (tmp_path / "c.yaml").write_text("models: [{model: 'openai:m', account: team, requests_per_minute: 1}]")
    command = [sys.executable, "-m", "muses_eval", "rehearse", "c.yaml", "--serve", "--weather", "calm", "--json"]
    process = subprocess.Popen(
        command,
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stderr
        said = process.stderr.readline()
        url = re.search(r"http://127\.0\.0\.1:\d+/team/v1", said)
        assert url, said
        document = json.dumps({"model": "m", "messages": [{"role": "user", "content": "Hello"}]}).encode()
        request = urllib.request.Request(f"{url[0]}/chat/completions", document)
        assert json.load(urllib.request.urlopen(request))["choices"]
        with pytest.raises(urllib.error.HTTPError, match="429"):
            urllib.request.urlopen(request)
        process.send_signal(signal.SIGINT)
        stdout, _ = process.communicate(timeout=30)
    finally:
        process.kill()
        process.communicate()
    books = json.loads(stdout)
    assert (books["asked"], books["answered"], books["refused"]) == (2, 1, {"requests": 1})
    assert process.returncode == 0


def test_a_rehearsal_has_the_prices_of_the_run(tmp_path: Path) -> None:
    """Redirected models keep their prices, also those from the price table, so that a cap in USD can hold."""
    real = config(tmp_path, models=["openai:gpt-6-sol"], users="anthropic:claude-haiku-5-5", budget={"usd": 1})
    with RehearsalProvider(FaultProfile()) as provider:
        there = redirect_models(real, provider, accounts_of(real))
    assert real.users is not None
    assert there.users is not None
    assert there.models[0].spec().prices == real.models[0].spec().prices is not None
    assert there.users.spec().prices == real.users.spec().prices is not None
