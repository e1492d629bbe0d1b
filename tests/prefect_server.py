"""A real Prefect server on loopback, with a home of its own, and workers for it.

    with prefect_server(tmp_path) as server:
        muses("deploy", "nightly.yaml", PREFECT_API_URL=server.url)
        with server.worker("muses"):
            server.wait_until(lambda: server.states("nightly") == ["COMPLETED"])

Its database is a file in its home unless a URL of another one is given.  Server and workers run in sessions of their
own and are ended by their process.
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
"""For one thing to happen; far more than it takes, on a machine that has other things to do."""


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
        """Returns when it answers."""
        command = (PREFECT, "server", "start", "--host", "127.0.0.1", "--port", str(self.port))
        (process,) = self._running = [_start(command, self._environment(), self.log)]
        wait_until(lambda: _answers(f"{self.url}/health"), process, self.log)

    def stop(self, number: signal.Signals = signal.SIGTERM) -> None:
        """Ends it; SIGKILL as a power cut would."""
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
            "PREFECT_SERVER_SERVICES_SCHEDULER_LOOP_SECONDS": "2",  # not every minute
            "PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED": "false",
        }

    @contextmanager
    def worker(self, pool: str, environment: Mapping[str, str] | None = None) -> Iterator["subprocess.Popen[bytes]"]:
        """A worker that takes what is due in the pool; *environment*: what its runs find beside ours."""
        env = {
            **_quiet(self.home / "worker"),
            "PREFECT_API_URL": self.url,
            "PREFECT_WORKER_QUERY_SECONDS": "1",
            **(environment or {}),
        }
        log = self.home / "worker.log"
        process = _start((PREFECT, "worker", "start", "--pool", pool), env, log)
        try:
            yield process
        finally:
            _end(process, signal.SIGTERM)

    @property
    def worker_log(self) -> str:
        log = self.home / "worker.log"
        return log.read_text(errors="replace") if log.exists() else ""

    def ask(self, question: Callable[[Any], Coroutine[Any, Any, T]]) -> T:
        """What the server says to Prefect's own client."""
        from prefect.client.orchestration import PrefectClient

        async def ask() -> T:
            async with PrefectClient(self.url) as client:
                return await question(client)

        return asyncio.run(ask())

    def runs(self, flow: str) -> list[Any]:
        """The runs of a flow, the oldest first."""
        from prefect.client.schemas.filters import FlowFilter
        from prefect.client.schemas.sorting import FlowRunSort

        return self.ask(
            lambda client: client.read_flow_runs(
                flow_filter=FlowFilter(name={"any_": [flow]}), sort=FlowRunSort.EXPECTED_START_TIME_ASC
            )
        )

    def states(self, flow: str) -> list[str]:
        """Of its runs that have begun."""
        return [run.state_type.value for run in self.runs(flow) if run.start_time is not None]

    def run_deployment(self, name: str, due: datetime | None = None) -> str:
        """Starts a deployment, named FLOW/DEPLOYMENT, as its schedule does at *due*; returns the id of its run."""
        from prefect.states import Scheduled

        async def run(client: Any) -> str:
            deployment = await client.read_deployment_by_name(name)
            state = None if due is None else Scheduled(scheduled_time=due)
            return str((await client.create_flow_run_from_deployment(deployment.id, state=state)).id)

        return self.ask(run)

    def state(self, flow_run_id: str) -> Any:
        """Of one run."""

        async def read(client: Any) -> Any:
            return (await client.read_flow_run(flow_run_id)).state

        return self.ask(read)

    def cancel(self, flow_run_id: str) -> None:
        """As its page's button does."""
        from prefect.states import Cancelling

        self.ask(lambda client: client.set_flow_run_state(flow_run_id, Cancelling()))

    def wait_for_end(self, flow_run_id: str) -> Any:
        """The state in which one run has ended."""
        self.wait_until(lambda: self.state(flow_run_id).is_final())
        return self.state(flow_run_id)

    def wait_until(self, condition: Callable[[], bool]) -> None:
        """Raises with what server and worker had to say when it does not happen."""
        deadline = time.monotonic() + PATIENCE_S
        while not condition():
            if time.monotonic() > deadline:
                raise TimeoutError(f"{self.worker_log[-6000:]}\n{self.log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.3)


@contextmanager
def prefect_server(home: Path, database_url: str | None = None) -> Iterator[PrefectServer]:
    """Starts a server and stops it at the end."""
    server = PrefectServer(home, database_url)
    try:
        server.start()
        yield server
    finally:
        server.stop()


def wait_until(condition: Callable[[], bool], process: "subprocess.Popen[bytes]", log: Path) -> None:
    """Raises when the process ends before it happens, or it does not happen."""
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
    """The environment without what belongs to another Prefect."""
    home.mkdir(parents=True, exist_ok=True)
    mine = {name: value for name, value in os.environ.items() if not name.startswith("PREFECT_")}
    return {**mine, "PREFECT_HOME": str(home), "DO_NOT_TRACK": "1"}


def _answers(url: str) -> bool:
    try:
        urllib.request.urlopen(url, timeout=5).close()
    except OSError:
        return False
    return True
