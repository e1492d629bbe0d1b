"""``muses data show``: lists scenarios, or prints one."""

import difflib
from typing import Annotated, Any

from cyclopts import Parameter
from muses_eval.dashboards.tables.scenario import render_scenario, render_scenarios
from muses_eval.flows.cli import DONE
from muses_eval.flows.cli.data.options import MAX_LISTED, Families, Target, dataset_config, listed
from muses_eval.flows.cli.output import echo
from muses_eval.flows.job.prepare import load_dataset
from muses_eval.pipeline.datasets.dataset import Dataset
from muses_eval.pipeline.episode.scenario import Scenario
from muses_eval.pipeline.errors import ConfigError


def show(
    target: Target,
    scenario_id: Annotated[
        str | None, Parameter(help="Scenario id or a prefix of it; without it, all scenarios are listed.")
    ] = None,
    /,
    *,
    family: Families = (),
    private: Annotated[bool, Parameter(help="Also show the private context of each principal.")] = False,
    truth: Annotated[bool, Parameter(help="Also show the ground truth that the scorers use.")] = False,
) -> int:
    """List the scenarios of a dataset, or print one in readable form."""
    dataset = load_dataset(dataset_config(target, family))
    if scenario_id is None:
        echo(render_scenarios(dataset))
    else:
        echo(render_scenario(_find(dataset, scenario_id), private=private, truth=truth))
    return DONE


def _find(dataset: Dataset, wanted: str) -> Scenario[Any]:
    """Returns the scenario with the id *wanted*, else the only one whose id starts with it.

    Raises:
        ConfigError: no scenario matches, or several do.
    """
    scenarios = [scenario for name in dataset.families for scenario in dataset.scenarios(name)]
    found = [s for s in scenarios if s.id == wanted] or [s for s in scenarios if s.id.startswith(wanted)]
    if len(found) == 1:
        return found[0]
    if found:
        places = [f"{scenario.id} ({scenario.family})" for scenario in found]
        raise ConfigError(
            f"{wanted!r} could be {len(found)} scenarios ({listed(places)}); give a longer prefix, or a --family"
        )
    near = difflib.get_close_matches(wanted, [scenario.id for scenario in scenarios], n=MAX_LISTED, cutoff=0.4)
    hint = f"nearest: {', '.join(near)}" if near else "muses data show without an id lists them"
    raise ConfigError(f"{dataset.name} has no scenario {wanted!r}; {hint}")
