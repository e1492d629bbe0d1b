"""Chooses the server for each attempt of a call, when several servers serve one model.

The servers are the addresses in a config, or the replicas of a fleet, which come and go.  Their addresses are resolved
before each attempt, so that a call follows a server that has moved.

Session affinity: calls of one session go to the same server, because it has the beginning of their prompt in its prefix
cache.  Rendezvous hashing of the session's name chooses the server: when servers come or go, only the sessions move
that have to.  A session leaves its server while that server is clearly busier than another one, or while its circuit
breaker is open.  The load of a server is the number of calls that this process has in flight there; other workers
distribute their sessions in the same way.

While the breakers of all servers are open, calls wait for one to close.  In an outage that lasts longer than
``outage_s`` they fail at once, and one of them probes a server after each pause of its breaker.
"""

import asyncio
import hashlib
import time
from collections.abc import Awaitable, Callable, Sequence
from types import TracebackType
from typing import Self

from muses_eval.pipeline.errors import ModelFailure
from muses_eval.workers.providers.circuit_breaker import CircuitBreaker, CircuitBreakerRules

ResolveServers = Callable[[], Awaitable[Sequence[str]]]
"""Returns the base URLs of the servers, with the version, as ``http://127.0.0.1:8000/v1``.  It is called before each
attempt, so it is fast when nothing has changed; it may wait until a server is up.  Raises ModelFailure."""

_SPARE, _RATIO = 4, 1.5
"""A server is clearly busier when it has more than 1.5 times as many calls in flight as another, plus four."""
_RESOLVE_INTERVAL_S = 1.0
"""Seconds after which a waiting call resolves the servers again."""
_BREAKING = frozenset({"transport", "timeout", "server"})


def fixed_servers(urls: Sequence[str]) -> ResolveServers:
    """Returns a resolver of servers whose addresses never change."""
    known = tuple(urls)

    async def resolve() -> Sequence[str]:
        return known

    return resolve


class Server:
    """One server of a model, as this process sees it."""

    def __init__(self, url: str, rules: CircuitBreakerRules) -> None:
        self.url = url
        self.breaker = CircuitBreaker(rules)
        self.in_flight = 0
        self.last_failure: ModelFailure | None = None
        """The last failure that its breaker counted."""
        self._hash = hashlib.blake2b(url.encode(), digest_size=8)

    def affinity(self, session: bytes) -> bytes:
        """Returns the rendezvous hash of a session: its server is the one with the highest.  Equal in every process."""
        state = self._hash.copy()
        state.update(session)
        return state.digest()


