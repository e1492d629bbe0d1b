"""``muses deploy`` with a real server and worker: registrations, schedules and refusals."""

import json
import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import yaml
from muses_eval.flows.prefect_flows.deployment_file import Deployment, placeholder_values, read_deployments
from muses_eval.flows.settings import read_settings
from muses_eval.pipeline.errors import ConfigError

from tests.conftest import Muses
from tests.prefect_server import PrefectServer, prefect_server, wait_until
from tests.provider import Provider
from tests.s3_server import S3Server, free_ports

PREFECT_FILE = Path(__file__).parents[2] / "infra" / "prefect.yaml"
RUN: dict[str, Any] = {"models": ["scripted/oracle"], "dataset": "generated:2", "families": ["queue"]}
ENTRY: dict[str, Any] = {
    "name": "{{ name }}",
    "entrypoint": "muses_eval.flows.prefect_flows.evaluate_flow.evaluate_flow",
    "parameters": {"config": "{{ run }}", "name": "{{ name }}"},
    "work_pool": {"name": "muses"},
}


def given(**config: Any) -> dict[str, Any]:
    raw = {**RUN, "store": "/store", **config}
    return placeholder_values(raw, "here.yaml", read_settings({"MUSES_HOME": "/home"}), Path("/folder"))


def registered(file: Path = PREFECT_FILE, **config: Any) -> dict[str, Deployment]:
    return {each.entrypoint.rpartition(".")[2]: each for each in read_deployments(file, given(**config)).deployments}


def test_a_run_is_registered_on_demand_and_nothing_starts_by_itself() -> None:
    found = registered(name="mine")
    assert list(found) == ["evaluate_flow"]
    evaluate = found["evaluate_flow"]
    assert (evaluate.name, evaluate.schedules) == ("mine", ())
    assert evaluate.parameters["config"]["store"] == "/store"
    assert evaluate.work_pool.job_variables["working_dir"] == "/folder"
    assert evaluate.work_pool.job_variables["env"]["MUSES_HOME"] == "/home"


def test_a_configuration_is_known_by_its_name_or_else_by_its_file() -> None:
    """Deployments are tagged with the configuration's name, or its file if it has none, and with the store."""
    settings = read_settings({"MUSES_HOME": "/home"})
    raws = ({**RUN, "store": "/store"}, {**RUN, "store": "/store", "name": "mine"})
    unnamed, named = (
        {placeholder_values(raw, source, settings, Path("/folder"))["tag"] for source in ("a.yaml", "b.yaml")}
        for raw in raws
    )
    assert unnamed == {"muses: /folder/a.yaml in /store", "muses: /folder/b.yaml in /store"}
    assert named == {"muses: mine in /store"}


def test_sections_become_schedules() -> None:
    berlin = {"cron": "30 2 * * *", "timezone": "Europe/Berlin"}
    found = registered(nightly={**berlin, "name": "board"}, maintain={})
    assert list(found) == ["nightly_flow", "maintain_flow", "evaluate_flow"]
    (schedule,) = found["nightly_flow"].schedules
    assert (schedule.cron, schedule.timezone) == ("30 2 * * *", "Europe/Berlin")
    assert found["nightly_flow"].name == "board"
    assert found["nightly_flow"].parameters["config"]["nightly"]["name"] == "board"


def test_a_night_waits_in_the_first_queue() -> None:
    found = registered(nightly={}, maintain={})
    assert [each.work_pool.work_queue_name for each in found.values()] == ["nightly", "default", "default"]


def test_a_grid_is_a_sweep_and_nothing_else() -> None:
    entries = read_deployments(PREFECT_FILE, given(name="wide", grid={"epochs": [1, 2]}))
    (sweep,) = entries.deployments
    assert sweep.entrypoint == "muses_eval.flows.prefect_flows.sweep_flow.sweep_flow"
    assert sweep.parameters["config"]["grid"] == {"epochs": [1, 2]}
    assert entries.left_out["muses_eval.flows.prefect_flows.evaluate_flow.evaluate_flow"] == (
        "it is for a single run, and the configuration is a grid"
    )
    assert set(entries.left_out.values()) == {"it is for a single run, and the configuration is a grid"}


