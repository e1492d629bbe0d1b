"""A real Prefect server on loopback with its own home folder, and workers for it.

    with prefect_server(tmp_path) as server:
        muses("deploy", "nightly.yaml", PREFECT_API_URL=server.url)
        with server.worker("muses"):
            server.wait_until(lambda: server.states("nightly") == ["COMPLETED"])

The database is a file in that home folder unless the URL of another one is given.  The server and its workers run in
their own sessions and are ended by process id.
"""

import asyncio
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from tests.s3_server import free_ports

T = TypeVar("T")
PREFECT = Path(sys.executable).with_name("prefect")
PATIENCE_S = 180.0
"""Timeout of one wait, in seconds; generous, because the machine may be busy."""


class PrefectServer:
    """A server that can be stopped and started again."""

    def __init__(self, home: Path, database_url: str | None = None) -> None:
        self.home = home
        home.mkdir(parents=True, exist_ok=True)
        (self.port,) = free_ports(1)
        self.url = f"http://127.0.0.1:{self.port}/api"
        self._database = {} if database_url is None else {"PREFECT_API_DATABASE_CONNECTION_URL": database_url}
        self._running: list[subprocess.Popen[bytes]] = []

    def start(self) -> None:
        """Starts the server and returns when it answers."""
        command = (PREFECT, "server", "start", "--host", "127.0.0.1", "--port", str(self.port))
        (process,) = self._running = [_start(command, self._environment(), self.log)]
        wait_until(lambda: _answers(f"{self.url}/health"), process, self.log)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Stops the server; with SIGKILL, as abruptly as a power cut."""
        for process in self._running:
            _end(process, number)
        self._running = []

    @property
    def log(self) -> Path:
        return self.home / "server.log"

    def _environment(self) -> dict[str, str]:
        return {
            **_quiet(self.home),
            **self._database,
            "PREFECT_UI_ENABLED": "false",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED": "false",
        }

    @contextmanager
    def worker(
        self, pool: str, environment: Mapping[str, str] | None = None, limit: int = 8
    ) -> Iterator["subprocess.Popen[bytes]"]:
        """Runs a worker that executes the pool's due flow runs, so many at a time, with *environment* added."""
        env = {
            **_quiet(self.home / "worker"),
            "PREFECT_API_URL": self.url,
            "PREFECT_WORKER_QUERY_SECONDS": "1",
            **(environment or {}),
        }
        log = self.home / "worker.log"
        process = _start((PREFECT, "worker", "start", "--pool", pool, "--limit", limit), env, log)
        try:
            yield process
        finally:
            _end(process, signal.SIGTERM)

    @property
    def worker_log(self) -> str:
        log = self.home / "worker.log"
        return log.read_text(errors="replace") if log.exists() else ""

    def ask(self, question: Callable[[Any], Coroutine[Any, Any, T]]) -> T:
        """Returns the server's response to a call of Prefect's own client."""
        from prefect.client.orchestration import PrefectClient

        async def ask() -> T:
            async with PrefectClient(self.url) as client:
                return await question(client)

        return asyncio.run(ask())

    def runs(self, flow: str) -> list[Any]:
        """Returns the runs of a flow, the oldest first."""
        from prefect.client.schemas.filters import FlowFilter
        from prefect.client.schemas.sorting import FlowRunSort

        return self.ask(
            lambda client: client.read_flow_runs(
                flow_filter=FlowFilter(name={"any_": [flow]}), sort=FlowRunSort.EXPECTED_START_TIME_ASC
            )
        )

    def states(self, flow: str) -> list[str]:
        """Returns the states of the flow's runs that have started."""
        return [run.state_type.value for run in self.runs(flow) if run.start_time is not None]

    def run_deployment(self, name: str, due: datetime | None = None) -> str:
        """Starts the deployment FLOW/DEPLOYMENT as its schedule does at *due*; returns the id of the flow run."""
        from prefect.states import Scheduled

        async def run(client: Any) -> str:
            deployment = await client.read_deployment_by_name(name)
            state = None if due is None else Scheduled(scheduled_time=due)
            return str((await client.create_flow_run_from_deployment(deployment.id, state=state)).id)

        return self.ask(run)

    def state(self, flow_run_id: str) -> Any:
        """Returns the state of one flow run."""

        async def read(client: Any) -> Any:
            return (await client.read_flow_run(flow_run_id)).state

        return self.ask(read)

    def cancel(self, flow_run_id: str) -> None:
        """Cancels a flow run as the button on its page does."""
        from prefect.states import Cancelling

        self.ask(lambda client: client.set_flow_run_state(flow_run_id, Cancelling()))

    def wait_for_end(self, flow_run_id: str) -> Any:
        """Waits until a flow run has ended and returns its final state."""
        self.wait_until(lambda: self.state(flow_run_id).is_final())
        return self.state(flow_run_id)

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Waits until the condition holds; raises with the logs of the server and its workers if it never does."""
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.worker_log[-6000:]}\n{self.log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.3)


@contextmanager
def prefect_server(home: Path, database_url: str | None = None) -> Iterator[PrefectServer]:
    """Runs a Prefect server for the duration of the block."""
    server = PrefectServer(home, database_url)
    try:
        server.start()
        yield server
    finally:
        server.stop()


def wait_until(condition: Callable[[], bool], process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Waits until the condition holds; raises if the process ends first or the time is up."""
    deadline = time.monotonic() + PATIENCE_S
    while not condition():
        if process.poll() is not None or time.monotonic() > deadline:
            tail = log.read_text(errors="replace")[-2000:]
            raise RuntimeError(f"not ready (exit status {process.poll()}); the log ends with:\n{tail}")
        time.sleep(0.2)


def _start(command: tuple[object, ...], environment: Mapping[str, str], log: Path) -> "subprocess.Popen[bytes]":
    with log.open("ab") as output:
        return subprocess.Popen(
            [str(part) for part in command],
            env=dict(environment),
            stdout=output,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )


def _end(process: "subprocess.Popen[bytes]", number: signal.Signals) -> None:
    if process.poll() is None:
        process.send_signal(number)
    try:
        process.wait(60)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


def _quiet(home: Path) -> dict[str, str]:
    """Returns the environment without the settings of another Prefect installation."""
    home.mkdir(parents=True, exist_ok=True)
    mine = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    return {**mine, "PREFECT_HOME": str(home), "DO_NOT_TRACK": "1"}


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=5).close()
    except OSError:
        return False
    return True
