"""The colour and the marker of each model, the same on all pages of a store.

A model has the number of its first appearance in the store, so that a new run changes no colour.  Built-in agents are
grey.
"""

from collections.abc import Iterable
from dataclasses import dataclass

from muses_eval.dashboards.web.series_style import SeriesStyle
from muses_eval.dashboards.web.store_cache import RunSummary
from muses_eval.pipeline.hashing import digest


@dataclass(frozen=True, slots=True)
class ModelStyles:
    """The styles of models, by name; an entry with an agent has a name of its own."""

    models: tuple[str, ...]
    """Models in the order of their first appearance."""
    builtin: tuple[str, ...] = ()
    """Built-in agents in the order of their first appearance."""

    def of(self, model: str) -> SeriesStyle:
        """Returns the style of a model; one that no manifest names has a style by its name."""
        if model in self.builtin:
            return SeriesStyle.numbered(self.builtin.index(model), grey=True)
        known = model in self.models
        return SeriesStyle.numbered(self.models.index(model) if known else int(digest(model)[:8], 16))


def model_styles(runs: Iterable[RunSummary]) -> ModelStyles:
    """Returns the styles of all models of a store's *runs*."""
    models: dict[str, None] = {}
    builtin: dict[str, None] = {}
    for run in sorted(runs, key=lambda run: (run.created_at, run.run_id)):
        scripted = run.builtin
        for model in run.models:
            (builtin if model in scripted else models)[model] = None
    return ModelStyles(tuple(models), tuple(name for name in builtin if name not in models))