def test_what_is_left_out_says_why() -> None:
    left_out = read_deployments(PREFECT_FILE, given(maintain={})).left_out
    assert left_out == {
        "muses_eval.flows.prefect_flows.nightly_flow.nightly_flow": "the configuration has no section nightly",
        "muses_eval.flows.prefect_flows.sweep_flow.sweep_flow": "the configuration has no grid",
    }


def test_a_sweep_without_a_name_is_called_so() -> None:
    """A sweep without a name is deployed as ``sweep``, as the command names it, and not after its first run."""
    raw = {"models": ["scripted/oracle"], "grid": {"epochs": [1, 2]}, "store": "/store"}
    assert placeholder_values(raw, "wide.yaml", read_settings({}), Path("/"))["name"] == "sweep"


def test_a_night_that_could_never_be_played_is_refused_at_once() -> None:
    with pytest.raises(ConfigError, match="nights are named nightly-<date>; leave it out"):
        given(nightly={}, run_id="x")


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("a: [", "not YAML"),
        ("deployments: 3", "expected a list of deployments"),
        ("deployments: [{name: x, entrypoint: a.b}]", "a.b: work_pool: Field required"),
        (yaml.safe_dump({"deployments": [{**ENTRY, "schedules": [{"cron": "61 * * * *"}]}]}), "Invalid cron string"),
        (yaml.safe_dump({"deployments": [{**ENTRY, "tag": ["x"]}]}), "tag: Extra inputs"),
        (yaml.safe_dump({"deployments": [{**ENTRY, "name": "a/b"}]}), "name: String should match pattern"),
    ],
)
def test_a_file_of_deployments_that_cannot_be_used(tmp_path: Path, text: str, told: str) -> None:
    file = tmp_path / "prefect.yaml"
    file.write_text(text)
    with pytest.raises(ConfigError, match=r"prefect\.yaml: ") as caught:
        read_deployments(file, given())
    assert told in str(caught.value)


def test_a_file_of_version_0_1_0_is_read_with_the_present_entry_points(tmp_path: Path) -> None:
    """A copy of infra/prefect.yaml that a user changed before the modules moved still registers the same flows."""
    text = PREFECT_FILE.read_text()
    file = tmp_path / "prefect.yaml"
    file.write_text(text.replace("muses_eval.flows.prefect_flows.", "flows."))
    values = given(nightly={}, maintain={})
    old, new = read_deployments(file, values), read_deployments(PREFECT_FILE, values)
    assert old.deployments == new.deployments
    assert len(old.deployments) == 3
    assert set(old.moved.values()) == {each.entrypoint for each in new.deployments}
    assert old.moved["flows.nightly_flow.nightly_flow"] == "muses_eval.flows.prefect_flows.nightly_flow.nightly_flow"
    assert new.moved == {}
    file.write_text(text.replace("muses_eval.flows.prefect_flows.evaluate_flow.", "flows.of_ours."))
    assert read_deployments(file, values).moved == {}


def write(folder: Path, **config: Any) -> None:
    (folder / "night.yaml").write_text(yaml.safe_dump({**RUN, **config}))


@pytest.mark.parametrize(
    ("config", "told"),
    [
        ({"nightly": {"cron": "0 25 * * *"}}, ("night.yaml: nightly.cron", "bad hour")),
        ({"nightly": {"cron": "daily"}}, ("night.yaml: nightly.cron", "expected five fields")),
        ({"nightly": {"timezone": "Europe/Berln"}}, ("nightly.timezone", "did you mean 'Europe/Berlin'?")),
        ({"notify": ["team"]}, ("notify[0]", "TYPE/NAME")),
        ({"name": "q&a/b"}, ("night.yaml: name 'q&a/b': Prefect does not allow & / in the name of a deployment",)),
        ({"grid": {"epochs": []}}, ("epochs",)),
    ],
)
def test_bad_configurations_are_refused_before_anybody_is_asked(
    muses: Muses, tmp_path: Path, config: dict[str, Any], told: tuple[str, ...]
) -> None:
    write(tmp_path, **config)
    done = muses("deploy", "night.yaml")
    assert (done.returncode, done.stdout) == (2, "")
    assert "Traceback" not in done.stderr
    for part in told:
        assert part in done.stderr


@pytest.mark.own_process
def test_a_server_has_to_be_named(muses: Muses, tmp_path: Path) -> None:
    write(tmp_path)
    done = muses("deploy", "night.yaml")
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert "prefect server start" in line
    assert "PREFECT_API_URL" in line


