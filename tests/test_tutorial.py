"""The tutorial, and runs in a notebook, in a real Jupyter kernel."""

import json
import threading
import time
from collections.abc import Iterator
from itertools import repeat
from pathlib import Path

import pytest

from tests.provider import Provider, Response, slow

pytest.importorskip("ipykernel", reason="ipykernel is not here; `make setup` installs it")
from tests.notebook import Kernel, execute, kernel

pytestmark = [pytest.mark.slow, pytest.mark.integration]

TUTORIAL = Path(__file__).parents[1] / "docs" / "tutorial.ipynb"


def test_the_tutorial_shows_what_it_puts_out(tmp_path: Path) -> None:
    """When its outputs change: ``python -m tests.notebook docs/tutorial.ipynb``."""
    notebook = json.loads(TUTORIAL.read_text(encoding="utf-8"))
    done = list(execute(notebook, tmp_path))
    assert [found.error for _, found in done] == [None] * sum(cell["cell_type"] == "code" for cell in notebook["cells"])
    for number, (cell, found) in enumerate(done, start=1):
        assert cell["outputs"] == found.outputs, f"cell {number}"
    assert any("192/192" in text for _, found in done for text in found.displayed)


@pytest.fixture
def notebook(tmp_path: Path) -> Iterator[Kernel]:
    with kernel(tmp_path) as running:
        yield running


def test_the_stop_button_keeps_finished_episodes(notebook: Kernel) -> None:
    """The kernel goes on, the episodes that were answered are stored, and the loop was running all the time."""
    waiting = threading.Event()

    def script() -> Iterator[Response | None]:
        yield from repeat(None, 6)
        waiting.set()
        yield from repeat(slow(120))

    with Provider(script=script()) as provider:
        model = {"model": "openai:m", "base_url": provider.base_url}
        config = {"models": [model], "families": ["queue"], "dataset": "generated:12"}
        config["execution"] = {"executor": "inline", "shard_size": 4}
        first = notebook.execute(
            "import asyncio, json, muses_eval\n"
            f"config = json.loads({json.dumps(json.dumps(config))})\n"
            "asyncio.get_event_loop().is_running()"
        )
        assert first.outputs[0]["data"]["text/plain"] == "True"

        def stop() -> None:
            waiting.wait()
            time.sleep(1)  # for the client to finish the episodes that were answered
            notebook.interrupt()

        threading.Thread(target=stop, daemon=True).start()
        stopped = notebook.execute("muses_eval.run(config, store='store')")
        assert stopped.error is not None
        assert stopped.error.startswith("KeyboardInterrupt: interrupted; finished episodes are stored")
        assert any("0/12" in text for text in stopped.displayed)
    query = "muses_eval.connect('store').sql('SELECT outcome, count(*) FROM episodes GROUP BY ALL').fetchall()"
    assert notebook.execute(query).outputs[0]["data"]["text/plain"] in [f"[('scored', {n})]" for n in range(1, 7)]
