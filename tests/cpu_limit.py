"""A limit of processor time for code that must not hang; the load of the machine does not count."""

import signal
from collections.abc import Iterator
from contextlib import contextmanager


@contextmanager
def cpu_limit(seconds: float) -> Iterator[None]:
    """Ends its block with a TimeoutError when this process has used so many seconds of processor time in it."""

    def end(*_: object) -> None:
        raise TimeoutError(f"still busy after {seconds:g} seconds of processor time")

    before = signal.signal(signal.SIGPROF, end)
    signal.setitimer(signal.ITIMER_PROF, seconds)
    try:
        yield
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)
