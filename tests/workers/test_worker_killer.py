"""The worker killer of a rehearsal waits for signs of progress before each kill."""

import asyncio
import random
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager

from muses_eval.workers.rehearsal.worker_killer import SIGNS, kill_workers


@contextmanager
def worker() -> Iterator[subprocess.Popen[bytes]]:
    """Starts a child process that has the title of a Ray worker."""
    with subprocess.Popen(["bash", "-c", "exec -a ray::ShardWorker sleep 600"]) as process:
        try:
            yield process
        finally:
            process.kill()


def test_no_worker_is_killed_without_progress() -> None:
    """A run progresses even when a worker takes longer to start than the time between two kills."""

    async def scenario() -> None:
        passed, killed, progress = 0, list[int](), asyncio.Event()

        async def sleep(seconds: float) -> None:
            nonlocal passed
            assert seconds == 5
            passed += 1

        async def show_progress() -> None:
            for _ in range(SIGNS):
                progress.set()
                while progress.is_set():  # noqa: ASYNC110 - the killer clears it, without any other sign
                    await asyncio.sleep(0)

        killing = asyncio.create_task(kill_workers(5, progress, random.Random(0), killed, sleep))
        try:
            with worker() as first:
                await asyncio.sleep(0.2)
                assert (passed, killed, first.poll()) == (1, [], None)
                await show_progress()
                await asyncio.to_thread(first.wait)
                assert killed == [first.pid]
            with worker() as second:
                await asyncio.sleep(0.2)
                assert killed == [first.pid]
                await show_progress()
                await asyncio.to_thread(second.wait)
                assert killed == [first.pid, second.pid]
        finally:
            killing.cancel()

    asyncio.run(asyncio.wait_for(scenario(), 60))
