"""Builds the report of a night: its results, its changes against earlier nights, and its problems."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from muses_eval.flows.job.report import RunReport, fault_lines
from muses_eval.flows.job.serving import engine_versions
from muses_eval.pipeline.episode.call_usage import sum_or_none
from muses_eval.pipeline.errors import StoreError
from muses_eval.pipeline.text.credential_masking import mask_credentials
from muses_eval.storage.analysis.regressions import RegressionCheck, compare_with_canaries, compare_with_last_night
from muses_eval.storage.objects.object_store import ObjectStore
from muses_eval.storage.runs.manifest import (
    RunManifest,
    find_manifest,
)
from muses_eval.storage.runs.nights import (
    Flag,
    Night,
    NightReport,
    canaries_before,
    rows_version,
)

MAX_EARLIER_NIGHTS = 14
"""Maximum number of earlier nights that are searched for reusable cells, and of canaries that are compared."""
_SHOWN_PROBLEMS = 5


@dataclass(frozen=True, slots=True)
class NightOutcome:
    """Input of the report of a night."""

    store: ObjectStore
    night: Night
    before: RunManifest | None
    played: RunReport
    canary: RunReport
    alpha: float


@dataclass(frozen=True, slots=True)
class NightChanges:
    """The significant changes of a night."""

    flags: tuple[Flag, ...]
    notes: tuple[str, ...] = ()
    """Comparisons that were not possible, and cautions."""
    unconfirmed: tuple[Flag, ...] = ()
    """Flags that a replay did not confirm."""


def build_report(
    outcome: NightOutcome, changes: NightChanges, replays: Sequence[RunReport], seconds: float
) -> NightReport:
    """Builds the report of a night that took *seconds*, all starts together."""
    from muses_eval.flows.nightly.publish_site import page_of

    store, night, played, canary = outcome.store, outcome.night, outcome.played, outcome.canary
    manifest = find_manifest(store, night.run_id)
    reused = sum(cell.played_in != night.run_id for cell in manifest.cells)
    return NightReport(
        run_id=night.run_id,
        canary_id=night.canary_id,
        store=store.url,
        protocol=manifest.protocol,
        started_at=find_manifest(store, night.canary_id).created_at,
        seconds=seconds,
        planned=played.planned,
        scored=played.outcomes["scored"],
        canary_planned=canary.planned,
        canary_scored=canary.outcomes["scored"],
        complete=played.complete and canary.complete,
        budget_reached=played.budget_reached or canary.budget_reached,
        cost_usd=sum_or_none(each.cost_usd for each in (played, canary, *replays)),
        cells_played=len(manifest.cells) - reused,
        cells_reused=reused,
        before=None if outcome.before is None else outcome.before.run_id,
        flags=changes.flags,
        unconfirmed=changes.unconfirmed,
        problems=_problems(played, canary),
        notes=(
            *_differences(outcome.before, manifest),
            *_other_engines(outcome),
            *changes.notes,
        ),
        site=page_of(store, night.run_id),
    )


def compare_night(outcome: NightOutcome, manifest: RunManifest) -> RegressionCheck:
    """Compares the night, or a replay of its cells, with the last sealed night."""
    if outcome.before is None:
        return RegressionCheck((), 0)
    return compare_with_last_night(outcome.store, manifest, outcome.before, outcome.alpha)


def compare_canary(outcome: NightOutcome, manifest: RunManifest) -> RegressionCheck:
    """Compares the canary, or a replay of it, with earlier canaries."""
    earlier = canaries_before(outcome.store, outcome.night, MAX_EARLIER_NIGHTS)
    return compare_with_canaries(outcome.store, manifest, earlier, outcome.alpha)


def find_changes(outcome: NightOutcome) -> NightChanges:
    """Returns the significant changes; a note says why when they cannot be computed."""
    store, night = outcome.store, outcome.night
    found, notes = list[RegressionCheck](), list[str]()
    try:
        found.append(compare_night(outcome, find_manifest(store, night.run_id)))
    except StoreError as error:
        notes.append(f"the night could not be compared with the last sealed night: {error}")
    try:
        found.append(compare_canary(outcome, find_manifest(store, night.canary_id)))
        if not canaries_before(store, night, MAX_EARLIER_NIGHTS):
            notes.append("no earlier canary: drift can be computed from the next night on")
    except StoreError as error:
        notes.append(f"the canary could not be compared with earlier canaries: {error}")
    cautions = (text for each in found for text in each.cautions)
    return NightChanges(tuple(flag for each in found for flag in each.flags), (*notes, *cautions))


def _differences(before: RunManifest | None, tonight: RunManifest) -> list[str]:
    """Returns notes about the differences between the plans of this night and of the last sealed night."""
    if before is None:
        return ["no earlier sealed night: everything was played, and there is nothing to compare with"]
    notes = []
    for what, then, now in (
        ("model", set(before.models), set(tonight.models)),
        ("family", {family for _, family in before.planned}, {family for _, family in tonight.planned}),
    ):
        if gone := sorted(then - now):
            notes.append(f"in {before.run_id} and not in the config any more: {what} {', '.join(gone)}")
        if new := sorted(now - then):
            notes.append(f"new since {before.run_id}: {what} {', '.join(new)}")
    if before.protocol != tonight.protocol:
        notes.append(
            f"protocol {tonight.protocol}, in {before.run_id} {before.protocol}: nothing is reused or compared"
        )
    notes += _other_models(before, tonight)
    common = {family for _, family in before.planned} & {family for _, family in tonight.planned}
    other = sorted(family for family in common if rows_version(before, family) != rows_version(tonight, family))
    if other:
        notes.append(
            f"other scenarios than in {before.run_id}: {', '.join(other)}; they are neither reused nor compared"
        )
    return notes


def _other_models(before: RunManifest, tonight: RunManifest) -> Iterator[str]:
    """Yields the models whose name stayed the same but whose definition changed."""
    for name in sorted(before.models.keys() & tonight.models.keys()):
        then, now = before.models[name], tonight.models[name]
        if other := sorted(what for what in then.keys() | now.keys() if then.get(what) != now.get(what)):
            yield f"{name} differs from {before.run_id}: other {', '.join(other)}"


def _other_engines(outcome: NightOutcome) -> list[str]:
    """Returns the models that another version of vLLM serves than in the last sealed night.

    The canaries are compared, because they are always played.
    """
    before = None if outcome.before is None else Night.parse(outcome.before.run_id)
    if before is None:
        return []
    try:
        then, now = (
            engine_versions(find_manifest(outcome.store, night.canary_id).made_with.get("vllm", {}))
            for night in (before, outcome.night)
        )
    except StoreError:  # the canary was deleted
        return []
    return [
        f"{model} is served by vLLM {now[model]}, in {before.run_id} by {then[model]}"
        for model in sorted(then.keys() & now.keys())
        if then[model] != now[model]
    ]


def _problems(played: RunReport, canary: RunReport) -> tuple[str, ...]:
    found = [(count, f"{kind}: {text}") for report in (played, canary) for count, kind, text in report.problems]
    most = sorted(found, key=lambda problem: -problem[0])[:_SHOWN_PROBLEMS]
    # They are stored, and a provider may quote a key.
    return (
        *(f"{count} x {mask_credentials(text)[0]}" for count, text in most),
        *fault_lines(played.faults),
        *played.notices,
    )
