"""Kills worker processes in the middle of their work, as a failing machine would.

Workers are found by ancestry, so that only those of this process's own local cluster are killed.
"""

import asyncio
import os
import random
import signal
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from muses_eval.workers.providers.retries import Sleep

SIGNS = 2
"""Number of signs of progress before each kill."""
_TITLE = b"ray::ShardWorker"


def worker_pids(ancestor: int) -> list[int]:
    """Returns the workers among the descendants of a process, from Linux's ``/proc``."""
    return [pid for pid in _descendants(ancestor) if _title(pid).startswith(_TITLE)]


async def kill_workers(
    every_s: float, progress: asyncio.Event, rng: random.Random, killed: list[int], sleep: Sleep = asyncio.sleep
) -> None:
    """Kills a random worker of this process's cluster again and again, until cancelled; appends its id to *killed*.

    Before each kill at least *every_s* seconds pass and *progress* is set :data:`SIGNS` times, so that a run makes
    progress even when a worker needs longer than that to start, and no shard loses all of its tries.
    """
    while True:
        await sleep(every_s)
        for _ in range(SIGNS):
            await progress.wait()
            progress.clear()
        if pids := await asyncio.to_thread(worker_pids, os.getpid()):
            pid = rng.choice(sorted(pids))
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
                killed.append(pid)


def _descendants(ancestor: int) -> Iterator[int]:
    for child in _children(ancestor):
        yield child
        yield from _descendants(child)


def _children(pid: int) -> list[int]:
    found: list[int] = []
    for listing in Path(f"/proc/{pid}/task").glob("*/children"):
        with suppress(OSError):  # the process has ended
            found += map(int, listing.read_text().split())
    return found


def _title(pid: int) -> bytes:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except OSError:
        return b""
