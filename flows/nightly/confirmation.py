"""Replays of flagged cells: a flag becomes an alarm only if the difference persists in every replay.

A replay is a run of its own beside the night, ``<name>-confirm-<date>``, or ``<name>-canary-confirm-<date>`` for drift.
It plays the same episodes of the flagged models and families, reuses nothing and never uses the response cache.  The
scores of the night stay those of its first play.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, replace

from muses_eval.flows.job.report import RunReport
from muses_eval.flows.nightly.night_report import NightChanges, NightOutcome, compare_canary, compare_night
from muses_eval.pipeline.config.run import RunConfig
from muses_eval.pipeline.errors import MusesError, StoreError
from muses_eval.pipeline.leaderboard_columns import COLUMNS
from muses_eval.pipeline.text.credential_masking import mask_credentials
from muses_eval.storage.analysis.regressions import RegressionCheck
from muses_eval.storage.objects.object_store import ObjectStore
from muses_eval.storage.runs.manifest import RunManifest, find_manifest
from muses_eval.storage.runs.nights import Flag, Night

PlayRun = Callable[[RunConfig], Awaitable[RunReport]]
"""Plays a run of which nothing is reused."""
Compare = Callable[[RunManifest], RegressionCheck]
"""Compares a replay with what the flagged run was compared with."""


@dataclass(frozen=True, slots=True)
class Replay:
    """The runs that are replayed for one kind of alarm."""

    config: RunConfig
    """Config of the flagged run."""
    night: Night
    """Name and day of the replay."""
    compare: Compare


def confirm_config(config: RunConfig, manifest: RunManifest, night: Night, flags: Sequence[Flag]) -> RunConfig:
    """Returns the config of a replay: the models and families of the *flags*, without the response cache."""
    entries = {flag.model for flag in flags}
    bases = {manifest.models.get(entry, {}).get("base_model", entry) for entry in entries}
    families = {COLUMNS[flag.column].family for flag in flags}
    return config.model_copy(
        update={
            "run_id": night.run_id,
            "name": night.name,
            "models": tuple(model for model in config.models if model.spec().name in bases),
            "families": tuple(sorted(families)),
            "cache": "off",
        }
    )


async def confirm_changes(
    outcome: NightOutcome, changes: NightChanges, tonight: RunConfig, canary: RunConfig, play: PlayRun
) -> tuple[NightChanges, tuple[RunReport, ...]]:
    """Replays what the alarms of a night flag, ``nightly.confirm`` times.

    Returns the changes with the alarms that persist, and the reports of the replays.
    An alarm that cannot be replayed is kept, with a note.
    """
    night, reports = outcome.night, list[RunReport]()
    for number in range(1, tonight.nightly.confirm + 1):
        replays = (
            Replay(tonight, night.replay(number), lambda manifest: compare_night(outcome, manifest)),
            Replay(canary, night.canary.replay(number), lambda manifest: compare_canary(outcome, manifest)),
        )
        for replay, kinds in zip(replays, (("regression",), ("drift",)), strict=True):
            flags = [flag for flag in changes.flags if flag.kind in kinds]
            if flags:
                changes, played = await _confirm(outcome.store, changes, flags, replay, play)
                reports += played
    return changes, tuple(reports)


async def _confirm(
    store: ObjectStore, changes: NightChanges, flags: Sequence[Flag], replay: Replay, play: PlayRun
) -> tuple[NightChanges, list[RunReport]]:
    run_id = replay.night.run_id
    flagged = await asyncio.to_thread(find_manifest, store, str(replay.config.run_id))
    try:
        report = await play(confirm_config(replay.config, flagged, replay.night, flags))
        if not report.complete:
            raise StoreError("its episodes are not all scored")
        check = await asyncio.to_thread(lambda: replay.compare(find_manifest(store, run_id)))
    except MusesError as error:
        text = mask_credentials(str(error))[0]
        return replace(changes, notes=(*changes.notes, f"{run_id} could not replay the flagged cells: {text}")), []
    persistent = {(flag.kind, flag.model, flag.column, flag.difference > 0) for flag in check.flags}
    dropped = tuple(
        flag for flag in flags if (flag.kind, flag.model, flag.column, flag.difference > 0) not in persistent
    )
    kept = tuple(flag for flag in changes.flags if flag not in dropped)
    return replace(changes, flags=kept, unconfirmed=(*changes.unconfirmed, *dropped)), [report]
