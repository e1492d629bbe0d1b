"""The run lock: one driver works on a run at a time, and a dead driver does not keep the others out.

A claim is an object that only compare and swap changes.  Its holder counts ``beat`` up every few seconds; another
machine that sees it stand still for 20 s takes the claim over.  Nobody compares clocks: a beat is a
number, and how long it stands still is measured by whoever watches.  On the machine (and in the container) where the
holder ran, it is seen at once that its process has ended.  With its beats the holder tells people how its work goes.

A claim saves work and money; it is not what keeps rows apart.  A driver that was taken for dead (stopped, cut off) may
write one more shard, and what is stored stays right: writes are conditional, and readers count an episode once.
"""

import json
import os
import secrets
import socket
import threading
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from muses_eval.pipeline.errors import MusesError, StoreError
from muses_eval.storage.objects.object_keys import claim_key
from muses_eval.storage.objects.object_store import MissingObjectError, ObjectStore, Versioned
from muses_eval.storage.runs.account_state import AccountState, read_accounts, read_links

_LOOK_EVERY_S = 0.5
_TOLD_FOR_S = 15.0
"""A holder's status is valid for so long; a holder that is alive sends it every second."""
_PROC = Path("/proc")


class RunHeldError(MusesError):
    """Somebody else works on the run."""

    def __init__(self, told: str, *, by_twin: bool = False) -> None:
        super().__init__(told)
        self.by_twin = by_twin
        """Whether what holds it does the same work: another start of the same job."""


class ClaimLostError(MusesError):
    """Somebody else has taken the run over while we worked on it."""


