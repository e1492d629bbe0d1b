"""Every gauge of an object is shown with the object's name, and an unknown value as -1."""

from collections.abc import Mapping

from muses_eval.pipeline.config.budget import Budget
from muses_eval.workers.budget import BudgetSpec, Cost, WorkerReport
from muses_eval.workers.coordinator.coordinator import Coordinator
from muses_eval.workers.coordinator.gauges import Gauges
from muses_eval.workers.coordinator.ray_metrics import _BUDGET_GAUGES


class Shown:
    """A gauge that records its value."""

    values: dict[tuple[str, str], float]

    def __init__(self, name: str, text: str, tags: tuple[str, ...]) -> None:
        assert text
        assert tags == ("run",)
        self._name = name

    def set(self, value: float, tags: Mapping[str, str]) -> None:
        self.values[self._name, tags["run"]] = value


def test_a_budget_shows_what_its_run_has_spent_of_its_budget() -> None:
    Shown.values = {}
    coordinator, spec = Coordinator(), BudgetSpec("run-a/1", Budget(usd=5.0), Cost(usd=1.0))
    coordinator.update_budget(spec, WorkerReport("worker", Cost(usd=0.5, tokens=70)))
    Gauges(Shown, _BUDGET_GAUGES, "run").show(coordinator.budget_status(spec).name, coordinator.budget_status(spec))
    assert Shown.values == {
        ("muses_spent_usd", "run-a"): 1.5,
        ("muses_reserved_usd", "run-a"): 0.0,
        ("muses_budget_usd", "run-a"): 5.0,
        ("muses_spent_tokens", "run-a"): 70.0,
        ("muses_budget_tokens", "run-a"): -1.0,
    }
