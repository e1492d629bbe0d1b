"""The summary of a server's log names the cause of its exit."""

from muses_eval.workers.vllm.server_log import summarize_log


def test_a_summary_names_the_cause() -> None:
    """The summary shows the error far above the end of the traceback, and shows it once."""
    text = "\n".join(
        [
            "\x1b[36m(EngineCore pid=7)\x1b[0m ERROR ValueError: no room for the KV cache",
            "ERROR ValueError: no room for the KV cache",
            *(f"  frame {number}" for number in range(50)),
            "",
            "RuntimeError: the engine did not start",
        ]
    )
    lines = summarize_log(text).splitlines()
    assert lines[:2] == ["  ValueError: no room for the KV cache", "  ..."]
    assert lines[-1] == "  RuntimeError: the engine did not start"
    assert len(lines) == 14
    assert summarize_log("one\ntwo") == "  one\n  two"
    assert summarize_log("") == ""