def test_a_server_has_to_answer(muses: Muses, tmp_path: Path) -> None:
    write(tmp_path)
    (port,) = free_ports(1)
    done = muses("deploy", "night.yaml", PREFECT_API_URL=f"http://127.0.0.1:{port}/api")
    assert (done.returncode, done.stdout) == (2, "")
    (line,) = done.stderr.splitlines()
    assert f"no Prefect server answers at http://127.0.0.1:{port}/api" in line
    assert "prefect server start" in line


def deployments(server: PrefectServer, pool: str) -> dict[str, Any]:
    """Returns the deployments in a work pool, by name."""
    from prefect.client.schemas.filters import WorkPoolFilter

    found = server.ask(lambda client: client.read_deployments(work_pool_filter=WorkPoolFilter(name={"any_": [pool]})))
    return {f"{each.entrypoint.rpartition('.')[2]}/{each.name}": each for each in found}


def file_of(folder: Path, pool: str, **changes: Any) -> Path:
    """Writes a copy of the project's deployment file with another work pool; returns its path."""
    text = PREFECT_FILE.read_text().replace("name: muses", f"name: {pool}")
    document = yaml.safe_load(text)
    for entry in document["deployments"]:
        entry.update(changes.get(entry["entrypoint"].rpartition(".")[2], {}))
    file = folder / "prefect.yaml"
    file.write_text(yaml.safe_dump(document))
    return file


@pytest.mark.slow
@pytest.mark.integration
def test_registering_again_changes_what_is_there(muses: Muses, prefect: PrefectServer, tmp_path: Path) -> None:
    file = file_of(tmp_path, "again")
    command = ("deploy", "night.yaml", "--prefect-file", str(file))
    write(tmp_path, name="twice", nightly={"cron": "0 1 * * *", "name": "twice-nightly"})
    done = muses(*command, PREFECT_API_URL=prefect.url)
    assert done.returncode == 0, done.stderr
    assert "nightly/twice-nightly  0 1 * * * (UTC)" in done.stdout
    assert "prefect worker start --pool again" in done.stderr
    before = deployments(prefect, "again")

    write(tmp_path, name="twice", epochs=2, nightly={"cron": "0 3 * * *", "name": "twice-nightly"})
    done = muses(*command, "--json", PREFECT_API_URL=prefect.url)
    assert done.returncode == 0, done.stderr
    assert [each["name"] for each in json.loads(done.stdout)["deployments"]] == [
        "nightly/twice-nightly",
        "evaluate/twice",
    ]
    after = deployments(prefect, "again")
    assert {name: each.id for name, each in after.items()} == {name: each.id for name, each in before.items()}
    assert [schedule.schedule.cron for schedule in after["nightly_flow/twice-nightly"].schedules] == ["0 3 * * *"]
    assert after["evaluate_flow/twice"].parameters["config"]["epochs"] == 2
    assert "another configuration" not in done.stderr
    write(tmp_path, name="thrice", nightly={"name": "twice-nightly"})
    done = muses(*command, PREFECT_API_URL=prefect.url)
    taken = "nightly/twice-nightly was the deployment of another configuration (muses: twice in "
    assert (done.returncode, done.stderr.count(taken)) == (0, 1), done.stderr
    queues = prefect.ask(lambda client: client.read_work_queues(work_pool_name="again"))
    assert [queue.name for queue in sorted(queues, key=lambda queue: queue.priority)] == ["nightly", "default"]


@pytest.mark.slow
@pytest.mark.integration
def test_the_doctor_reports_deployments_of_an_earlier_version(
    muses: Muses, prefect: PrefectServer, tmp_path: Path
) -> None:
    """The doctor reports deployments with outdated entry points until they are deployed again."""
    from prefect.client.schemas.actions import DeploymentUpdate

    def check() -> dict[str, Any]:
        (port,) = free_ports(1)
        done = muses("doctor", "--json", "--ray-address", f"127.0.0.1:{port}", PREFECT_API_URL=prefect.url)
        return {each["what"]: each for each in json.loads(done.stdout)}["prefect"]

    write(tmp_path, name="earlier")
    command = ("deploy", "night.yaml", "--prefect-file", str(file_of(tmp_path, "earlier")))
    assert muses(*command, PREFECT_API_URL=prefect.url).returncode == 0
    (deployment,) = deployments(prefect, "earlier").values()
    old = DeploymentUpdate(entrypoint="flows.evaluate_flow.evaluate_flow")
    prefect.ask(lambda client: client.update_deployment(deployment.id, old))
    found = check()
    assert not found["ok"]
    assert "evaluate/earlier; run `muses deploy` once more" in found["detail"]
    assert muses(*command, PREFECT_API_URL=prefect.url).returncode == 0
    found = check()
    assert (found["ok"], "run `muses deploy`" in found["detail"]) == (True, False)
    assert "no worker polls the work pool earlier" in found["warning"]


