"""The rehearsal's provider in a separate process, so that it does not share the interpreter with the measured code."""

import multiprocessing
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection

from muses_eval.workers.rehearsal.fault_profile import FaultProfile
from muses_eval.workers.rehearsal.provider import RehearsalProvider
from muses_eval.workers.rehearsal.request_log import LoggedRequest


@dataclass(frozen=True, slots=True)
class Served:
    """A provider that runs in another process."""

    base_url: str
    _pipe: Connection

    def entries(self) -> list[LoggedRequest]:
        """Returns the provider's request log so far."""
        self._pipe.send("entries")
        found: list[LoggedRequest] = self._pipe.recv()
        return found


@contextmanager
def served(weather: FaultProfile) -> Iterator[Served]:
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe()
    process = context.Process(target=_serve, args=(weather, there), daemon=True)
    process.start()
    try:
        yield Served(here.recv(), here)
    finally:
        process.terminate()
        process.join()


def _serve(weather: FaultProfile, pipe: Connection) -> None:
    with RehearsalProvider(weather) as provider:
        pipe.send(provider.base_url())
        while True:
            pipe.recv()
            pipe.send(list(provider.log.entries))
