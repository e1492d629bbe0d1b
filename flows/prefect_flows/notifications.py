"""Notifications to people through Prefect blocks.

``notify`` in a configuration names the blocks: Slack, e-mail and the other notification blocks of Prefect, and plain
webhooks, which receive JSON.  A notification that cannot be sent never ends a run.  Credentials are masked.
"""

import logging
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from datetime import datetime
from itertools import product
from shlex import join
from typing import Any, Literal

from muses_eval.flows.nightly.night_text import flag_line
from muses_eval.pipeline.text.credential_masking import mask_credentials
from muses_eval.storage.runs.nights import Night, NightReport
from muses_eval.storage.runs.run_lock import RunLockedError
from prefect import Flow, State
from prefect.blocks import notifications as _blocks  # noqa: F401 - the import registers the kinds of blocks
from prefect.blocks.abstract import NotificationBlock
from prefect.blocks.core import Block
from prefect.blocks.webhook import Webhook
from prefect.client.orchestration import get_client
from prefect.client.schemas.objects import FlowRun

Event = Literal["failure", "regression", "publication"]
_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Notification:
    """One notification.  A webhook receives its fields and ``text`` as JSON."""

    event: Event
    what: str
    where: str
    since: str
    more: str
    """Command that shows more."""
    details: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """All fields as readable text."""
        facts = (f"where: {self.where}", f"since: {self.since}", *self.details, f"more: {self.more}")
        return "\n".join((self.what, *facts))

    def masked(self) -> "Notification":
        """Returns the notification without credentials, which an error message or an address may contain."""
        return Notification(
            event=self.event,
            what=mask_credentials(self.what)[0],
            where=mask_credentials(self.where)[0],
            since=self.since,
            more=mask_credentials(self.more)[0],
            details=tuple(mask_credentials(detail)[0] for detail in self.details),
        )


def failure_notification(flow_run: FlowRun, state: State[Any]) -> Notification:
    """Returns the notification of a flow run that failed, crashed or exceeded its time limit."""
    config = flow_run.parameters.get("config") or {}
    started = flow_run.start_time or flow_run.expected_start_time
    return Notification(
        event="failure",
        what=f"{flow_run.name}: {state.name.lower() if state.name else 'failed'}",
        where=f"store {config.get('store', 'not named')}",
        since=_utc(started) if started else "not known",
        details=tuple((state.message or "").splitlines()),
        more=join(("prefect", "flow-run", "logs", str(flow_run.id))),
    )


def night_notifications(report: NightReport) -> tuple[Notification, ...]:
    """Returns the notification of a published night, and a second one when it has alarms."""
    published = Notification(
        event="publication",
        what=f"{report.run_id}: {report.scored} of {report.planned} episodes scored, {_money(report.cost_usd)}",
        where=report.site,
        since=_utc(report.started_at),
        details=(
            f"cells: {report.cells_played} played, {report.cells_reused} reused",
            *(() if report.complete else ("coverage is short; a second start plays only the pending episodes",)),
            *(("the budget is reached",) if report.budget_reached else ()),
            *report.problems,
        ),
        more=join(("muses", "leaderboard", "--run", report.run_id, "--store", report.store)),
    )
    if not report.alarms:
        return (published,)
    moved = Notification(
        event="regression",
        what=f"{report.run_id}: {len(report.alarms)} significant changes of scores",
        where=report.site,
        since=f"compared with {', '.join(dict.fromkeys(flag.against for flag in report.alarms))}",
        details=tuple(map(flag_line, report.alarms)),
        more=join(("muses", "flow", "status", *_named(report), "--store", report.store)),
    )
    return published, moved


def _named(report: NightReport) -> tuple[str, ...]:
    night = Night.parse(report.run_id)
    return () if night is None else ("--name", night.name)


async def send_notifications(notifications: Iterable[Notification], blocks: Iterable[str]) -> None:
    """Sends the notifications to all blocks; errors of a block are logged."""
    masked = [notification.masked() for notification in notifications]
    for name, notification in product(blocks, masked):
        try:
            await _send(
                await Block.aload(name), notification
            )  # loaded each time, because a webhook can be called only once
        except Exception as error:  # noqa: BLE001 - any error of a block's client
            # The text of the error is not logged: it may contain the address, which may be a secret.
            _LOG.warning("no message could be sent to %s: %s", name, type(error).__name__)


async def notify_failure(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:  # noqa: ARG001 - Prefect's
    """Sends the notification of a failure; the failure hook of all flows.

    When the process of a flow was killed, the worker calls the hook.
    """
    blocks = (flow_run.parameters.get("config") or {}).get("notify", ())
    if blocks and not _left_to_another_start(state):
        await send_notifications((failure_notification(await _refreshed(flow_run), state),), blocks)


def _left_to_another_start(state: State[Any]) -> bool:
    """Returns True when another start of the same job holds the run lock, so that nothing has failed."""
    error = getattr(state.data, "result", None)  # Prefect wraps the exception of a flow
    return isinstance(error, RunLockedError) and error.same_work


async def _refreshed(flow_run: FlowRun) -> FlowRun:
    """Returns the flow run with its name and its start time; a worker has its state before the process started."""
    try:
        async with get_client() as client:
            return await client.read_flow_run(flow_run.id)
    except Exception:  # noqa: BLE001 - any error of Prefect's client; the old state is sufficient
        return flow_run


async def _send(block: Block, notification: Notification) -> None:
    match block:
        case Webhook():
            response = await block.call({**asdict(notification), "text": notification.text})
            response.raise_for_status()
        case NotificationBlock():
            with block.raise_on_failure():
                await block.notify(notification.text, subject=f"muses: {notification.event}: {notification.what}")
        case _:
            raise TypeError(f"{type(block).__name__} cannot send notifications")


def _money(cost_usd: float | None) -> str:
    return "cost not known" if cost_usd is None else f"${cost_usd:,.2f}"


def _utc(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