@pytest.mark.slow
@pytest.mark.integration
def test_what_a_configuration_has_no_longer_starts_no_more(
    muses: Muses, prefect: PrefectServer, tmp_path: Path
) -> None:
    """A deployment without its section is paused and its due runs are deleted; it resumes when the section returns."""

    def deployed(name: str, **sections: Any) -> dict[str, Any]:
        write(tmp_path, name=name, **sections)
        done = muses(*command, "--json", PREFECT_API_URL=prefect.url)
        assert done.returncode == 0, done.stderr
        return dict(json.loads(done.stdout))

    def active(name: str) -> list[bool]:
        return [schedule.active for schedule in deployments(prefect, "ends")[f"nightly_flow/{name}"].schedules]

    def due(name: str) -> list[str]:
        return [run.name for run in prefect.runs("nightly") if run.parameters["name"] == name]

    command = ("deploy", "night.yaml", "--prefect-file", str(file_of(tmp_path, "ends")))
    deployed("other", nightly={"name": "other-nightly"}, maintain={})
    assert deployed("ends", nightly={"name": "ends-nightly"}, maintain={})["gone"] == []
    prefect.wait_until(lambda: bool(due("ends-nightly")))

    write(tmp_path, name="ends", maintain={})
    done = muses(*command, PREFECT_API_URL=prefect.url)
    assert done.returncode == 0, done.stderr
    (line,) = [line for line in done.stderr.splitlines() if "any more" in line]
    assert line == (
        "not in the configuration any more: nightly/ends-nightly; its schedule is paused; "
        "`prefect deployment delete nightly/ends-nightly` deletes it"
    )
    assert (active("ends-nightly"), due("ends-nightly")) == ([False], [])
    assert active("other-nightly") == [True]

    assert deployed("ends", nightly={"name": "ends-nightly"})["gone"] == [{"name": "maintain/ends", "paused": True}]
    assert active("ends-nightly") == [True]
    assert deployed("ends", grid={"epochs": [1, 2]})["gone"] == [
        {"name": "evaluate/ends", "paused": False},
        {"name": "maintain/ends", "paused": True},
        {"name": "nightly/ends-nightly", "paused": True},
    ]


@pytest.mark.slow
@pytest.mark.integration
def test_what_the_server_cannot_take(muses: Muses, prefect: PrefectServer, tmp_path: Path) -> None:
    from prefect.client.schemas.actions import WorkPoolCreate

    write(tmp_path, notify=["webhook/nobody"])
    done = muses("deploy", "night.yaml", PREFECT_API_URL=prefect.url)
    assert (done.returncode, done.stdout) == (2, "")
    assert "no block 'webhook/nobody'" in done.stderr

    write(tmp_path)
    prefect.ask(lambda client: client.create_work_pool(WorkPoolCreate(name="boxes", type="docker")))
    done = muses("deploy", "night.yaml", "--prefect-file", str(file_of(tmp_path, "boxes")), PREFECT_API_URL=prefect.url)
    assert (done.returncode, done.stdout) == (2, "")
    assert "work pool 'boxes' is of type docker" in done.stderr


def store_of(s3: S3Server, tmp_path: Path) -> str:
    return f"s3://muses-tests/{tmp_path.name}"


