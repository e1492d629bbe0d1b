"""``muses flow evaluate`` with a real Prefect server, and without one."""

import asyncio
import json
import logging
import threading
import uuid
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from muses_eval.pipeline.config.parse import parse_config
from muses_eval.pipeline.errors import MusesError

from tests.conftest import Muses
from tests.flows.test_interrupt import CTRL_C, Stall, Stopped, job, reply
from tests.prefect_server import PrefectServer
from tests.provider import Provider
from tests.s3_server import free_ports

MODELS = ("--model=scripted/oracle", "--model=scripted/refuse")
JOB = (*MODELS, "--family=queue", "--family=access", "--dataset=generated:3")


def known(server: PrefectServer, name: str) -> dict[str, Any]:
    """Returns states, tasks, logs and artifacts of the flow runs with this name, read with Prefect's own client."""
    from prefect.client.schemas.filters import ArtifactFilter, FlowRunFilter, LogFilter, TaskRunFilter

    async def ask(client: Any) -> dict[str, Any]:
        runs = await client.read_flow_runs(flow_run_filter=FlowRunFilter(name={"any_": [name]}))
        ids = [run.id for run in runs]
        tasks = await client.read_task_runs(
            flow_run_filter=FlowRunFilter(id={"any_": ids}), task_run_filter=TaskRunFilter()
        )
        logs = await client.read_logs(log_filter=LogFilter(flow_run_id={"any_": ids}))
        artifacts = await client.read_artifacts(artifact_filter=ArtifactFilter(flow_run_id={"any_": ids}))
        return {
            "states": [(run.state_type.value, (run.state.message or "")) for run in runs],
            "tasks": sorted((task.name, task.state_type.value) for task in tasks),
            "logs": [log.message for log in logs],
            "artifacts": {artifact.key: (artifact.type, artifact.data) for artifact in artifacts},
        }

    return server.ask(ask)


@pytest.mark.integration
@pytest.mark.own_process
def test_the_server_knows_the_run_its_cells_and_its_leaderboard(muses: Muses, prefect: PrefectServer) -> None:
    """Also behind proxies that cannot reach this machine."""
    environment = {"HTTP_PROXY": "http://127.0.0.1:1", "ALL_PROXY": "socks5://127.0.0.1:1", "no_proxy": "x.example"}
    command = ("flow", "evaluate", *JOB, "--name=tonight", "--json", "--quiet")
    done = muses(*command, PREFECT_API_URL=prefect.url, **environment)
    assert (done.returncode, len(done.stderr.splitlines())) == (0, 1), done.stderr
    run_id = json.loads(done.stdout)["run_id"]
    found = known(prefect, "evaluate-tonight")
    assert [state for state, _ in found["states"]] == ["COMPLETED"]
    assert found["tasks"] == [
        (f"{run_id}: scripted/{kind} on {family}", "COMPLETED")
        for kind in ("oracle", "refuse")
        for family in ("access", "queue")
    ]
    assert found["artifacts"][f"progress-{run_id}"] == ("progress", 100.0)
    progress = [line for line in found["logs"] if line.startswith(f"run {run_id}: ")]
    assert [progress[n].split(": ")[1] for n in (0, -1)] == ["0 of 12 episodes (0%)", "12 of 12 episodes (100%)"]
    kind, text = found["artifacts"][f"leaderboard-{run_id}"]
    assert kind == "markdown"
    assert "| scripted/oracle" in text
    assert "100.0" in text

    again = muses(*command, PREFECT_API_URL=prefect.url)  # none pending
    assert again.returncode == 0, again.stderr
    assert json.loads(again.stdout)["leaderboard"] == json.loads(done.stdout)["leaderboard"]
    assert [state for state, _ in known(prefect, "evaluate-tonight")["states"]] == ["COMPLETED"] * 2


@pytest.mark.slow
@pytest.mark.integration
@pytest.mark.own_process
def test_a_flow_that_cannot_run_says_so_once(muses: Muses, prefect: PrefectServer) -> None:
    """The user sees only our message, and Prefect records the failure with the same reason."""
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}/v1"
    job = ("--model=openai:m", "--base-url", url, "--dataset=generated:2", "--name=doomed")
    done = muses("flow", "evaluate", *job, PREFECT_API_URL=prefect.url)
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("muses: no model of this run can be reached")
    assert url in done.stderr
    assert "Traceback" not in done.stderr
    assert len(done.stderr.splitlines()) == 3
    ((state, message),) = known(prefect, "evaluate-doomed")["states"]
    assert state == "FAILED"
    assert "no model of this run can be reached" in message


