"""The Grafana dashboard uses all metrics that the code exports, and no others."""

import json
import re
from pathlib import Path

import pytest
from muses_eval.workers.coordinator import ray_metrics
from muses_eval.workers.vllm import replica_set, server_load

DASHBOARD = json.loads((Path(__file__).parents[2] / "dashboards" / "grafana" / "muses.json").read_text("utf-8"))
EXPRESSIONS = [target["expr"] for panel in DASHBOARD["panels"] for target in panel["targets"]]
# Ray adds a prefix to the name of a metric, and Prometheus a suffix to that of a counter.
GAUGES = {*ray_metrics._GAUGES, *ray_metrics._BUDGET_GAUGES, *replica_set._GAUGES}
OURS = {f"ray_{name}" for name in GAUGES} | {f"ray_{name}_total" for name in ray_metrics._COUNTERS}
VLLM = {*server_load._PROGRESS, server_load._WAITING}


@pytest.mark.parametrize("expression", EXPRESSIONS)
def test_every_metric_is_one_that_is_exported(expression: str) -> None:
    asked = set(re.findall(r"\b(?:ray_|vllm:)\w+", expression))
    assert asked
    assert asked <= OURS | VLLM


def test_every_metric_of_ours_is_drawn() -> None:
    assert set(re.findall(r"\bray_\w+", " ".join(EXPRESSIONS))) == OURS


def test_the_choice_of_accounts_asks_for_a_metric_of_ours() -> None:
    (query,) = [v["query"] for v in DASHBOARD["templating"]["list"] if v["name"] == "account"]
    (metric,) = re.findall(r"ray_\w+", query)
    assert metric in OURS


def test_panels_do_not_overlap() -> None:
    taken = set()
    for panel in DASHBOARD["panels"]:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert not cells & taken, panel["title"]
        assert place["x"] + place["w"] <= 24
        taken |= cells