@dataclass(frozen=True, slots=True)
class Process:
    """A process, in words that mean the same after it has ended."""

    host: str
    pid: int
    room: str | None
    """Where its number is a process's: boot of the machine and namespace.  None where the system does not tell."""
    started: str | None
    """When, in the machine's ticks: a number is given to another process sooner or later."""

    @classmethod
    def this(cls) -> "Process":
        """The process that asks."""
        return cls(socket.gethostname(), os.getpid(), _room(), _start_of(os.getpid()))

    def has_ended(self, room: str | None) -> bool:
        """As seen from this room; False as well when it cannot be seen from there."""
        if room is None or self.room != room or self.started is None:
            return False
        return self.started != _start_of(self.pid) and not _is_hidden(self.pid)


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What the object of a claim says."""

    owner: str | None
    """Id of one claim, never used again; None when the lock was released."""
    work: str
    """What the holder does, as a command that a person knows."""
    process: Process
    since: str
    """UTC, for people only."""
    beat: int
    accounts: tuple[AccountState, ...] = ()
    links: Mapping[str, str] = field(default_factory=dict)
    """Name -> address of the pages on which others show the work."""

    def to_json(self) -> bytes:
        """As it is stored."""
        return json.dumps(asdict(self), indent=2).encode() + b"\n"

    @classmethod
    def from_json(cls, data: bytes) -> "Claim | None":
        """None for what is no claim."""
        try:
            value: dict[str, Any] = json.loads(data)
            told = {"accounts": read_accounts(value.get("accounts")), "links": read_links(value.get("links"))}
            return cls(**{**value, "process": Process(**value["process"]), **told})
        except (ValueError, TypeError, KeyError, AttributeError):
            return None


@dataclass(frozen=True, slots=True)
class Pace:
    """How often a claim beats, and how long it may stand still; the clock and the sleep are those of the watcher."""

    beat_every_s: float = 2.0
    dead_after_s: float = 20.0
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep


PACE = Pace()
"""The default for all users of a store; they must agree on it."""


class HeldClaim:
    """A claim of ours, kept alive by a thread."""

    def __init__(self, store: ObjectStore, run_id: str, claim: Claim, pace: Pace) -> None:
        self._store, self._run_id, self._claim, self._pace = store, run_id, claim, pace
        self._released, self._lost = threading.Event(), threading.Event()
        self._on_lost: Callable[[], None] = lambda: None
        self._accounts: tuple[AccountState, ...] = ()
        self._told_at = pace.clock()
        self._lock = threading.Lock()
        self._thread = threading.Thread(target=self._keep, name=f"claim of {run_id}", daemon=True)
        self._thread.start()

    @property
    def is_lost(self) -> bool:
        """Whether somebody else has it now."""
        return self._lost.is_set()

    def when_lost(self, tell: Callable[[], None]) -> None:
        """Calls *tell*, once and from a thread of ours, when the claim is lost; at once if it is already."""
        with self._lock:
            self._on_lost = tell
            if self.is_lost:
                tell()

    def check(self) -> None:
        """Raises ClaimLostError when it is lost.  For work that asks from time to time."""
        if self.is_lost:
            raise self.error()

    def error(self) -> ClaimLostError:
        """What to tell who has lost it."""
        return ClaimLostError(
            f"store {self._store.url}: another process has taken the run {self._run_id!r} over, since this one gave no"
            " sign of life. What was finished is stored; leave the rest to the other, or start the command again when"
            " it is done"
        )

    def tell(self, accounts: tuple[AccountState, ...]) -> None:
        """How the accounts stand now; the next beat takes it along."""
        with self._lock:
            self._accounts, self._told_at = accounts, self._pace.clock()

    def link(self, name: str, url: str) -> None:
        """Where else the work is shown; likewise."""
        with self._lock:
            self._claim = replace(self._claim, links={**self._claim.links, name: url})

    def release(self) -> None:
        """Lets others have it.  A store that is out of reach does not matter: a claim that stands still expires."""
        self._released.set()
        self._thread.join()
        if not self.is_lost:
            try:
                self._write(replace(self._claim, owner=None, accounts=(), links={}))
            except StoreError:
                return

    def _keep(self) -> None:
        while not self._released.wait(self._pace.beat_every_s):
            try:
                mine = self._write(self._next())
            except StoreError:
                continue  # the store may respond at the next beat; until then no other driver reaches it either
            if not mine:
                with self._lock:
                    self._lost.set()
                    self._on_lost()
                return

    def _next(self) -> Claim:
        """Returns the claim with its next beat and the latest status."""
        with self._lock:
            lately = self._pace.clock() - self._told_at < _TOLD_FOR_S
            return replace(self._claim, beat=self._claim.beat + 1, accounts=self._accounts if lately else ())

    def _write(self, claim: Claim) -> bool:
        """False: the claim is no longer ours."""
        key, written = claim_key(self._run_id), False
        while not written:
            found = _read(self._store, self._run_id)
            if found is None:  # deleted by somebody; still ours unless another was faster
                written = self._store.put_if_absent(key, claim.to_json())
            elif _owner(found) == self._claim.owner:
                written = self._store.replace(key, claim.to_json(), found.tag)
            else:
                return False
        with self._lock:
            self._claim = replace(claim, links=self._claim.links)
        return True


@contextmanager
def claimed(store: ObjectStore, run_id: str, work: str, pace: Pace = PACE) -> Iterator[HeldClaim]:
    """Holds the lock of a run until the end of the block.

    Raises:
        RunHeldError: somebody else has it and is alive; the message says who.
    """
    held = take(store, run_id, work, pace)
    try:
        yield held
    finally:
        held.release()


def take(store: ObjectStore, run_id: str, work: str, pace: Pace = PACE) -> HeldClaim:
    """Takes a run, after watching for a while where its holder may be dead.  Raises as :func:`claimed` does."""
    now = datetime.now(UTC).isoformat(timespec="seconds")
    mine = Claim(owner=secrets.token_hex(8), work=work, process=Process.this(), since=now, beat=0)
    key, room, first = claim_key(run_id), _room(), _read(store, run_id)
    seen_at = pace.clock()
    while True:
        found = _read(store, run_id)
        claim = None if found is None else Claim.from_json(found.data)
        if found is None:
            taken = store.put_if_absent(key, mine.to_json())
        elif claim is None or claim.owner is None or claim.process.has_ended(room):  # what is no claim holds nothing
            taken = store.replace(key, mine.to_json(), found.tag)
        elif first is None or found.tag != first.tag:  # it has moved while we watched: its holder lives
            raise _held(store, run_id, claim, work)
        elif pace.clock() - seen_at >= pace.dead_after_s:
            taken = store.replace(key, mine.to_json(), found.tag)
        else:
            taken = False
            pace.sleep(_LOOK_EVERY_S)
        if taken:
            return HeldClaim(store, run_id, mine, pace)


def _read(store: ObjectStore, run_id: str) -> Versioned | None:
    try:
        return store.read(claim_key(run_id))
    except MissingObjectError:
        return None


def _owner(found: Versioned) -> str | None:
    claim = Claim.from_json(found.data)
    return None if claim is None else claim.owner


def _held(store: ObjectStore, run_id: str, claim: Claim, work: str) -> RunHeldError:
    return RunHeldError(
        f"store {store.url}: the run {run_id!r} is held by `{claim.work}` on {claim.process.host} (process"
        f" {claim.process.pid}, since {claim.since}); wait until it is done, or stop it",
        by_twin=claim.work == work,
    )


def _room() -> str | None:
    try:
        boot = (_PROC / "sys/kernel/random/boot_id").read_text().strip()
        return f"{boot} {(_PROC / 'self/ns/pid').readlink()}"
    except OSError:
        return None


def _is_hidden(pid: int) -> bool:
    """Whether a process is there of which /proc does not tell: mounted with hidepid, it shows a user only its own."""
    try:
        (_PROC / str(pid) / "stat").read_bytes()
    except OSError:
        return _is_there(pid)
    return False


def _is_there(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except PermissionError:  # of another user
        return True
    except (ProcessLookupError, OverflowError):
        return False
    return True


def _start_of(pid: int) -> str | None:
    """When a process was started; None when there is none, or it has ended and waits to be noticed."""
    try:
        after_name = (_PROC / str(pid) / "stat").read_text().rpartition(")")[2].split()
    except OSError:
        return None
    return None if after_name[0] in ("Z", "X") else after_name[19]