class LoadBalancer:
    """Balances the load of one model over its servers.

    Args:
        name: name of the model, for messages.
        resolve: returns the addresses of its servers.
        outage_s: seconds of an outage of all servers after which calls fail at once.
        clock: seconds, for breakers.
        rules: of the breakers.
    """

    def __init__(
        self,
        name: str,
        resolve: ResolveServers,
        outage_s: float,
        clock: Callable[[], float] = time.monotonic,
        rules: CircuitBreakerRules | None = None,
    ) -> None:
        self._name, self._resolve, self._outage_s = name, resolve, outage_s
        self._clock, self._rules = clock, rules or CircuitBreakerRules()
        self._urls: Sequence[str] = ()
        self._servers: tuple[Server, ...] = ()
        self._down_since: float | None = None
        """Time since which the breakers of all servers are open; None while one is closed."""
        self._waiting: set[asyncio.Future[None]] = set()

    async def attempt(self, session: str = "") -> "ServerAttempt":
        """Waits until a server may be called.

        Raises:
            ModelFailure: there is no server, or the outage of all servers has lasted too long.
        """
        while True:
            await self._refresh()
            if any(server.breaker.closed for server in self._servers):
                self._down_since = None
                return ServerAttempt(self, session)
            now = self._clock()
            half_open = next((server for server in self._servers if server.breaker.admits(now)), None)
            if half_open is not None:
                half_open.breaker.begin(now)
                return ServerAttempt(self, session, half_open)
            if self._down_since is None:
                self._down_since = now
            left = self._down_since + self._outage_s - now
            if left <= 0:
                raise self._outage(now - self._down_since)
            await self._wait_for_change(
                min(left, _RESOLVE_INTERVAL_S, *(server.breaker.wait_s(now) for server in self._servers))
            )

    def pick(self, session: str) -> tuple[Server, bool]:
        """Returns the best server, and True when the call is its probe; an open breaker counts unless all are open."""
        now = self._clock()
        server = self._servers[0] if len(self._servers) == 1 else self._best(session, now)
        return server, server.breaker.begin(now)

    def record(self, server: Server, failure: ModelFailure | None, *, probe: bool) -> None:
        """Records the outcome of an attempt; None when it was answered."""
        was_closed = server.breaker.closed
        if failure is not None and failure.kind in _BREAKING:
            server.last_failure = failure
            server.breaker.failed(self._clock(), probe=probe)
        else:
            server.breaker.answered()
        if not was_closed:
            self._wake_waiting()

    def abandon(self, server: Server, *, probe: bool) -> None:
        """Records an attempt that was cancelled."""
        server.breaker.abandoned(probe=probe)
        if probe:
            self._wake_waiting()

    def _best(self, session: str, now: float) -> Server:
        fit = [server for server in self._servers if server.breaker.admits(now)] or list(self._servers)
        if not session:
            return min(fit, key=lambda server: server.in_flight)
        most = _RATIO * min(server.in_flight for server in fit) + _SPARE
        name = session.encode(errors="surrogatepass")
        return max((server for server in fit if server.in_flight <= most), key=lambda server: server.affinity(name))

    async def _refresh(self) -> None:
        urls = await self._resolve()
        if not urls:
            raise ModelFailure("server", f"{self._name} has no server")
        if urls is self._urls or urls == self._urls:
            return
        known = {server.url: server for server in self._servers}
        self._urls = urls
        self._servers = tuple(known.get(url) or Server(url, self._rules) for url in dict.fromkeys(urls))
        self._wake_waiting()

    async def _wait_for_change(self, timeout_s: float) -> None:
        """Waits until a breaker or the servers change, or until the timeout."""
        turn = asyncio.get_running_loop().create_future()
        self._waiting.add(turn)
        try:
            await asyncio.wait((turn,), timeout=timeout_s)
        finally:
            self._waiting.discard(turn)

    def _wake_waiting(self) -> None:
        for turn in self._waiting:
            if not turn.done():
                turn.set_result(None)

    def _outage(self, seconds: float) -> ModelFailure:
        failure = next((server.last_failure for server in self._servers if server.last_failure is not None), None)
        which = "its server has" if len(self._servers) == 1 else f"its {len(self._servers)} servers have"
        how_long = (
            f" for {seconds // 60:.0f} min" if seconds >= 60 else ""
        )  # coarse, because equal texts are counted together
        problem = f"{self._name}: {which} been unavailable{how_long} after failures in a row"
        if failure is None:
            return ModelFailure("transport", problem)
        return failure.with_problem(f"{problem}; the last one: {failure.problem}")


class ServerAttempt:
    """One attempt, from the time a server may be called until it has ended.

    Used in a ``with`` block; an attempt whose outcome is not recorded in the block counts as cancelled.
    """

    __slots__ = ("_balancer", "_probe", "_recorded", "_server", "_session", "_started")

    def __init__(self, balancer: LoadBalancer, session: str, half_open: Server | None = None) -> None:
        self._balancer, self._session = balancer, session
        self._server, self._probe = half_open, half_open is not None
        self._started = self._recorded = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._server is None:
            return
        self._server.in_flight -= self._started
        if not self._recorded:
            self._balancer.abandon(self._server, probe=self._probe)

    def start(self) -> str:
        """Chooses the server and returns its base URL.  Called late: the attempt may have waited for its permit."""
        if self._server is None:
            self._server, self._probe = self._balancer.pick(self._session)
        self._server.in_flight += 1
        self._started = True
        return self._server.url

    def record(self, failure: ModelFailure | None) -> None:
        """Records the outcome; None when the attempt was answered."""
        if self._server is not None:
            self._recorded = True
            self._balancer.record(self._server, failure, probe=self._probe)
