"""Checks the scenarios of a run."""

from muses_eval.flows.job.prepare import load_dataset
from muses_eval.pipeline.config.run import RunConfig


def check_dataset(config: RunConfig) -> str:
    """Returns the number of scenarios of each family.

    Raises:
        MusesError: the dataset is missing or invalid, or lacks a family of the config.
    """
    dataset = load_dataset(config)
    return ", ".join(f"{len(dataset.scenarios(family))} of {family}" for family in dataset.families)
