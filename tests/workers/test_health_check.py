"""A server that holds requests and makes no progress is stuck; ``test_replica.py`` tests whole servers."""

from muses_eval.workers.vllm.health_check import HangDetector
from muses_eval.workers.vllm.server_load import ServerLoad


def stuck(*looks: tuple[float, ServerLoad]) -> list[float]:
    hang = HangDetector()
    return [hang.stuck_for(load, now) for now, load in looks]


def test_a_server_that_gets_nothing_done() -> None:
    held = ServerLoad(1, 0, 5.0)
    assert stuck((0, held), (10, held), (25, held)) == [0, 10, 25]


def test_a_server_that_works_is_not_stuck() -> None:
    assert stuck((0, ServerLoad(1, 0, 5.0)), (10, ServerLoad(1, 0, 6.0)), (30, ServerLoad(1, 0, 6.0))) == [0, 0, 20]


def test_a_server_that_has_nothing_to_do_is_not_stuck() -> None:
    """A server without requests is not stuck, and its idle time does not count once a request arrives."""
    rest, held = ServerLoad(0, 0, 5.0), ServerLoad(1, 0, 5.0)
    assert stuck((0, rest), (500, rest), (501, held), (511, held)) == [0, 0, 1, 11]


def test_a_server_that_does_not_tell_is_not_stuck() -> None:
    assert stuck((0, ServerLoad(1)), (500, ServerLoad(1))) == [0, 0]
