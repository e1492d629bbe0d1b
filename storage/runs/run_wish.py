"""What a person asks of a run that is being played: to pause, or to stop.

The wish stands in the run's lock object, because the driver reads that object at every heartbeat, wherever it runs.  It
ends with the lock: the next start of a paused or stopped run plays.
"""

from dataclasses import replace
from typing import Literal, get_args

from muses_eval.pipeline.errors import MusesError, StoreError
from muses_eval.storage.objects.object_keys import lock_key
from muses_eval.storage.objects.object_store import MissingObjectError, ObjectStore
from muses_eval.storage.runs.process_identity import pid_namespace
from muses_eval.storage.runs.run_lock import LockRecord, Wish

Command = Literal["pause", "resume", "stop"]
COMMANDS: tuple[Command, ...] = get_args(Command)
_TRIES = 20
"""Attempts against heartbeats that replace the object in the same moment."""


class NotPlayedError(MusesError):
    """No process plays the run."""


def send_command(store: ObjectStore, run_id: str, command: Command) -> LockRecord:
    """Asks the driver of a run to pause, resume or stop, and returns its lock record.

    Raises:
        NotPlayedError: no process plays the run.
        StoreError: the store cannot be written.
    """
    wish: Wish | None = None if command == "resume" else command
    for _ in range(_TRIES):
        try:
            found = store.read(lock_key(run_id))
        except MissingObjectError:
            raise _not_played(store, run_id) from None
        record = LockRecord.from_json(found.data)
        if record is None or record.owner is None or record.process.has_ended(pid_namespace()):
            raise _not_played(store, run_id)
        if record.activity is None:
            raise NotPlayedError(
                f"store {store.url}: the run {run_id!r} is held by `{record.work}` on {record.process.host}, which does"
                f" not play episodes now; {command} it once it does"
            )
        asked = replace(record, wish=wish)
        if store.replace(lock_key(run_id), asked.to_json(), found.tag):
            return asked
    raise StoreError(f"store {store.url}: the lock of the run {run_id!r} changes too often; try again")


def _not_played(store: ObjectStore, run_id: str) -> NotPlayedError:
    return NotPlayedError(
        f"store {store.url}: no process plays the run {run_id!r}; only a run in progress can be paused or stopped"
    )
