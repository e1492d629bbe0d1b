"""The events inside an agent in one episode, as they are stored with its trace."""

import threading

from muses_eval.pipeline.episode.event import CALL_CHARS, Event, EventKind, shortened
from muses_eval.pipeline.episode.model_call import Reply

AGENT_ERROR = "agent_error"
"""Flag of an episode in which the agent failed in a turn."""
AGENT_BLOCKED = "agent_blocked"
"""Flag of an episode in which the agent blocked the event loop of its worker."""
LOG_CHARS = 65_536
"""Maximum number of characters of all log lines of an episode."""
LINE_CHARS = 4_096
ERROR_CHARS = 8_192
_LINE_COST = 32
"""Characters for which each line counts besides its own, so that there are at most 2,048 lines."""


class EventLog:
    """Collects the events of one episode.  Lines may be logged from any thread."""

    def __init__(self) -> None:
        self.turn = 0
        self.step = 0
        """Number of model calls in this turn so far."""
        self._events: list[Event] = []
        self._flags: list[str] = []
        self._room = LOG_CHARS
        self._dropped = 0
        self._lock = threading.Lock()

    def start_turn(self, number: int) -> None:
        self.turn, self.step = number, 0

    def log(self, line: object) -> None:
        """Adds a line that the agent logged or printed; drops it when the episode has no room for it."""
        text = shortened(str(line), LINE_CHARS)
        with self._lock:
            self._room -= len(text) + _LINE_COST
            if self._room < 0 or self._dropped:
                self._dropped += 1
            else:
                self._add("log", text)

    def call(self, turn: int, step: int, reply: Reply) -> None:
        """Adds the reply of the model to a call, after its reasoning."""
        if reply.reasoning:
            self._events.append(Event(turn, step, "reasoning", shortened(reply.reasoning, CALL_CHARS)))
        self._events.append(Event(turn, step, "call", shortened(reply.with_tool_calls, CALL_CHARS)))

    def error(self, text: str) -> None:
        """Adds the failure of the agent in this turn, of which the end is kept."""
        self._flag(AGENT_ERROR)
        self._add("error", text if len(text) <= ERROR_CHARS else f"…{text[-ERROR_CHARS:]}")

    def blocked(self, seconds: float) -> None:
        """Adds that the agent blocked the event loop."""
        self._flag(AGENT_BLOCKED)
        self._add("log", f"muses-eval: the agent blocked its worker for {seconds:.1f} s in one step")

    @property
    def events(self) -> tuple[Event, ...]:
        if not self._dropped:
            return tuple(self._events)
        text = f"muses-eval: {self._dropped} more lines were dropped; an episode keeps {LOG_CHARS >> 10} KiB of lines"
        return (*self._events, Event(self.turn, self.step, "log", text))

    @property
    def flags(self) -> tuple[str, ...]:
        """The flags of the episode, in the order of their first events."""
        return tuple(self._flags)

    def _add(self, kind: EventKind, text: str) -> None:
        self._events.append(Event(self.turn, self.step, kind, text))

    def _flag(self, flag: str) -> None:
        if flag not in self._flags:
            self._flags.append(flag)
