"""Invalid input of every kind: exit code 2, one clear message on stderr, nothing else, and no data lost."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

import pytest
from muses_eval.flows.cli import main
from muses_eval.flows.cli.job_runner import pending_advice
from muses_eval.pipeline.datasets.dataset import generate_rows
from muses_eval.pipeline.errors import FailureKind

from tests.conftest import Muses
from tests.provider import Provider, refused
from tests.s3_server import S3Server, free_ports

ORACLE = "--model=scripted/oracle"


@dataclass(frozen=True, slots=True)
class Said:
    """Output of a command that was refused."""

    stdout: str
    stderr: str


Refused = Callable[..., Said]
"""Runs a command and asserts that it is refused."""


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def refuse(capsys: pytest.CaptureFixture[str]) -> Refused:
    """Runs commands in this process, so that an uncaught exception fails the test with its traceback."""

    def run(*arguments: str, mentions: tuple[str, ...]) -> Said:
        code = main(list(arguments))
        said = Said(*capsys.readouterr())
        assert code == 2, said
        assert said.stdout == ""
        assert said.stderr.startswith("muses: ")
        assert "Traceback" not in said.stderr
        for text in mentions:
            assert text in said.stderr
        return said

    return run


def write_rows(path: Path, *rows: object) -> str:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows))
    return str(path)


def generated(family: str, count: int, seed: int = 1) -> list[Mapping[str, object]]:
    return list(generate_rows(str(count), seed, [family]))


def contents(folder: Path) -> dict[str, bytes]:
    """Returns path -> content of every file below a folder."""
    return {str(path.relative_to(folder)): path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@pytest.mark.parametrize(
    ("text", "mentions"),
    [
        (b"modles: [scripted/oracle]\n", ("modles: unknown key", "did you mean 'models'?")),
        (b"models: [{model: scripted/oracle, max_retry: 1}]\n", ("max_retry", "'max_retries'")),
        (b"name: x\n", ("models: missing",)),
        (b"models: []\n", ("models",)),
        (b"models: [scripted/nobody]\n", ("models", "'scripted/nobody'", "scripted/oracle")),
        (b"models: [scripted/oracle]\nfamilies: [quue]\n", ("families", "'quue'", "there are queue, ")),
        (b"models: [scripted/oracle]\nepochs: many\n", ("epochs", "'many'")),
        (b"models: [a: b\n", ("not YAML", "line 1, column 9")),
        (b"models: " + b"[" * 20_000, ("line 1: nested more than 50 levels deep",)),
        (b"models: [scripted/oracle]\nepochs: " + b"9" * 5000, ("line 2: a whole number of 5,000 digits",)),
        (b"models: [scripted/oracle]\nstore: s3:/x\n", ("store: 's3:/x': ", "write s3://x")),
        (b"- models\n", ("expected keys and values", "['models']")),
        (b"", ("expected keys and values", "None")),
        (b"name: caf\xe9\n", ("not UTF-8 (byte 10)", "save the file as UTF-8")),
    ],
)
def test_a_config_file_that_says_nothing_usable(
    refuse: Refused, tmp_path: Path, text: bytes, mentions: tuple[str, ...]
) -> None:
    Path("run.yaml").write_bytes(text)
    for command in (("run",), ("plan",), ("flow", "evaluate"), ("flow", "sweep"), ("flow", "nightly"), ("doctor",)):
        refuse(*command, "run.yaml", mentions=("muses: run.yaml", *mentions))
    assert not (tmp_path / ".muses" / "store").exists()


def test_a_config_file_that_cannot_be_read(refuse: Refused) -> None:
    Path("folder").mkdir()
    refuse("run", "folder", mentions=("folder: cannot be read", "directory", "name a YAML file"))
    refuse("run", "none.yaml", mentions=("none.yaml: cannot be read", "No such file", "name a YAML file"))


@pytest.mark.parametrize(
    ("arguments", "mentions"),
    [
        (("run",), ("nothing to run", "--model scripted/oracle")),
        (("run", "--base-url", "http://127.0.0.1:1/v1"), ("nothing to run", "--model")),
        (("run", ORACLE, "--famly", "queue"), ("--famly", "Did you mean --family?", "muses run --help")),
        (("run", ORACLE, "--family", "quue"), ("no family 'quue'", "there are queue, ")),
        (("run", ORACLE, "--epochs", "x"), ("--epochs", '"x"', "muses run --help")),
        (("run", ORACLE, "--epochs", "0"), ("command line: epochs", "greater than 0", "got 0")),
        (("run", ORACLE, "--run-id", "a/b"), ("run_id", "'a/b'")),
        (("run", ORACLE, "--run-id", ".."), ("run_id", "'..'")),
        (("run", ORACLE, "--executor", "spark"), ("--executor", "spark", "inline")),
        (("run", "--model", "gpt-6-sol"), ("models", "openai:<model>", "'gpt-6-sol'")),
        (("run", "--model", "openai:m", "--base-url", "localhost:1"), ("base_url", "http://", "'localhost:1'")),
        (("run", "--model", "openai:m", "--base-url", "http://me:secret@h/v1"), ("base_url", "api_key_env")),
        (("run", ORACLE, ORACLE), ("two models are called 'scripted/oracle'", "name")),
        (("run", ORACLE, "--store", "ftp://host/x"), ("ftp://", "s3://bucket/prefix")),
        (("run", ORACLE, "--store", "s3://"), ("names no bucket", "s3://bucket/prefix")),
        (("run", ORACLE, "--dataset", "none.jsonl"), ("none.jsonl", "no such file or folder")),
        (("run", ORACLE, "--dataset", "generated:few"), ("dataset", "'few'", "tiny, paper")),
        (("runn",), ('"runn"', 'Did you mean "run"?', "See: muses --help")),
        (("flow", "evaluat"), ('"evaluat"', '"evaluate"', "See: muses flow --help")),
        (("trace",), ("EPISODE_ID", "See: muses trace --help")),
    ],
)
def test_a_command_line_that_cannot_be_meant(
    refuse: Refused, tmp_path: Path, arguments: tuple[str, ...], mentions: tuple[str, ...]
) -> None:
    said = refuse(*arguments, mentions=mentions)
    assert "secret" not in said.stderr
    assert contents(tmp_path) == {}


def test_options_of_an_endpoint_need_the_model_that_they_describe(refuse: Refused) -> None:
    Path("run.yaml").write_text("models: [scripted/oracle]\n")
    refuse("run", "run.yaml", "--base-url", "http://127.0.0.1:1/v1", mentions=("--base-url", "need --model"))


@pytest.mark.parametrize("store", ["file/below", "file"])
def test_a_folder_store_that_cannot_be_written(refuse: Refused, tmp_path: Path, store: str) -> None:
    Path("file").write_text("precious")
    refuse(
        "run",
        ORACLE,
        "--limit=1",
        "--store",
        store,
        mentions=(f"store {tmp_path / store}", "is a file", "name a folder"),
    )
    assert contents(tmp_path) == {"file": b"precious"}


@pytest.mark.integration
@pytest.mark.parametrize(
    ("store", "environment", "mentions"),
    [
        ("s3://muses-nowhere/x", {}, ("s3://muses-nowhere/x", "no bucket 'muses-nowhere'", "create it")),
        (
            "s3://muses-tests/bad",
            {"AWS_SECRET_ACCESS_KEY": "wrong"},
            ("SignatureDoesNotMatch", "AWS_SECRET_ACCESS_KEY"),
        ),
        ("s3://muses-tests/bad", {"AWS_ACCESS_KEY_ID": "nobody"}, ("InvalidAccessKeyId", "AWS_ACCESS_KEY_ID")),
        ("s3://muses-tests/bad", {"AWS_ENDPOINT_URL": "http://127.0.0.1:9"}, ("cannot reach", "AWS_ENDPOINT_URL")),
    ],
)
def test_an_s3_store_that_cannot_be_written(
    muses: Muses, s3: S3Server, store: str, environment: Mapping[str, str], mentions: tuple[str, ...]
) -> None:
    done = muses("run", ORACLE, "--limit=1", "--store", store, **{**s3.environment, **environment})
    assert (done.returncode, done.stdout) == (2, "")
    assert "wrong" not in done.stderr
    assert len(done.stderr.splitlines()) == 1
    for text in (f"muses: store {store}", *mentions):
        assert text in done.stderr


def test_an_endpoint_that_nobody_serves(refuse: Refused, tmp_path: Path) -> None:
    """The run is refused at the start: no episode is played, and none is recorded as failed."""
    (port,) = free_ports(1)
    url = f"http://127.0.0.1:{port}/v1"
    refuse(
        "run",
        "--model=openai:m",
        "--base-url",
        url,
        mentions=("no model of this run can be reached", url, "muses doctor"),
    )
    assert not list(tmp_path.rglob("*.parquet"))


def test_a_service_that_is_not_running(refuse: Refused, tmp_path: Path) -> None:
    """Likewise for an agent that is a service; its model needs no network."""
    (port,) = free_ports(1)
    service = {"agent": f"http://127.0.0.1:{port}/turn", "name": "crew"}
    (tmp_path / "run.yaml").write_text(json.dumps({"models": ["scripted/oracle"], "agents": [service]}))
    refuse("run", "run.yaml", mentions=("can be reached", "agent crew: transport: crew at http", "muses doctor"))
    assert not list(tmp_path.rglob("*.parquet"))


def test_a_key_that_the_endpoint_refuses(refuse: Refused, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SOME_KEY", "sk-not-the-right-one")
    with Provider(models=refused(401, "bad key sk-not-the-right-one")) as provider:
        arguments = ("--model=openai:m", "--base-url", provider.base_url, "--api-key-env=SOME_KEY")
        said = refuse("run", *arguments, mentions=("auth", "HTTP 401", provider.base_url, "muses doctor"))
        assert provider.completions == []
        assert provider.requests[0].authorization == "Bearer sk-not-the-right-one"
    assert "sk-not" not in said.stderr
    assert "Correct what is named here, then start the run again" in said.stderr
    assert not list(tmp_path.rglob("*.parquet"))


def test_a_model_that_the_endpoint_does_not_know(muses: Muses) -> None:
    """A refusal that lasts is reported with its cause, and without the advice to start the same command again."""
    with Provider(script=iter(lambda: refused(404, "The model `m` does not exist"), None)) as provider:
        arguments = ("--base-url", provider.base_url, "--dataset=generated:2", "--family=queue")
        done = muses("run", "--model=openai:m", *arguments)
    assert done.returncode == 3
    assert "x internal: m at http" in done.stderr
    assert "check base_url" in done.stderr
    assert "correct what the messages above name" in done.stderr
    assert "Start the same command again" not in done.stderr


@pytest.mark.parametrize(
    ("kinds", "advice"),
    [
        (set(), "Start the same command again to play the pending episodes."),
        ({"server", "timeout"}, "Start the same command again to play the pending episodes."),
        ({"auth", "internal"}, "The same calls would fail again"),
        ({"auth", "server"}, "Start the same command again to play the pending episodes; those with auth failures"),
    ],
)
def test_the_advice_for_pending_episodes_fits_their_failures(kinds: set[FailureKind], advice: str) -> None:
    assert pending_advice(kinds).startswith(advice)


@pytest.mark.parametrize("executor", ["inline", pytest.param("ray", marks=[pytest.mark.integration, pytest.mark.slow])])
def test_a_key_that_is_not_set(muses: Muses, tmp_path: Path, executor: str) -> None:
    with Provider() as provider:
        done = muses(
            *("run", "--model=openai:m", "--base-url", provider.base_url, "--api-key-env=MISSING_KEY"),
            *("--executor", executor, "--workers=1"),
        )
        assert provider.requests == []
    assert (done.returncode, done.stdout) == (2, "")
    assert "environment variable MISSING_KEY is unset" in done.stderr
    assert "export MISSING_KEY=" in done.stderr
    assert "Traceback" not in done.stderr
    assert not list(tmp_path.rglob("*.parquet"))


QUEUE = generated("queue", 2)


@pytest.mark.parametrize(
    ("rows", "mentions"),
    [
        ((QUEUE[0], {**QUEUE[1], "users": 3}), ("line 2", "field 'users'", "expected a list", "got 3")),
        ((QUEUE[0], '{"id": "x", '), ("line 2", "not JSON", "one JSON object a line")),
        ((QUEUE[0], "[1, 2]"), ("line 2", "expected a JSON object, got a list")),
        ((QUEUE[0], QUEUE[0]), ("line 2", "'id'", "already taken")),
        ((QUEUE[0], "", '{"text": "caf\udce9"}'), ("line 3", "not UTF-8", "0xe9")),
        (({"question": "?"},), ("line 1", "queue")),
        ((), ("no scenarios",)),
    ],
)
def test_a_row_that_is_no_scenario(
    refuse: Refused, tmp_path: Path, rows: tuple[object, ...], mentions: tuple[str, ...]
) -> None:
    text = "".join(f"{row if isinstance(row, str) else json.dumps(row)}\n" for row in rows)
    Path("some.jsonl").write_bytes(text.encode(errors="surrogateescape"))
    for command in ("run", "plan"):
        refuse(command, ORACLE, "--family=queue", "--dataset=some.jsonl", mentions=("some.jsonl", *mentions))
    assert not (tmp_path / ".muses" / "store").exists()


def test_a_folder_without_rows(refuse: Refused) -> None:
    Path("empty").mkdir()
    refuse("run", ORACLE, "--dataset=empty", mentions=("empty", "without any *.jsonl"))


def test_a_family_that_the_dataset_does_not_have(refuse: Refused) -> None:
    path = write_rows(Path("queue.jsonl"), *QUEUE)
    refuse("run", ORACLE, "--dataset", path, "--family=access", mentions=("no scenarios of 'access'", "it has: "))


def test_a_folder_of_several_families_is_played_by_family(capsys: pytest.CaptureFixture[str]) -> None:
    """Rows of families that are not selected are ignored, not refused."""
    write_rows(Path("mixed/a.jsonl"), *QUEUE)
    write_rows(Path("mixed/deep/b.jsonl"), *generated("access", 3))
    counts = {}
    for family in ("queue", "access"):
        assert main(["plan", ORACLE, "--dataset=mixed", f"--family={family}", "--json"]) == 0
        counts[family] = json.loads(capsys.readouterr().out)["episodes"]
    assert main(["plan", ORACLE, "--dataset=mixed", "--json"]) == 0
    counts["all"] = json.loads(capsys.readouterr().out)["episodes"]
    assert counts == {"queue": 2, "access": 3, "all": 5}


@pytest.fixture
def played(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Path:
    """A store with one run, called ``mine``."""
    store = tmp_path / "played"
    assert main(["run", ORACLE, "--dataset=generated:3", "--family=queue", "--run-id=mine", "--store", str(store)]) == 0
    capsys.readouterr()
    return store


def test_a_name_that_another_plan_has_taken(refuse: Refused, played: Path) -> None:
    before = contents(played)
    refuse(
        *("run", ORACLE, "--model=scripted/refuse", "--dataset=generated:4", "--family=queue"),
        *("--run-id=mine", "--store", str(played)),
        mentions=(
            "the run 'mine' exists",
            "dataset_version: ",
            "planned scripted/oracle on queue: 3 -> 4",
            "planned scripted/refuse on queue: (none) -> 4",
            "--run-id",
        ),
    )
    assert contents(played) == before


@pytest.mark.parametrize(
    ("arguments", "mentions"),
    [
        (("sql", "selec 1"), ("the query failed", "syntax error", '"selec"')),
        (("sql", "select outcom from episodes"), ("the query failed", '"outcom"', "outcome")),
        (("sql", "select * from episode"), ("the query failed", "episode does not exist", "episodes")),
        (("sql", "select 1", "--format", "xml"), ("--format", "xml", "csv")),
        (("trace", "zzz"), ("no episode", "'zzz'", "episodes")),
        (("trace", ""), ("several episodes", "write more of the id")),
        (("trace", "a", "--run", "other"), ("no run 'other'", "it has mine")),
        (("leaderboard", "--run", "other"), ("no run 'other'", "it has mine")),
    ],
)
def test_a_question_that_has_no_answer(
    refuse: Refused, played: Path, arguments: tuple[str, ...], mentions: tuple[str, ...]
) -> None:
    before = contents(played)
    refuse(*arguments, "--store", str(played), mentions=mentions)
    assert contents(played) == before


@pytest.mark.parametrize("command", [("sql", "select 1"), ("leaderboard",), ("trace", "a")])
@pytest.mark.parametrize("store", ["missing", "empty", "file"])
def test_a_store_without_runs(refuse: Refused, tmp_path: Path, command: tuple[str, ...], store: str) -> None:
    Path("empty").mkdir()
    Path("file").write_text("")
    refuse(*command, "--store", store, mentions=("there is no run in the store", store, "muses run", "--store"))
    assert sorted(path.name for path in tmp_path.iterdir()) == ["empty", "file"]


@pytest.mark.parametrize(
    ("options", "token", "mentions"),
    [
        (("--host", "0.0.0.0"), None, ("0.0.0.0", "other machines", "MUSES_DASHBOARD_TOKEN", "--token-file")),
        (("--host", "evals.example"), None, ("evals.example", "MUSES_DASHBOARD_TOKEN")),
        ((), "", ("MUSES_DASHBOARD_TOKEN", "empty")),
        (("--token-file", "blank"), "a-good-token-0123456789", ("blank", "empty")),
        (("--token-file", "none"), None, ("none", "No such file", "--token-file")),
        (("--token", "on-the-command-line"), None, ("--token-file",)),
    ],
)
def test_a_dashboard_without_a_good_token(
    refuse: Refused,
    monkeypatch: pytest.MonkeyPatch,
    options: tuple[str, ...],
    token: str | None,
    mentions: tuple[str, ...],
) -> None:
    if token is not None:
        monkeypatch.setenv("MUSES_DASHBOARD_TOKEN", token)
    Path("blank").write_text(" \n")
    refuse("dashboard", "serve", *options, mentions=mentions)


CASE = {"case_id": "c1", "scenario_id": QUEUE[0]["id"], "reply": "{}"}


@pytest.mark.parametrize(
    ("arguments", "cases", "mentions"),
    [
        (("quue",), (CASE,), ("no family 'quue'", "there are queue, ")),
        (
            ("queue",),
            ({**CASE, "scenario_id": "s?"},),
            ("cases.jsonl, line 1", "'scenario_id'", "'s?'", "queue.jsonl"),
        ),
        (("queue",), ("{broken",), ("cases.jsonl, line 1", "not JSON")),
        (("queue",), ({"case_id": "c1"},), ("cases.jsonl, line 1", "'scenario_id'", "missing")),
        (("queue",), ({"case_id": "c1", "scenario_id": CASE["scenario_id"]},), ("cases.jsonl, line 1", "missing")),
        (("queue", "--scoring", "fair"), (CASE,), ("--scoring", "fair", "published")),
    ],
)
def test_recorded_replies_that_cannot_be_scored(
    refuse: Refused, arguments: tuple[str, ...], cases: tuple[object, ...], mentions: tuple[str, ...]
) -> None:
    dataset, recorded = write_rows(Path("queue.jsonl"), *QUEUE), write_rows(Path("cases.jsonl"), *cases)
    refuse("score", *arguments, "--dataset", dataset, "--cases", recorded, mentions=mentions)


def test_a_message_of_the_real_process_is_all_there_is(muses: Muses) -> None:
    """A command in its own process prints the same message and nothing else."""
    done = muses("run", "--model=scripted/nobody")
    assert (done.returncode, done.stdout) == (2, "")
    assert done.stderr.startswith("muses: command line: models[0]: no built-in agent 'scripted/nobody'")
