"""The load of a server is read from its ``/load`` and ``/metrics`` pages."""

from muses_eval.workers.vllm.server_load import ServerLoad, parse_load

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
    """The load sums all engines of a server; its progress is one number that grows with the work done."""
    assert parse_load(29, METRICS) == ServerLoad(in_flight=29, waiting=5, progress=1517.0)
    assert parse_load(0, "") == ServerLoad(0, 0, None)
    assert parse_load(1, "vllm:generation_tokens_total nonsense\n") == ServerLoad(1, 0, 0.0)
