"""``muses pause``, ``muses resume`` and ``muses stop``: steer a run that another process plays."""

import shlex
import sys

from muses_eval.flows.cli import DONE
from muses_eval.flows.cli.options import Run, Store
from muses_eval.flows.settings import read_settings
from muses_eval.storage.objects.open_store import open_store
from muses_eval.storage.runs.resolve_run import resolve_run
from muses_eval.storage.runs.run_wish import Command, send_command


def pause(run: Run, /, *, store: Store = None) -> int:
    """Pause a run in progress, wherever it runs: started episodes are finished and stored, and no other one starts."""
    return _send(run, store, "pause", "pauses within a few seconds: started episodes are finished and stored")


def resume(run: Run, /, *, store: Store = None) -> int:
    """Continue a paused run."""
    return _send(run, store, "resume", "goes on within a few seconds")


def stop(run: Run, /, *, store: Store = None) -> int:
    """Stop a run in progress as Ctrl-C does: finished episodes are stored, and the same command plays the rest."""
    return _send(run, store, "stop", "stops within a few seconds: finished episodes are stored")


def _send(run: str, store_url: str | None, command: Command, effect: str) -> int:
    store = open_store(store_url or read_settings().store)
    run_id = resolve_run(store, run)
    record = send_command(store, run_id, command)
    print(f"run {run_id} on {record.process.host} {effect}", file=sys.stderr)  # noqa: T201
    if command == "pause":
        print(f"Continue with: {shlex.join(['muses', 'resume', run_id, '--store', store.url])}", file=sys.stderr)  # noqa: T201
    return DONE
