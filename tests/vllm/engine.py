"""The vLLM under test: the CPU build that ``make test-vllm`` installs, or the one that the environment names.

VLLM_TEST_PYTHON: its interpreter; VLLM_TEST_MODEL: a model; VLLM_TEST_ARGS: vLLM's arguments as a JSON object.
"""

import json
import os
from pathlib import Path

_HOME = Path(__file__).parents[2] / ".venv-vllm"
PYTHON = os.environ.get("VLLM_TEST_PYTHON", str(_HOME / "bin" / "python"))
MODEL = os.environ.get("VLLM_TEST_MODEL", str(_HOME / "smollm2"))


def _on_cpu() -> dict[str, object]:
    try:
        flags = Path("/proc/cpuinfo").read_text()
    except OSError:
        flags = ""
    fast = "amx_bf16" in flags or "avx512_bf16" in flags
    return {
        "max_model_len": 8192,
        "dtype": "bfloat16" if fast else "float32",  # emulated bfloat16 is three times slower than float32
        "enforce_eager": True,  # compilation takes longer than the tests
        "kv_cache_memory_bytes": 2**30,
        "block_size": 32,  # with the default of 128, short chats never hit the prefix cache
    }


ARGS = json.loads(os.environ["VLLM_TEST_ARGS"]) if "VLLM_TEST_ARGS" in os.environ else _on_cpu()
