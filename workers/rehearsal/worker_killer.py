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

_TITLE = b"ray::ShardWorker"


def worker_pids(ancestor: int) -> list[int]:
    """Returns the workers among the descendants of a process, from Linux's ``/proc``."""
    return [pid for pid in _descendants(ancestor) if _title(pid).startswith(_TITLE)]


async def kill_workers(
    every_s: float, progress: asyncio.Event, rng: random.Random, killed: list[int], sleep: Sleep = asyncio.sleep
) -> None:
    """Kills a random worker of this process's cluster again and again, until cancelled; appends its id to *killed*.

    Between two kills at least *every_s* seconds pass and *progress* is set at least once, so that a run makes
    progress even when a worker needs longer than that to start.
    """
    while True:
        await sleep(every_s)
        await progress.wait()
        if pids := await asyncio.to_thread(worker_pids, os.getpid()):
            progress.clear()
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