@pytest.mark.slow
@pytest.mark.integration
def test_a_schedule_fires_and_the_results_are_in_the_store(
    muses: Muses, prefect: PrefectServer, s3: S3Server, tmp_path: Path
) -> None:
    """A scheduled run passes through the worker, the model with its key and the store, and ends as COMPLETED."""
    pool = f"fires-{tmp_path.name[-8:]}".lower()
    file = file_of(tmp_path, pool, evaluate_flow={"schedules": [{"interval": 5}]})
    with Provider() as provider:
        model = {"model": "openai:m", "base_url": provider.base_url, "api_key_env": "TESTS_SECRET"}
        write(tmp_path, name="scheduled", store=store_of(s3, tmp_path), models=[model])
        done = muses("deploy", "night.yaml", "--prefect-file", str(file), PREFECT_API_URL=prefect.url)
        assert done.returncode == 0, done.stderr
        secret = "sk-only-the-worker-knows-0123456789"
        with prefect.worker(pool, {**s3.environment, "TESTS_SECRET": secret}, limit=1):
            prefect.wait_until(lambda: "COMPLETED" in ended(prefect, "evaluate-scheduled"))
            (deployment,) = deployments(prefect, pool).values()
            prefect.ask(lambda client: client.pause_deployment(deployment.id))
            # The next run may have started: it finds nothing to play, or the lock refuses it.
            prefect.wait_until(lambda: not running(prefect, "evaluate-scheduled"))
    assert all(request.authorization == f"Bearer {secret}" for request in provider.completions)
    assert len(provider.completions) == 2  # no matter how often the schedule fired
    assert secret not in str(deployment)
    found = muses("leaderboard", "--store", store_of(s3, tmp_path), "--format", "json", **s3.environment)
    assert found.returncode == 0, found.stderr
    (row,) = json.loads(found.stdout)
    assert (row["model"], row["episodes"], row["coverage"]) == ("m", 2, 1.0)


def ended(server: PrefectServer, name: str) -> list[str]:
    return [run.state_type.value for run in server.runs("evaluate") if run.name == name]


def running(server: PrefectServer, name: str) -> bool:
    return any(state in ("PENDING", "RUNNING") for state in ended(server, name))


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    """Starts a PostgreSQL server on loopback and stops it at the end; yields the URL for Prefect."""
    programs = sorted(Path("/usr/lib/postgresql").glob("*/bin"))
    if not programs:
        pytest.skip("no PostgreSQL here (Debian's package postgresql)")
    (port,) = free_ports(1)
    # PostgreSQL refuses to run as root.
    user = {"user": "postgres", "group": "postgres"} if os.getuid() == 0 else {}
    if user:
        shutil.chown(folder, **user)
    data, log = folder / "data", folder / "log"
    flags = ("--auth=trust", "--username=prefect", "--encoding=UTF8", "--locale=C", "--no-sync")
    subprocess.run([programs[-1] / "initdb", "-D", data, *flags], check=True, capture_output=True, cwd=folder, **user)
    with log.open("wb") as output:
        process = subprocess.Popen(
            [programs[-1] / "postgres", "-D", data, "-h", "127.0.0.1", "-p", str(port), "-k", "", "-F"],
            cwd=folder,
            stdout=output,
            stderr=subprocess.STDOUT,
            **user,
        )
    try:
        wait_until(lambda: "ready to accept connections" in log.read_text(), process, log)
        yield f"postgresql+asyncpg://prefect@127.0.0.1:{port}/postgres"
    finally:
        process.terminate()
        process.wait(30)


@pytest.fixture
def world_folder() -> Iterator[Path]:
    """A folder that other users can access, unlike pytest's own."""
    import tempfile

    with tempfile.TemporaryDirectory(prefix="muses-pg-") as folder:
        Path(folder).chmod(0o755)
        yield Path(folder)


@pytest.mark.slow
@pytest.mark.integration
def test_a_night_with_postgres_as_the_servers_database(muses: Muses, world_folder: Path, tmp_path: Path) -> None:
    with postgres(world_folder) as database, prefect_server(tmp_path / "prefect", database) as server:
        write(tmp_path, nightly={"canary": 2, "timezone": "UTC"})
        done = muses("deploy", "night.yaml", PREFECT_API_URL=server.url)
        assert done.returncode == 0, done.stderr
        with server.worker("muses"):
            state = server.wait_for_end(server.run_deployment("nightly/nightly"))
        assert state.type.value == "COMPLETED", state
        assert not list((tmp_path / "prefect").glob("*.db"))  # SQLite is not used
    (night,) = json.loads(muses("flow", "status", "--json").stdout)["nights"]
    assert (night["state"], night["coverage"]) == ("sealed", 1.0)
