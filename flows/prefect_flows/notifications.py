"""Messages to people through Prefect's blocks: what happened, where, since when, and the command that shows more.

``notify`` in a configuration names the blocks: Slack, e-mail and the other kinds that Prefect can notify by, and plain
webhooks, which are sent JSON.  A message that cannot be delivered costs no run; credentials are masked in all of them.
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
    """One message.  A webhook is sent its fields, and ``text``."""

    event: Event
    what: str
    where: str
    since: str
    more: str
    """A command."""
    details: tuple[str, ...] = ()

    @property
    def text(self) -> str:
        """All of it, for people."""
        facts = (f"where: {self.where}", f"since: {self.since}", *self.details, f"more: {self.more}")
        return "\n".join((self.what, *facts))

    def masked(self) -> "Notification":
        """Without credentials, whatever an error's text or an address held."""
        return Notification(
            event=self.event,
            what=mask_credentials(self.what)[0],
            where=mask_credentials(self.where)[0],
            since=self.since,
            more=mask_credentials(self.more)[0],
            details=tuple(mask_credentials(detail)[0] for detail in self.details),
        )


def failure_notification(flow_run: FlowRun, state: State[Any]) -> Notification:
    """A flow that failed, crashed or was ended by its time limit."""
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
    """That a night is published, and what in it somebody should look at."""
    published = Notification(
        event="publication",
        what=f"{report.run_id}: {report.scored} of {report.planned} episodes scored, {_money(report.cost_usd)}",
        where=report.site,
        since=_utc(report.started_at),
        details=(
            f"cells: {report.cells_played} played, {report.cells_reused} taken over",
            *(() if report.complete else ("coverage is short: started again, it plays only what is not scored",)),
            *(("the budget is reached",) if report.budget_reached else ()),
            *report.problems,
        ),
        more=join(("muses", "leaderboard", "--run", report.run_id, "--store", report.store)),
    )
    if not report.alarms:
        return (published,)
    moved = Notification(
        event="regression",
        what=f"{report.run_id}: {len(report.alarms)} scores moved that chance does not explain",
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
    """Sends the messages to all blocks.  One that does not take them is on record, and that is all."""
    masked = [notification.masked() for notification in notifications]
    for name, notification in product(blocks, masked):
        try:
            await _send(await Block.aload(name), notification)  # loaded for each: a webhook can be called once
        except Exception as error:  # noqa: BLE001 - whatever a block's client raises
            # Its kind alone: the text of such an error likes to hold the address, and an address may be a secret.
            _LOG.warning("no message could be sent to %s: %s", name, type(error).__name__)


async def notify_failure(flow: Flow[..., Any], flow_run: FlowRun, state: State[Any]) -> None:  # noqa: ARG001 - Prefect's
    """The hook of all our flows for their bad ends.  Of a process that was killed, the worker calls it."""
    blocks = (flow_run.parameters.get("config") or {}).get("notify", ())
    if blocks and not _left_to_another_start(state):
        await send_notifications((failure_notification(await _refreshed(flow_run), state),), blocks)


def _left_to_another_start(state: State[Any]) -> bool:
    """Whether another start of the same job is at it: nothing has failed."""
    error = getattr(state.data, "result", None)  # Prefect keeps what a flow raised in a record
    return isinstance(error, RunLockedError) and error.same_work


async def _refreshed(flow_run: FlowRun) -> FlowRun:
    """With its name and its start: a worker has a run as it was before its process began."""
    try:
        async with get_client() as client:
            return await client.read_flow_run(flow_run.id)
    except Exception:  # noqa: BLE001 - whatever Prefect's client raises; what is known says enough
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
            raise TypeError(f"{type(block).__name__} sends no messages")


def _money(cost_usd: float | None) -> str:
    return "cost not known" if cost_usd is None else f"${cost_usd:,.2f}"


def _utc(moment: datetime) -> str:
    return f"{moment:%Y-%m-%d %H:%M:%S} UTC"
