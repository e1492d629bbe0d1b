"""An agent that is a service: one POST per turn to its address.

Failures of the service fall into two classes.  When it is not reached, or says that it is not available now (429, 502,
503, 504), the request is repeated like the call of a model, and the last failure is a ModelFailure: the episode has no
score.  Any other response without a reply, such as 500, an HTML page, or JSON of another form, is the failure of the
agent (AgentError).  How long a turn may take is decided by the caller, which cancels it.
"""

from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass

from muses_eval.pipeline.agents.agent_spec import AgentSpec
from muses_eval.pipeline.agents.interface import Context, Turn, TurnReply
from muses_eval.pipeline.errors import FailureKind, ModelFailure
from muses_eval.workers.agents.harness import AgentError
from muses_eval.workers.agents.http_messages import (
    FieldsResponse,
    TextResponse,
    WrongResponse,
    read_response,
    turn_request,
)
from muses_eval.workers.providers.chat_api import PROBE_TIMEOUT_S, Effects
from muses_eval.workers.providers.http_client import (
    Bounds,
    HttpClient,
    HttpResponse,
    OversizedResponse,
    Secrets,
    excerpt,
)
from muses_eval.workers.providers.retries import RetryPolicy, with_retries
from muses_eval.workers.providers.retry_delay import retry_after

MAX_RESPONSE_BYTES = 2**20
_HEADERS = {"Content-Type": "application/json", "Accept": "application/json"}
_OUTAGES: Mapping[int, FailureKind] = {429: "rate_limit", 502: "server", 503: "server", 504: "timeout"}
"""HTTP status -> kind of failure, for a service that is not available now."""
_CONNECT_S = 5.0
_POLICY = RetryPolicy()

Waiting = Callable[[], AbstractContextManager[object]]
"""Returns a context in which time does not count as the agent's own."""


class AgentService:
    """The service of an agent; its connections are kept open and shared by all its episodes.

    Args:
        agent: the agent, of kind ``http``.
        environ: environment variables that name proxies.
        effects: time and randomness of retries.
    """

    def __init__(self, agent: AgentSpec, environ: Mapping[str, str], effects: Effects) -> None:
        self.agent, self._effects = agent, effects
        # All attempts together take at most half of the turn's time to find that no machine answers.
        connect_s = min(_CONNECT_S, agent.turn_timeout_s / (2 + 2 * _POLICY.max_retries))
        bounds = Bounds(MAX_RESPONSE_BYTES, connect_s)
        self._http = HttpClient(agent.name, _HEADERS, Secrets(), environ, bounds)

    def harness(self, context: Context, model: str, waiting: Waiting) -> "HttpHarness":
        """Returns the agent of one episode.

        Args:
            context: the episode.
            model: name of the model under test.
            waiting: context of the pauses between attempts.
        """
        return HttpHarness(self, context, model, waiting)

    async def send(self, body: bytes, waiting: Waiting) -> TextResponse | FieldsResponse:
        """Sends the request of one turn and returns the response.  Raises AgentError and ModelFailure."""

        async def sleep(seconds: float) -> None:
            with waiting():
                await self._effects.sleep(seconds)

        return await with_retries(lambda: self._attempt(body), _POLICY, self._effects.rng, sleep)

    async def probe(self) -> None:
        """Raises ModelFailure when the address of the service gives no HTTP response to GET.  Not retried."""
        try:
            await self._http.send("GET", self.agent.target, "", None, PROBE_TIMEOUT_S)
        except OversizedResponse:
            return

    async def close(self) -> None:
        """Closes all connections.  May be called twice."""
        await self._http.close()

    async def _attempt(self, body: bytes) -> TextResponse | FieldsResponse:
        where = self._http.label(self.agent.target)
        try:
            answer = await self._http.send("POST", self.agent.target, "", body, None)
        except OversizedResponse as error:
            raise AgentError(error.problem) from None
        if answer.status in _OUTAGES:
            wait_s = retry_after(answer.headers, self._effects.now())
            raise ModelFailure(_OUTAGES[answer.status], self._problem(answer), wait_s)
        if answer.status not in range(200, 300):
            raise AgentError(self._problem(answer))
        try:
            return read_response(answer.body)
        except WrongResponse as error:
            raise AgentError(f"{where} sent no reply: {error}") from None

    def _problem(self, answer: HttpResponse) -> str:
        redirect = " (a redirect: the address of the agent must be the final one)" if answer.status // 100 == 3 else ""
        where = self._http.label(self.agent.target)
        return f"{where} answered HTTP {answer.status}{redirect}: {self._http.sanitize(excerpt(answer.body))}"


@dataclass(frozen=True, slots=True)
class HttpHarness:
    """A service in one episode; implements :class:`muses_eval.workers.agents.harness.Harness`."""

    service: AgentService
    context: Context
    model: str
    waiting: Waiting

    async def turn(self, turn: Turn) -> str | TurnReply:
        agent = self.service.agent
        request = turn_request(self.context, turn, model=self.model, agent=agent.name, options=agent.options)
        response = await self.service.send(request.model_dump_json().encode(), self.waiting)
        for line in response.log:
            self.context.log(line)
        return response.text if isinstance(response, TextResponse) else response.reply

    async def close(self) -> None:
        """Does nothing: a service is not informed of the end of an episode."""
