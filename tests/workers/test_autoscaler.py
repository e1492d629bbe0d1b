"""Load adds replicas and idleness removes them."""

import pytest
from muses_eval.workers.vllm.autoscaler import Autoscaler, ScalingRules
from muses_eval.workers.vllm.server_load import ServerLoad

RULES = ScalingRules(busy_requests=10, busy_s=20, idle_s=60)
FULL, QUIET = ServerLoad(11), ServerLoad(1)


def scale(*looks: tuple[float, int, list[ServerLoad]], least: int = 1, most: int = 3) -> list[int]:
    autoscaler = Autoscaler(least, most, RULES)
    return [autoscaler.wanted(replicas, loads, now) for now, replicas, loads in looks]


def test_load_that_lasts_adds_a_replica() -> None:
    assert scale((0, 1, [FULL]), (19, 1, [FULL]), (20, 1, [FULL]), (21, 2, [FULL])) == [1, 1, 2, 2]


def test_load_that_passes_adds_none() -> None:
    assert scale((0, 1, [FULL]), (10, 1, [QUIET]), (20, 1, [FULL]), (39, 1, [FULL])) == [1, 1, 1, 1]


def test_waiting_requests_are_load() -> None:
    waits = ServerLoad(2, waiting=1)
    assert scale((0, 1, [waits]), (20, 1, [waits])) == [1, 2]


@pytest.mark.parametrize(("replicas", "loads"), [(3, [FULL] * 3), (2, [FULL])], ids=["at the most", "one starts"])
def test_no_replica_is_added(replicas: int, loads: list[ServerLoad]) -> None:
    assert scale((0, replicas, loads), (100, replicas, loads)) == [replicas, replicas]


def test_quiet_takes_a_replica_away() -> None:
    """An idle replica is removed, one at a time and never below the minimum."""
    looks = [(0, 3, [QUIET] * 3), (60, 3, [QUIET] * 3), (61, 2, [QUIET] * 2), (121, 2, [QUIET] * 2)]
    assert scale(*looks, (500, 1, [QUIET])) == [3, 2, 2, 1, 1]
    assert scale(*looks, least=3) == [3, 3, 2, 2]


def test_what_fewer_replicas_could_not_bear_stays() -> None:
    """A replica is removed only when the remaining ones would have at most half the load that adds a replica."""
    busy = [ServerLoad(6)] * 2
    assert scale((0, 2, busy), (500, 2, busy)) == [2, 2]
