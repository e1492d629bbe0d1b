"""Notifications: their texts, their delivery, no credentials in them, and no run that fails because of them."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from muses_eval.storage.objects.open_store import open_store
from muses_eval.storage.runs.nights import Flag, NightReport
from muses_eval.storage.runs.run_lock import hold_run_lock

from tests.conftest import Muses
from tests.prefect_server import PrefectServer
from tests.receiver import Receiver
from tests.s3_server import free_ports

KEY = "sk-proj-0123456789abcdefABCDEF"


def night(**changes: Any) -> NightReport:
    facts: dict[str, Any] = {
        "run_id": "nightly-2026-11-23",
        "canary_id": "nightly-canary-2026-11-23",
        "store": "s3://evals/store",
        "started_at": datetime(2026, 11, 23, 1, tzinfo=UTC),
        "seconds": 600.0,
        "planned": 100,
        "scored": 100,
        "canary_planned": 20,
        "canary_scored": 20,
        "complete": True,
        "budget_reached": False,
        "cost_usd": 1.5,
        "cells_played": 2,
        "cells_reused": 6,
        "before": "nightly-2026-11-22",
        "flags": (),
        "problems": (),
        "notes": (),
        "site": "s3://evals/store/site/runs/nightly-2026-11-23/index.html",
    }
    return NightReport(**facts | changes)


def flag(kind: Any) -> Flag:
    return Flag(
        kind=kind,
        model="Qwen3-4B",
        column="privacy",
        now=0.61,
        before=0.83,
        difference=-0.22,
        se=0.05,
        p_adjusted=0.0004,
        scenarios=80,
        against="nightly-2026-11-22",
        runs=1,
    )


def test_a_night_is_published_in_one_message() -> None:
    from muses_eval.flows.prefect_flows.notifications import night_notifications

    (published,) = night_notifications(night(flags=(flag("improvement"),)))
    assert published.event == "publication"
    assert published.text.splitlines() == [
        "nightly-2026-11-23: 100 of 100 episodes scored, $1.50",
        "where: s3://evals/store/site/runs/nightly-2026-11-23/index.html",
        "since: 2026-11-23 01:00:00 UTC",
        "cells: 2 played, 6 reused",
        "more: muses leaderboard --run nightly-2026-11-23 --store s3://evals/store",
    ]


def test_what_is_missing_from_a_night_is_in_its_message() -> None:
    from muses_eval.flows.prefect_flows.notifications import night_notifications

    (published,) = night_notifications(night(scored=90, complete=False, problems=("10 x auth: wrong key",)))
    assert "90 of 100" in published.what
    assert "10 x auth: wrong key" in published.details
    assert any("coverage is short" in detail for detail in published.details)


def test_a_regression_is_a_message_of_its_own() -> None:
    from muses_eval.flows.prefect_flows.notifications import night_notifications

    _, moved = night_notifications(night(flags=(flag("regression"), flag("improvement"), flag("drift"))))
    assert moved.event == "regression"
    assert moved.what.startswith("nightly-2026-11-23: 2 significant changes")
    assert moved.since == "compared with nightly-2026-11-22"
    assert [detail.split(":")[0] for detail in moved.details] == ["regression", "drift"]
    assert "61.0, was 83.0" in moved.details[0]
    assert moved.more == "muses flow status --name nightly --store s3://evals/store"


def test_no_message_holds_a_key() -> None:
    from muses_eval.flows.prefect_flows.notifications import failure_notification
    from prefect.client.schemas.objects import FlowRun
    from prefect.states import Failed

    run = FlowRun(
        id=UUID(int=7),
        flow_id=UUID(int=8),
        name="evaluate-tonight",
        start_time=datetime(2026, 11, 23, 1, tzinfo=UTC),
        parameters={"config": {"store": "s3://me:Pa55word@evals/store"}},
    )
    notification = failure_notification(run, Failed(message=f"EndpointError: 401 for {KEY}\nsecond line"))
    assert KEY in notification.text
    masked = notification.masked()
    assert KEY not in masked.text
    assert "Pa55word" not in masked.text
    assert masked.text.splitlines() == [
        "evaluate-tonight: failed",
        "where: store s3://me:[credential]@evals/store",
        "since: 2026-11-23 01:00:00 UTC",
        "EndpointError: 401 for [credential]",
        "second line",
        f"more: prefect flow-run logs {UUID(int=7)}",
    ]


@pytest.mark.slow
@pytest.mark.integration
def test_messages_arrive_at_every_kind_of_block(
    prefect: PrefectServer, receiver: Receiver, caplog: pytest.LogCaptureFixture
) -> None:
    """A block that is missing, broken or of the wrong type does not prevent messages to other blocks."""
    import logging

    from muses_eval.flows.prefect_flows.notifications import night_notifications, send_notifications
    from prefect.blocks.notifications import CustomWebhookNotificationBlock, SlackWebhook
    from prefect.blocks.system import Secret
    from prefect.blocks.webhook import Webhook
    from prefect.settings import PREFECT_API_URL, temporary_settings

    # Prefect removes the handlers of the root logger.
    logging.getLogger("muses_eval.flows.prefect_flows.notifications").addHandler(caplog.handler)
    notifications = night_notifications(night(flags=(flag("regression"),)))

    async def save_and_tell() -> None:
        await Webhook(url=receiver.address("/hook")).save("plain", overwrite=True)
        await Webhook(url=receiver.address("/broken")).save("broken", overwrite=True)
        # Slack's block accepts the address of any notification service.
        await SlackWebhook(url=receiver.address("/slack", "json")).save("team", overwrite=True)
        await Secret(value="x").save("no-messenger", overwrite=True)
        custom = CustomWebhookNotificationBlock(
            name="custom", url=receiver.address("/custom"), json_data={"title": "{{subject}}", "text": "{{body}}"}
        )
        await custom.save("mine", overwrite=True)
        blocks = ("webhook/missing", "webhook/broken", "secret/no-messenger", "webhook/plain", "slack-webhook/team")
        await send_notifications(notifications, (*blocks, "custom-webhook/mine"))

    with temporary_settings({PREFECT_API_URL: prefect.url}):
        asyncio.run(save_and_tell())
    published, moved = receiver.at("/hook")
    assert (published["event"], moved["event"]) == ("publication", "regression")
    assert published["where"] == night().site
    assert published["text"] == notifications[0].text
    assert [message["message"] for message in receiver.at("/slack")] == [
        notification.text for notification in notifications
    ]
    assert receiver.at("/custom")[1] == {
        "title": f"muses: regression: {notifications[1].what}",
        "text": notifications[1].text,
    }
    for name in ("webhook/missing", "webhook/broken", "secret/no-messenger"):
        assert f"no message could be sent to {name}" in caplog.text
    assert receiver.address("/broken") not in caplog.text  # an address may be a secret


@pytest.mark.slow
@pytest.mark.integration
def test_a_flow_that_fails_tells_so(muses: Muses, prefect: PrefectServer, receiver: Receiver, tmp_path: Path) -> None:
    from prefect.blocks.webhook import Webhook
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: prefect.url}):
        Webhook(url=receiver.address("/failed")).save("on-failure", overwrite=True)
    (port,) = free_ports(1)
    (tmp_path / "run.yaml").write_text(
        f"""
        name: doomed-loudly
        models: [{{model: "openai:m", base_url: "http://127.0.0.1:{port}/v1"}}]
        dataset: generated:1
        notify: [webhook/on-failure]
        """
    )
    done = muses("flow", "evaluate", "run.yaml", PREFECT_API_URL=prefect.url)
    assert done.returncode == 2
    (message,) = receiver.at("/failed")
    assert message["event"] == "failure"
    assert message["what"] == "evaluate-doomed-loudly: failed"
    assert message["where"] == f"store {tmp_path}/.muses/store"
    assert any("no model of this run can be reached" in detail for detail in message["details"])
    (run,) = [run for run in prefect.runs("evaluate") if run.name == "evaluate-doomed-loudly"]
    assert message["more"] == f"prefect flow-run logs {run.id}"
    assert message["since"].startswith(f"{run.start_time:%Y-%m-%d %H:%M}")


@pytest.mark.slow
@pytest.mark.integration
def test_a_night_is_told_once(muses: Muses, prefect: PrefectServer, receiver: Receiver, tmp_path: Path) -> None:
    """A night sends one notification; a start sends none if the night is finished or another start holds it."""
    from prefect.blocks.webhook import Webhook
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: prefect.url}):
        Webhook(url=receiver.address("/night")).save("of-the-night", overwrite=True)
    config = "models: [scripted/oracle]\nfamilies: [queue]\ndataset: generated:2\nnotify: [webhook/of-the-night]\n"
    (tmp_path / "night.yaml").write_text(config)

    def play(day: int) -> int:
        command = ("flow", "nightly", "night.yaml", "--store=store", f"--date=2026-01-0{day}")
        return muses(*command, PREFECT_API_URL=prefect.url).returncode

    def told() -> list[str]:
        return [message["event"] for message in receiver.at("/night")]

    assert (play(1), play(1), told()) == (0, 0, ["publication"])
    store = open_store(str(tmp_path / "store"))
    with hold_run_lock(store, "nightly-canary-2026-01-02", "muses flow nightly"):
        assert (play(2), told()) == (2, ["publication"])
    with hold_run_lock(store, "nightly-canary-2026-01-02", "muses rescore"):
        assert (play(2), told()) == (2, ["publication", "failure"])


@pytest.mark.slow
@pytest.mark.integration
def test_upkeep_that_finds_damage_tells_so(
    muses: Muses, prefect: PrefectServer, receiver: Receiver, tmp_path: Path
) -> None:
    from prefect.blocks.webhook import Webhook
    from prefect.settings import PREFECT_API_URL, temporary_settings

    with temporary_settings({PREFECT_API_URL: prefect.url}):
        Webhook(url=receiver.address("/damage")).save("on-damage", overwrite=True)
    config = "models: [scripted/oracle]\nfamilies: [queue]\ndataset: generated:1\nnotify: [webhook/on-damage]\n"
    (tmp_path / "run.yaml").write_text(config)
    assert muses("run", "run.yaml", "--run-id=broken", "--store=store").returncode == 0
    (shard,) = (tmp_path / "store" / "traces").rglob("*.parquet")
    shard.write_bytes(shard.read_bytes()[:-50])
    done = muses("flow", "maintain", "run.yaml", "--store=store", PREFECT_API_URL=prefect.url)
    assert done.returncode == 2, done.stderr
    (message,) = receiver.at("/damage")
    store = str(tmp_path / "store")
    assert (message["event"], message["what"]) == ("failure", "damaged runs: broken")
    assert (message["where"], message["since"]) == (f"store {store}", "found by the last maintenance")
    assert message["more"] == f"muses store verify broken --store {store}"
    assert any(str(shard.relative_to(store)) in detail for detail in message["details"])
