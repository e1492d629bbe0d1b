"""Monitors a run while it is played: reports the status of its accounts, and ends it when no model responds."""

import asyncio
import time
from collections.abc import Callable, Coroutine
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any, TypeVar

from muses_eval.pipeline.errors import Stalled
from muses_eval.pipeline.text.count_text import count_text
from muses_eval.storage.runs.account_state import AccountState
from muses_eval.workers.limits import AccountStatus, LimitsSnapshot
from muses_eval.workers.play.executor import Executor

T = TypeVar("T")

OnStatus = Callable[[LimitsSnapshot], None]
"""Called every second with the status of the accounts that a run uses."""
CHECK_EVERY_S = 1.0
_STILL_TRYING_S = 180.0
"""Time after the last attempt of an account until it counts as idle; retries wait at most two minutes."""


def ignore_status(_: LimitsSnapshot) -> None:
    """Ignores the status."""


def publish_status(record: Callable[[tuple[AccountState, ...]], None], on_status: OnStatus) -> OnStatus:
    """Returns an observer that passes the status to *on_status* and to *record*, which stores it with the run lock."""
    names = [part.name for part in fields(AccountState)]

    def publish(snapshot: LimitsSnapshot) -> None:
        on_status(snapshot)
        record(tuple(AccountState(**{name: getattr(each, name) for name in names}) for each in snapshot.accounts))

    return publish


@dataclass(slots=True)
class StallAlarm:
    """Detects that no account has responded for too long although calls are in flight or waiting.

    A run of built-in agents makes no calls, so it never stalls; neither does a run whose calls are complete.
    """

    limit_s: float
    last_success: float
    """Time of the last response, or of the last check without a call in flight: servers may have been starting."""

    def stalled(self, snapshot: LimitsSnapshot, now: float) -> bool:
        ages = [status.success_age_s for status in snapshot.accounts if status.success_age_s is not None]
        self.last_success = max([self.last_success, *(now - age for age in ages)])
        if not any(map(_is_trying, snapshot.accounts)):
            self.last_success = now
        return now - self.last_success >= self.limit_s


def _is_trying(status: AccountStatus) -> bool:
    tried = status.try_age_s is not None and status.try_age_s < _STILL_TRYING_S
    return tried or status.in_flight > 0 or status.waiting > 0


def stall_message(snapshot: LimitsSnapshot, limit_s: float, since: datetime) -> str:
    """Returns the message of a stall: since when, the state of each account, and what to do."""
    lines = [f"no model has responded for {limit_s / 60:g} minutes (since {since:%Y-%m-%d %H:%M:%S} UTC):"]
    for status in snapshot.accounts:
        last = f"; last: {status.problem}" if status.problem else ""
        lines.append(
            f"  {status.name}: {count_text(status.in_flight, 'call')} in flight, {status.waiting} waiting, "
            f"{status.answered} answered, {status.refused} refused, {status.failed} failed{last}"
        )
    lines.append(
        "Finished episodes are stored. When the endpoints respond again, start the same command again. "
        "execution.stall_minutes sets the limit."
    )
    return "\n".join(lines)


async def stop_if_stalled(
    playing: Coroutine[Any, Any, T],
    executor: Executor,
    stall_minutes: float,
    on_status: OnStatus = ignore_status,
    is_paused: Callable[[], bool] = lambda: False,
) -> T:
    """Returns the result of *playing*.  An error of *on_status* ends it as well.

    Raises:
        Stalled: no model responded while the run was not paused; *playing* has been cancelled.
    """
    player = asyncio.create_task(playing)
    observer = asyncio.create_task(_wait_for_stall(executor, stall_minutes * 60, on_status, is_paused))
    try:
        await asyncio.wait((player, observer), return_when=asyncio.FIRST_COMPLETED)
        if not player.done():
            observer.result()  # raises
        return await player
    finally:
        for task in (player, observer):
            task.cancel()
        await asyncio.gather(player, observer, return_exceptions=True)


async def _wait_for_stall(
    executor: Executor, limit_s: float, on_status: OnStatus, is_paused: Callable[[], bool]
) -> None:
    alarm = StallAlarm(limit_s, time.monotonic())
    while True:
        await asyncio.sleep(CHECK_EVERY_S)
        snapshot = await executor.snapshot()
        on_status(snapshot)
        now = time.monotonic()
        if is_paused():
            alarm.last_success = now
        elif alarm.stalled(snapshot, now):
            since = datetime.fromtimestamp(time.time() - (now - alarm.last_success), UTC)
            raise Stalled(stall_message(snapshot, limit_s, since))