@pytest.mark.slow
@pytest.mark.integration
def test_an_interrupted_flow_is_not_left_running(
    tmp_path: Path, prefect: PrefectServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An interrupted flow run has a final state on the server."""
    monkeypatch.setenv("PREFECT_API_URL", prefect.url)
    stall = Stall()
    with Provider(reply=reply, script=stall, latency_s=0.02) as provider:
        running = Stopped(tmp_path, *job(provider, "flow", "evaluate"), "--name=halted")
        assert stall.reached.wait(120)
        running.send(*CTRL_C)
        stopped = running.wait()
    assert stopped.returncode == 130, stopped.stderr
    assert len(stopped.stderr.splitlines()) == 1
    ((state, _),) = known(prefect, "evaluate-halted")["states"]
    assert state in ("CRASHED", "CANCELLED")


@pytest.mark.slow
@pytest.mark.integration
@pytest.mark.own_process
def test_a_server_that_is_not_there(muses: Muses, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}/api"
    done = muses("flow", "evaluate", *JOB, PREFECT_API_URL=url)
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert line.startswith(f"muses: no Prefect server answers at {url}")
    assert "prefect server start" in line
    assert "unset" in line
    assert not (tmp_path / ".muses" / "store").exists()


class _Broken(BaseHTTPRequestHandler):
    """Answers every request with 500."""

    def _fail(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self.send_error(500)

    do_GET = do_POST = do_PATCH = _fail  # noqa: N815 - the library's names

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as above
        pass


@pytest.mark.slow
@pytest.mark.integration
def test_trouble_with_the_progress_page_costs_no_run(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """A progress artifact that cannot be published is logged, and the run continues."""
    from muses_eval.flows.job.prepare import prepare_without_lock
    from muses_eval.flows.prefect_flows.artifacts import ProgressArtifact
    from prefect.settings import PREFECT_API_URL, temporary_settings

    raw = {"models": ["scripted/oracle"], "dataset": "generated:1", "store": str(tmp_path)}
    # Prefect removes the handlers of the root logger.
    logging.getLogger("muses_eval.flows.prefect_flows.server").addHandler(caplog.handler)
    progress = ProgressArtifact(prepare_without_lock(parse_config(raw, "here")), uuid.uuid4())
    with ThreadingHTTPServer(("127.0.0.1", 0), _Broken) as broken:
        thread = threading.Thread(target=broken.serve_forever)
        thread.start()
        with temporary_settings({PREFECT_API_URL: f"http://127.0.0.1:{broken.server_port}/api"}):
            asyncio.run(progress.publish())
        broken.shutdown()
        thread.join()
    assert "the status of the run was not sent to Prefect" in caplog.text


@pytest.mark.integration
def test_a_lost_server_is_told_in_our_words() -> None:
    """A lost server is reported with our message after Prefect has given up its retries."""
    import httpx
    from muses_eval.flows.prefect_flows.server import translate_server_errors

    (port,) = free_ports(1)
    with pytest.raises(MusesError, match=r"the Prefect server was lost \(ConnectError.*start the same command again"):  # noqa: SIM117
        with translate_server_errors():
            httpx.get(f"http://127.0.0.1:{port}/api/health")


@pytest.mark.slow
@pytest.mark.integration
def test_the_doctor_finds_the_server(muses: Muses, prefect: PrefectServer) -> None:
    (port,) = free_ports(1)
    done = muses(
        "doctor", "--json", "--ray-address", f"127.0.0.1:{port}", PREFECT_API_URL=prefect.url
    )  # without Ray, which is faster
    assert (done.returncode, done.stderr) == (2, "")
    findings = {finding["what"]: finding for finding in json.loads(done.stdout)}
    found = findings["prefect"]
    assert found["ok"]
    assert found["detail"].startswith(f"the server at {prefect.url} answers, with version ")
