"""Every figure of a thing is shown under the thing's name, and what is not known as -1."""

from collections.abc import Mapping

from pipeline.config.budget import Budget
from workers.gauges import Gauges
from workers.keeper import Keeper
from workers.purse import Bill, PurseSpec, Statement
from workers.ray_keeper import _PURSE_GAUGES


class Shown:
    """A gauge that remembers."""

    values: dict[tuple[str, str], float]

    def __init__(self, name: str, text: str, tags: tuple[str, ...]) -> None:
        assert text
        assert tags == ("run",)
        self._name = name

    def set(self, value: float, tags: Mapping[str, str]) -> None:
        self.values[self._name, tags["run"]] = value


def test_a_purse_shows_what_its_run_has_spent_of_its_budget() -> None:
    Shown.values = {}
    keeper, spec = Keeper(), PurseSpec("run-a/1", Budget(usd=5.0), Bill(usd=1.0))
    keeper.settle(spec, Statement("worker", Bill(usd=0.5, tokens=70)))
    Gauges(Shown, _PURSE_GAUGES, "run").show(keeper.purse(spec).name, keeper.purse(spec))
    assert Shown.values == {
        ("muses_spent_usd", "run-a"): 1.5,
        ("muses_reserved_usd", "run-a"): 0.0,
        ("muses_budget_usd", "run-a"): 5.0,
        ("muses_spent_tokens", "run-a"): 70.0,
        ("muses_budget_tokens", "run-a"): -1.0,
    }
