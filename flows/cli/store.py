"""``muses store ls``, ``du``, ``verify``, ``seal``, ``gc`` and ``prune``: manages a store."""

import re
import sys
import time
from collections.abc import Iterator, Mapping
from dataclasses import asdict, dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

from cyclopts import Parameter
from muses_eval.flows.cli import BAD_USAGE, DONE
from muses_eval.flows.cli.confirm import Yes, require_consent
from muses_eval.flows.cli.options import RUN_HELP, Json, Run, Store
from muses_eval.flows.cli.output import echo, screen, to_json
from muses_eval.flows.settings import read_settings
from muses_eval.pipeline.errors import ConfigError, StoreError
from muses_eval.pipeline.text.count_text import count_text

if TYPE_CHECKING:
    from muses_eval.storage.objects.inventory import StoredObject
    from muses_eval.storage.objects.object_store import ObjectStore
    from muses_eval.storage.upkeep.verify import VerificationReport

Grace = Annotated[str, Parameter(help="Minimum age of an object, such as 24h, 7d, 30m.")]
OlderThan = Annotated[str | None, Parameter(help="Minimum time since the run was last written to, such as 90d, 12h.")]
NamePattern = Annotated[str | None, Parameter(help="Pattern of the run's id, such as 'nightly-*'.")]
DryRun = Annotated[bool, Parameter(help="List what would be deleted, without deleting it.")]

_UNITS = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}


@dataclass(frozen=True, slots=True)
class RunListing:
    """One run, as ``ls`` shows it."""

    run_id: str
    state: str
    """State of the run: open, sealed or unreadable, in which case the protocol and the counts are unknown."""
    protocol: str | None
    planned: int | None
    scored: int | None
    objects: int
    bytes: int
    age_s: float
    """Time since the last write to the run."""


def ls(*, store: Store = None, as_json: Json = False) -> int:
    """List the runs of a store: state, episodes, objects, bytes, and when each was last written to."""
    from muses_eval.storage.objects.inventory import by_run, take_inventory

    opened = _open(store)
    runs = by_run(take_inventory(opened))
    # Ages use the clock of this machine, so that read access is sufficient; nothing is deleted by them.
    lines = [
        _line(opened, run_id, items, time.time()) for run_id, items in sorted(runs.items()) if _has_manifest(items)
    ]
    if as_json:
        echo(to_json({"store": opened.url, "runs": [asdict(line) for line in lines]}))
        return DONE
    if not lines:
        _tell_empty(opened)
    header = ["run", "state", "protocol", "planned", "scored", "objects", "size", "last written"]
    _table(header, [_cells(line) for line in lines], range(3, len(header)))
    return DONE


def du(*, store: Store = None, as_json: Json = False) -> int:
    """Show the storage used by each run and kind of object. Foreign files are counted and never changed."""
    from muses_eval.storage.objects.inventory import storage_usage, take_inventory

    opened = _open(store)
    used = storage_usage(take_inventory(opened))
    total = sum(each.bytes for each in used)
    if as_json:
        echo(to_json({"store": opened.url, "bytes": total, "usage": [asdict(each) for each in used]}))
        return DONE
    rows = [[each.run_id or "-", each.kind, str(each.objects), _size(each.bytes)] for each in used]
    _table(["run", "kind", "objects", "size"], rows, (2, 3))
    echo(f"{_size(total)} in {opened.url}")
    return DONE


def verify(
    run: Annotated[str | None, Parameter(help=f"{RUN_HELP} Default: all runs.")] = None,
    /,
    *,
    store: Store = None,
    as_json: Json = False,
) -> int:
    """Read every object of a run to its last byte and check it against the manifest. Exit code 2 means damage."""
    from muses_eval.storage.runs.manifest import list_run_ids
    from muses_eval.storage.runs.resolve_run import resolve_run
    from muses_eval.storage.upkeep.verify import verify as verify_run, verify_each

    opened = _open(store)
    checks = [verify_run(opened, resolve_run(opened, run))] if run else list(verify_each(opened, list_run_ids(opened)))
    is_whole = not any(check.findings for check in checks)
    if as_json:
        echo(to_json({"store": opened.url, "ok": is_whole, "runs": [asdict(check) for check in checks]}))
    else:
        if not checks:
            _tell_empty(opened)
        for check in checks:
            for line in _verdict(check):
                echo(line)
    return DONE if is_whole else BAD_USAGE


