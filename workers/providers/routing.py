"""Which of a model's servers a call goes to.

Several servers may stand behind one model's name: addresses in a config, or a fleet whose replicas come and go.  Where
they are is asked again for each try, so that a call follows a server that has moved.

Calls of one session go to the same server, since it has the beginning of their prompt in its prefix cache.  Which one
follows from the session's name by rendezvous hashing: when servers come or go, only those sessions move that have to.
A session leaves its server while that one is clearly busier than another, or while its breaker is open.  How busy a
server is, is what this process has in flight there; other workers spread their sessions in the same way.

While every server is left alone, calls wait for one to come back: as long as the outage is not older than the patience
of the route.  In an older one they fail at once, and one of them looks again after each pause.
"""

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import Self

from muses_eval.pipeline.errors import ModelFailure
from muses_eval.workers.providers.circuit_breaker import CircuitBreaker, CircuitBreakerRules

Resolve = Callable[[], Awaitable[Sequence[str]]]
"""Where the servers are now, up to and including the version, as ``http://127.0.0.1:8000/v1``.  Asked before each try,
so it is quick where nothing has changed; it may wait for a server to come up.  Raises ModelFailure."""

_SPARE, _RATIO = 4, 1.5
"""A server is clearly busier that has more than 1.5 times as many calls in flight as another, and four more."""
_ASK_AGAIN_S = 1.0
"""Interval at which a waiting call looks for other servers."""
_BREAKING = frozenset({"transport", "timeout", "server"})


def fixed(urls: Sequence[str]) -> Resolve:
    """Servers that stay where they are."""
    known = tuple(urls)

    async def resolve() -> Sequence[str]:
        return known

    return resolve


class Server:
    """One of them, as this process knows it."""

    def __init__(self, url: str, rules: CircuitBreakerRules) -> None:
        self.url = url
        self.breaker = CircuitBreaker(rules)
        self.in_flight = 0
        self.trouble: ModelFailure | None = None
        """The last one that its breaker counted."""
        self._hash = hashlib.blake2b(url.encode(), digest_size=8)

    def suits(self, session: bytes) -> bytes:
        """How well; the highest is the best.  The same for the same address in any process."""
        state = self._hash.copy()
        state.update(session)
        return state.digest()


class Route:
    """The way to one model.

    Args:
        name: of the model, for messages.
        resolve: where its servers are.
        patience_s: how old an outage of all of them may be before calls fail at once.
        clock: seconds, for breakers.
    """

    def __init__(
        self,
        name: str,
        resolve: Resolve,
        patience_s: float,
        clock: Callable[[], float] = time.monotonic,
        rules: CircuitBreakerRules | None = None,
    ) -> None:
        self._name, self._resolve, self._patience_s = name, resolve, patience_s
        self._clock, self._rules = clock, rules or CircuitBreakerRules()
        self._urls: Sequence[str] = ()
        self._servers: tuple[Server, ...] = ()
        self._down_since: float | None = None
        """Since when every server is seen to be left alone; None: not all are."""
        self._waiting: set[asyncio.Future[None]] = set()

    async def visit(self, session: str = "") -> "Visit":
        """Waits until there is a server to try.

        Raises:
            ModelFailure: there is none, and has been none for too long.
        """
        while True:
            await self._refresh()
            if any(server.breaker.closed for server in self._servers):
                self._down_since = None
                return Visit(self, session)
            now = self._clock()
            half_open = next((server for server in self._servers if server.breaker.admits(now)), None)
            if half_open is not None:
                half_open.breaker.begin(now)
                return Visit(self, session, half_open)
            if self._down_since is None:
                self._down_since = now
            left = self._down_since + self._patience_s - now
            if left <= 0:
                raise self._nobody(now - self._down_since)
            await self._change(min(left, _ASK_AGAIN_S, *(server.breaker.wait_s(now) for server in self._servers)))

    def pick(self, session: str) -> tuple[Server, bool]:
        """The best server now, and whether the call is its probe; one that is left alone only where all are."""
        now = self._clock()
        server = self._servers[0] if len(self._servers) == 1 else self._best(session, now)
        return server, server.breaker.begin(now)

    def note(self, server: Server, failure: ModelFailure | None, *, probe: bool) -> None:
        """How a try ended; None: with an answer."""
        was_closed = server.breaker.closed
        if failure is not None and failure.kind in _BREAKING:
            server.trouble = failure
            server.breaker.failed(self._clock(), probe=probe)
        else:
            server.breaker.answered()
        if not was_closed:
            self._tell_waiting()

    def abandon(self, server: Server, *, probe: bool) -> None:
        """A try that was cancelled."""
        server.breaker.abandoned(probe=probe)
        if probe:
            self._tell_waiting()

    def _best(self, session: str, now: float) -> Server:
        fit = [server for server in self._servers if server.breaker.admits(now)] or list(self._servers)
        if not session:
            return min(fit, key=lambda server: server.in_flight)
        room = _RATIO * min(server.in_flight for server in fit) + _SPARE
        name = session.encode(errors="surrogatepass")
        return max((server for server in fit if server.in_flight <= room), key=lambda server: server.suits(name))

    async def _refresh(self) -> None:
        urls = await self._resolve()
        if not urls:
            raise ModelFailure("server", f"{self._name} has no server")
        if urls is self._urls or urls == self._urls:
            return
        known = {server.url: server for server in self._servers}
        self._urls = urls
        self._servers = tuple(known.get(url) or Server(url, self._rules) for url in dict.fromkeys(urls))
        self._tell_waiting()

    async def _change(self, timeout_s: float) -> None:
        """Waits until a breaker changes, or so long."""
        turn = asyncio.get_running_loop().create_future()
        self._waiting.add(turn)
        try:
            await asyncio.wait((turn,), timeout=timeout_s)
        finally:
            self._waiting.discard(turn)

    def _tell_waiting(self) -> None:
        for turn in self._waiting:
            if not turn.done():
                turn.set_result(None)

    def _nobody(self, seconds: float) -> ModelFailure:
        trouble = next((server.trouble for server in self._servers if server.trouble is not None), None)
        which = "its server has" if len(self._servers) == 1 else f"its {len(self._servers)} servers have"
        how_long = f" for {seconds // 60:.0f} min" if seconds >= 60 else ""  # coarse: the same text is counted as one
        problem = f"{self._name}: {which} been left alone{how_long} after failures in a row"
        if trouble is None:
            return ModelFailure("transport", problem)
        return trouble.told(f"{problem}; the last one: {trouble.problem}")


class Visit:
    """One try: from when there is a server for it until it has ended.

    In a ``with`` block: one that ends without a word about the server was abandoned.
    """

    __slots__ = ("_probe", "_route", "_server", "_session", "_started", "_told")

    def __init__(self, route: Route, session: str, half_open: Server | None = None) -> None:
        self._route, self._session = route, session
        self._server, self._probe = half_open, half_open is not None
        self._started = self._told = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is None:
            return
        self._server.in_flight -= self._started
        if not self._told:
            self._route.abandon(self._server, probe=self._probe)

    def start(self) -> str:
        """The address to try, chosen now: the try may have waited for its slot since the visit began."""
        if self._server is None:
            self._server, self._probe = self._route.pick(self._session)
        self._server.in_flight += 1
        self._started = True
        return self._server.url

    def ended(self, failure: ModelFailure | None) -> None:
        """How it ended; None: with an answer."""
        if self._server is not None:
            self._told = True
            self._route.note(self._server, failure, probe=self._probe)
