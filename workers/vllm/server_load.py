"""The load of a vLLM server, read from its own pages."""

from dataclasses import dataclass

_PROGRESS = ("vllm:generation_tokens_total", "vllm:prompt_tokens_total", "vllm:iteration_tokens_total_count")
_WAITING = "vllm:num_requests_waiting"


@dataclass(frozen=True, slots=True)
class ServerLoad:
    """The load of a server at one time."""

    in_flight: int = 0
    """Requests that are accepted and not answered yet."""
    waiting: int = 0
    """Requests that wait because the engine has no room for them yet."""
    progress: float | None = None
    """A count that grows with all work of the engine; None when the server does not report it."""


def parse_load(server_load: int, metrics: str) -> ServerLoad:
    """Parses the replies of ``GET /load`` and ``GET /metrics``."""
    totals: dict[str, float] = {}
    for line in metrics.splitlines():
        if line.startswith("vllm:"):
            sample, _, value = line.rpartition(" ")
            name = sample.partition("{")[0]
            totals[name] = totals.get(name, 0.0) + _number(value)
    progress = [totals[name] for name in _PROGRESS if name in totals]
    return ServerLoad(server_load, int(totals.get(_WAITING, 0)), sum(progress) if progress else None)


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return 0.0