def seal(run: Run, /, *, store: Store = None, as_json: Json = False) -> int:
    """Compact the shards of a run into a few large, sorted objects. A sealed run stays as it is."""
    from muses_eval.storage.runs.resolve_run import resolve_run
    from muses_eval.storage.upkeep.compaction import compact

    opened = _open(store)
    report = compact(opened, resolve_run(opened, run))
    if as_json:
        echo(to_json(asdict(report)))
        return DONE
    echo(
        f"run {report.run_id} is sealed: {count_text(report.episodes, 'episode')}"
        f" in {count_text(report.objects, 'object')} ({_size(report.bytes)});"
        f" {count_text(report.removed, 'object')} removed"
    )
    return DONE


def gc(
    *, store: Store = None, grace: Grace = "24h", dry_run: DryRun = False, yes: Yes = False, as_json: Json = False
) -> int:
    """Delete unreferenced objects left by interrupted writes, seals and deletions. Asks first."""
    from muses_eval.storage.upkeep.garbage_collection import collect_garbage

    opened, grace_s = _open(store), _seconds("--grace", grace)
    if not (dry_run or yes) and (found := collect_garbage(opened, grace_s, dry_run=True).garbage):
        require_consent(f"{count_text(len(found), 'unreferenced object')} of {opened.url}")
    done = collect_garbage(opened, grace_s, dry_run=dry_run)
    total = sum(each.bytes for each in done.garbage)
    if as_json:
        garbage = [asdict(each) for each in done.garbage]
        head = {"store": opened.url, "deleted": done.deleted, "bytes": total}
        echo(to_json({**head, "garbage": garbage, "held": done.held}))
        return DONE
    for each in done.garbage:
        echo(f"{each.key}  {_size(each.bytes)}  {each.why}")
    _tell_held(done.held)
    echo(f"{count_text(len(done.garbage), 'object')}, {_size(total)}: {_outcome(deleted=done.deleted)}")
    return DONE


def prune(  # noqa: PLR0913 - one parameter for each option
    *,
    store: Store = None,
    older_than: OlderThan = None,
    name: NamePattern = None,
    dry_run: DryRun = False,
    yes: Yes = False,
    as_json: Json = False,
) -> int:
    """Delete runs by age and name. Asks first; use --dry-run to preview."""
    from muses_eval.storage.upkeep.retention import RetentionRule, prune_runs

    if older_than is None and name is None:
        raise ConfigError("which runs? Give --older-than 90d, --name 'nightly-*', or both")
    rule = RetentionRule(None if older_than is None else _seconds("--older-than", older_than), name)
    opened = _open(store)
    if not (dry_run or yes) and (found := prune_runs(opened, rule, dry_run=True).runs):
        names = ", ".join(run.run_id for run in found)
        require_consent(f"{count_text(len(found), 'run')} of {opened.url} ({names})")
    done = prune_runs(opened, rule, dry_run=dry_run)
    if as_json:
        runs = [asdict(run) for run in done.runs]
        echo(to_json({"store": opened.url, "deleted": done.deleted, "runs": runs, "held": done.held}))
        return DONE
    rows = [[run.run_id, str(run.objects), _size(run.bytes), _age(run.age_s)] for run in done.runs]
    _table(["run", "objects", "size", "last written"], rows, (1, 2, 3))
    _tell_held(done.held)
    echo(f"{count_text(len(done.runs), 'run')}: {_outcome(deleted=done.deleted)}")
    return DONE


