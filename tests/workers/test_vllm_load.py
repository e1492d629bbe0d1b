"""What a server says of itself, whether it gets on, and how many servers that calls for."""

import pytest
from muses_eval.workers.vllm.server_load import Load, Pulse, Scaler, ScalingRules, read_load

METRICS = """\
# HELP vllm:num_requests_waiting Number of requests waiting to be processed.
# TYPE vllm:num_requests_waiting gauge
vllm:num_requests_running{engine="0",model_name="m"} 24.0
vllm:num_requests_waiting{engine="0",model_name="m"} 3.0
vllm:num_requests_waiting{engine="1",model_name="m"} 2.0
vllm:generation_tokens_total{engine="0",model_name="m"} 1.5e+03
vllm:generation_tokens_created{engine="0",model_name="m"} 1.7e+09
vllm:prompt_tokens_total{engine="0",model_name="m"} 10.0
vllm:iteration_tokens_total_count{engine="0",model_name="m"} 7.0
http_requests_total{handler="/v1/chat/completions"} 5.0
"""


def test_a_load_is_read() -> None:
    """Over all engines of a server; what grows with its work is one number."""
    assert read_load(29, METRICS) == Load(in_flight=29, waiting=5, progress=1517.0)
    assert read_load(0, "") == Load(0, 0, None)
    assert read_load(1, "vllm:generation_tokens_total nonsense\n") == Load(1, 0, 0.0)


def stuck(*looks: tuple[float, Load]) -> list[float]:
    pulse = Pulse()
    return [pulse.stuck_for(load, now) for now, load in looks]


def test_a_server_that_gets_nothing_done() -> None:
    held = Load(1, 0, 5.0)
    assert stuck((0, held), (10, held), (25, held)) == [0, 10, 25]


def test_a_server_that_works_is_not_stuck() -> None:
    assert stuck((0, Load(1, 0, 5.0)), (10, Load(1, 0, 6.0)), (30, Load(1, 0, 6.0))) == [0, 0, 20]


def test_a_server_that_has_nothing_to_do_is_not_stuck() -> None:
    """Nor does its rest count once a request comes."""
    rest, held = Load(0, 0, 5.0), Load(1, 0, 5.0)
    assert stuck((0, rest), (500, rest), (501, held), (511, held)) == [0, 0, 1, 11]


def test_a_server_that_does_not_tell_is_not_stuck() -> None:
    assert stuck((0, Load(1)), (500, Load(1))) == [0, 0]


RULES = ScalingRules(busy_requests=10, busy_s=20, idle_s=60)
FULL, QUIET = Load(11), Load(1)


def scale(*looks: tuple[float, int, list[Load]], least: int = 1, most: int = 3) -> list[int]:
    scaler = Scaler(least, most, RULES)
    return [scaler.wanted(replicas, loads, now) for now, replicas, loads in looks]


def test_load_that_lasts_adds_a_replica() -> None:
    assert scale((0, 1, [FULL]), (19, 1, [FULL]), (20, 1, [FULL]), (21, 2, [FULL])) == [1, 1, 2, 2]


def test_load_that_passes_adds_none() -> None:
    assert scale((0, 1, [FULL]), (10, 1, [QUIET]), (20, 1, [FULL]), (39, 1, [FULL])) == [1, 1, 1, 1]


def test_waiting_requests_are_load() -> None:
    waits = Load(2, waiting=1)
    assert scale((0, 1, [waits]), (20, 1, [waits])) == [1, 2]


@pytest.mark.parametrize(("replicas", "loads"), [(3, [FULL] * 3), (2, [FULL])], ids=["at the most", "one starts"])
def test_no_replica_is_added(replicas: int, loads: list[Load]) -> None:
    assert scale((0, replicas, loads), (100, replicas, loads)) == [replicas, replicas]


def test_quiet_takes_a_replica_away() -> None:
    """One at a time, and never under the least."""
    looks = [(0, 3, [QUIET] * 3), (60, 3, [QUIET] * 3), (61, 2, [QUIET] * 2), (121, 2, [QUIET] * 2)]
    assert scale(*looks, (500, 1, [QUIET])) == [3, 2, 2, 1, 1]
    assert scale(*looks, least=3) == [3, 3, 2, 2]


def test_what_fewer_replicas_could_not_bear_stays() -> None:
    """Half of what makes a replica busy is the most that the remaining ones are left with: no flutter."""
    busy = [Load(6)] * 2
    assert scale((0, 2, busy), (500, 2, busy)) == [2, 2]
