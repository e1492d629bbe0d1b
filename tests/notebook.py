"""Executes the code cells of a notebook in a real Jupyter kernel.

    python -m tests.notebook docs/tutorial.ipynb

writes the outputs into the notebook, for readers who do not run it.
"""

import json
import os
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from jupyter_client.blocking.client import BlockingKernelClient
from jupyter_client.manager import KernelManager

_PATIENCE_S = 120.0
_KEPT = ("text/plain", "text/html")


@dataclass(frozen=True, slots=True)
class Executed:
    """The output of a cell."""

    outputs: list[dict[str, Any]]
    """In the format of notebooks: what it printed and its value, without what it displayed meanwhile."""
    displayed: list[str]
    """Texts of its displays and their updates: progress."""
    error: str | None
    """Exception as ``name: text``; None when there was none."""


class Kernel:
    """A running kernel, whose event loop is running while a cell is."""

    def __init__(self, manager: KernelManager, client: BlockingKernelClient) -> None:
        self._manager, self._client = manager, client

    def interrupt(self) -> None:
        """Does what the stop button of a notebook does."""
        self._manager.interrupt_kernel()

    def execute(self, code: str) -> Executed:
        """Executes one cell."""
        request = self._client.execute(code)
        outputs: list[dict[str, Any]] = []
        displayed: list[str] = []
        error = None
        while True:
            message = self._client.get_iopub_msg(timeout=_PATIENCE_S)
            if message["parent_header"].get("msg_id") != request:
                continue
            content = message["content"]
            match message["msg_type"]:
                case "status" if content["execution_state"] == "idle":
                    return Executed(outputs, displayed, error)
                case "stream" if outputs and outputs[-1].get("name") == content["name"]:
                    outputs[-1]["text"] += content["text"]
                case "stream":
                    outputs.append({"output_type": "stream", "name": content["name"], "text": content["text"]})
                case "execute_result":
                    data = {kind: content["data"][kind] for kind in _KEPT if kind in content["data"]}
                    number = {"execution_count": content["execution_count"], "metadata": {}}
                    outputs.append({"output_type": "execute_result", "data": data, **number})
                case "display_data" | "update_display_data":
                    displayed.append(content["data"]["text/plain"])
                case "error":
                    error = f"{content['ename']}: {content['evalue']}"


@contextmanager
def kernel(folder: Path) -> Iterator[Kernel]:
    """Starts a kernel of this Python in a folder, and ends it after the block."""
    manager = KernelManager()
    manager.kernel_cmd = [sys.executable, "-m", "ipykernel_launcher", "-f", "{connection_file}"]
    # Without the path by which a test's processes see only the packages that users have.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    manager.start_kernel(cwd=str(folder), env=environment)
    try:
        client = manager.client()
        client.start_channels()
        try:
            client.wait_for_ready(timeout=_PATIENCE_S)
            yield Kernel(manager, client)
        finally:
            client.stop_channels()
    finally:
        manager.shutdown_kernel(now=True)


def execute(notebook: dict[str, Any], folder: Path) -> Iterator[tuple[dict[str, Any], Executed]]:
    """Yields the code cells of a notebook with what they put out; ends after an error."""
    with kernel(folder) as running:
        for cell in notebook["cells"]:
            if cell["cell_type"] == "code":
                done = running.execute("".join(cell["source"]))
                yield cell, done
                if done.error is not None:
                    return


def main(path: Path) -> None:
    """Writes the outputs into a notebook."""
    notebook = json.loads(path.read_text(encoding="utf-8"))
    with tempfile.TemporaryDirectory() as folder:
        for number, (cell, done) in enumerate(execute(notebook, Path(folder)), start=1):
            if done.error is not None:
                raise SystemExit(f"{path}: cell {number}: {done.error}")
            cell |= {"execution_count": number, "outputs": done.outputs}
    path.write_text(json.dumps(notebook, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
