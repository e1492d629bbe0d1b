"""``muses agents``: the agents that installed packages declare, and the interface of agents that are services."""

from dataclasses import asdict, dataclass

from muses_eval.flows.cli import DONE
from muses_eval.flows.cli.options import Json
from muses_eval.flows.cli.output import echo, to_json


@dataclass(frozen=True, slots=True)
class DeclaredAgent:
    """An agent that an installed package declares."""

    agent: str
    """Name in a configuration."""
    target: str
    """Its class as ``module:Class``."""
    distribution: str | None
    """Package that declares it, with its version; None when it is not known."""


def ls(*, as_json: Json = False) -> int:
    """List the agents that installed packages declare, which a configuration can name."""
    from importlib.metadata import entry_points

    from muses_eval.dashboards.tables.text_table import text_table
    from muses_eval.flows.agents.load_agents import GROUP

    found = [
        DeclaredAgent(
            point.name, point.value, None if point.dist is None else f"{point.dist.name} {point.dist.version}"
        )
        for point in sorted(entry_points(group=GROUP))
    ]
    if as_json:
        echo(to_json({"agents": [asdict(each) for each in found]}))
        return DONE
    rows = [["chat", "", "the model alone"], *([each.agent, each.target, each.distribution or ""] for each in found)]
    echo(text_table(["agent", "class", "package"], rows))
    return DONE


def openapi() -> int:
    """Print the OpenAPI document of agents that are services."""
    from muses_eval.workers.agents.http_api import openapi_document

    echo(to_json(openapi_document()))
    return DONE