def _open(url: str | None) -> "ObjectStore":
    from muses_eval.storage.objects.open_store import open_store

    return open_store(url or read_settings().store)


def _has_manifest(items: "list[StoredObject]") -> bool:
    return any(item.kind == "manifest" for item in items)


def _line(store: "ObjectStore", run_id: str, items: "list[StoredObject]", now: float) -> RunListing:
    from muses_eval.storage.objects.inventory import last_modified
    from muses_eval.storage.runs.manifest import read_manifest
    from muses_eval.storage.runs.shards import read_index

    state, protocol, planned, scored = "unreadable", None, None, None
    try:
        manifest = read_manifest(store, run_id)
        state, protocol, planned = manifest.state, manifest.protocol, sum(manifest.planned.values())
        scored = len(read_index(store, run_id).scored)
    except StoreError as error:
        _note(f"muses: {error}")
    counted = [item.info for item in items if item.kind != "claim"]
    size = sum(info.size for info in counted)
    age = max(0.0, now - last_modified(items))
    return RunListing(run_id, state, protocol, planned, scored, len(counted), size, age)


def _cells(line: RunListing) -> list[str]:
    counts = [_count(line.planned), _count(line.scored), str(line.objects)]
    return [line.run_id, line.state, line.protocol or "?", *counts, _size(line.bytes), _age(line.age_s)]


def _verdict(check: "VerificationReport") -> Iterator[str]:
    whole = "damaged" if check.findings else "whole"
    yield (
        f"run {check.run_id} ({check.state or 'unreadable'}): {whole}; {count_text(check.planned, 'episode')} planned,"
        f" {check.stored} stored, {check.scored} scored;"
        f" {count_text(check.objects, 'object')}, {_size(check.bytes)} read"
    )
    for finding in check.findings:
        yield f"  {finding.trouble}: {finding.key}: {finding.problem}; lost: {finding.lost}"
    if any(finding.trouble in ("damaged", "missing", "changed") for finding in check.findings):
        yield "  Restore these objects from a copy; or delete them, and `muses run` plays their episodes again."


def _tell_held(held: Mapping[str, str]) -> None:
    for text in held.values():
        _note(f"muses: passed over: {text}")


def _tell_empty(store: "ObjectStore") -> None:
    from muses_eval.storage.runs.manifest import NoSuchRunError

    _note(f"muses: {NoSuchRunError(store.url)}")


def _outcome(*, deleted: bool) -> str:
    return "deleted" if deleted else "would be deleted (dry run)"


def _seconds(option: str, text: str) -> float:
    """Parses a duration such as 90d, 24h, 30m, 10s or 2w into seconds."""
    match = re.fullmatch(r"(\d+(?:\.\d+)?)([smhdw])", text.strip())
    if match is None:
        raise ConfigError(f"{option} {text!r}: expected a number and a unit (s, m, h, d, w), such as 24h or 90d")
    return timedelta(**{_UNITS[match[2]]: float(match[1])}).total_seconds()


def _age(seconds: float) -> str:
    for unit, length in (("d", 86400), ("h", 3600), ("m", 60)):
        if seconds >= 2 * length:
            return f"{seconds / length:.0f}{unit} ago"
    return f"{max(0, seconds):.0f}s ago"


def _size(size: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if size < 1000:
            return f"{size:.0f} {unit}" if unit == "B" else f"{size:.1f} {unit}"
        size /= 1000
    return f"{size:.1f} TB"


def _count(number: int | None) -> str:
    return "?" if number is None else str(number)


def _table(header: list[str], rows: list[list[str]], numeric: "range | tuple[int, ...]") -> None:
    from muses_eval.dashboards.tables.text_table import text_table

    if rows:
        echo(text_table(header, rows, numeric, screen()))


def _note(text: str) -> None:
    print(text, file=sys.stderr)  # noqa: T201
