"""The stall alarm ends a run in which no model responds, and no other run."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from muses_eval.flows.job.progress import account_lines
from muses_eval.flows.job.stall_alarm import StallAlarm, stall_message
from muses_eval.storage.objects.open_store import open_store
from muses_eval.storage.runs.shards import read_index
from muses_eval.workers.limits import AccountStatus, LimitsSnapshot

from tests.conftest import Muses
from tests.prefect_server import PrefectServer
from tests.provider import Provider, slow

TRYING = AccountStatus(
    name="http://one/v1 (KEY)",
    calls_per_s=9.9,
    tokens_per_s=1000.0,
    refused_share=0.003,
    failed_share=0.0,
    requests_per_minute=600.0,
    tokens_per_minute=None,
    concurrency=64,
    source="declared",
    in_flight=12,
    waiting=40,
    paused_s=0.0,
    answered=100,
    refused=3,
    failed=2,
    success_age_s=None,
    try_age_s=1.0,
    problem="HTTP 503",
)


def alarm_after(status: AccountStatus, seconds: float) -> bool:
    return StallAlarm(60.0, 0.0).stalled(LimitsSnapshot((status,)), seconds)


@pytest.mark.parametrize(
    ("status", "stalled"),
    [
        (TRYING, True),
        (replace(TRYING, success_age_s=59.0), False),
        (replace(TRYING, success_age_s=61.0), True),
        (replace(TRYING, in_flight=0, waiting=0), True),  # between two attempts
        (replace(TRYING, in_flight=0, waiting=0, try_age_s=500.0), False),  # done
        (replace(TRYING, in_flight=0, waiting=0, try_age_s=None), False),
    ],
)
def test_what_a_stall_is(status: AccountStatus, stalled: bool) -> None:
    assert alarm_after(status, 1000.0) is stalled


def test_not_before_the_time_is_over() -> None:
    assert not alarm_after(TRYING, 59.0)
    assert alarm_after(TRYING, 60.0)


def test_one_account_that_answers_is_enough() -> None:
    fine = replace(TRYING, success_age_s=1.0)
    assert not StallAlarm(60.0, 0.0).stalled(LimitsSnapshot((TRYING, fine)), 1000.0)


def test_nobody_calls_anything() -> None:
    """A run of built-in agents, which make no calls, never stalls."""
    assert not StallAlarm(60.0, 0.0).stalled(LimitsSnapshot(), 1000.0)


def test_the_message_says_since_when_who_and_what_to_do() -> None:
    text = stall_message(LimitsSnapshot((TRYING,)), 90.0, datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC))
    assert "for 1.5 minutes (since 2026-01-02 03:04:05 UTC)" in text
    assert "  http://one/v1 (KEY): 12 calls in flight, 40 waiting, 100 answered, 3 refused, 2 failed" in text
    assert "; last: HTTP 503" in text
    assert "start the same command again" in text


def test_the_live_view_shows_use_against_the_limit() -> None:
    two = replace(TRYING, name="two", requests_per_minute=None, refused_share=0.0, paused_s=3.0, source="free")
    rest = "60,000 tokens/min · 12 of 64 in flight · 40 waiting"
    assert account_lines([TRYING, two]) == [
        f"  http://one/v1 (KEY) · 594 of 600 calls/min (declared) · {rest} · 0.3% refused",
        f"  two · 594 calls/min (free) · {rest} · paused for 3 s",
    ]


def stalled_config(provider: Provider, folder: Path, **execution: object) -> Path:
    file = folder / "stall.json"
    file.write_text(
        json.dumps(
            {
                "models": [{"model": "openai:m", "base_url": provider.base_url, "max_retries": 1000}],
                "families": ["queue"],
                "store": str(folder / "store"),
                "execution": {"stall_minutes": 0.05, **execution},
            }
        )
    )
    return file


def test_a_run_that_stalls_ends_with_3_and_keeps_what_is_finished(muses: Muses, tmp_path: Path) -> None:
    stalls(muses, tmp_path, "run")


@pytest.mark.slow
@pytest.mark.integration
@pytest.mark.own_process
def test_so_does_a_flow(muses: Muses, prefect: PrefectServer, tmp_path: Path) -> None:
    stalls(muses, tmp_path, "flow", "evaluate", PREFECT_API_URL=prefect.url)


def stalls(muses: Muses, tmp_path: Path, *command: str, **environment: str) -> None:
    """Asserts that a stalled run ends with exit code 3, names the reason and has stored its finished episode."""
    with Provider(script=[None, *[slow(600.0)] * 1000], reply=lambda _: "{}") as provider:
        done = muses(*command, str(stalled_config(provider, tmp_path)), **environment)
    assert done.returncode == 3, done.stderr
    assert "no model has responded for 0.05 minutes (since " in done.stderr
    assert provider.base_url in done.stderr
    assert "Traceback" not in done.stderr
    store = open_store(str(tmp_path / "store"))
    runs = [path.stem for path in (tmp_path / "store" / "runs").glob("*.json")]
    assert len(read_index(store, runs[0]).scored) == 1
