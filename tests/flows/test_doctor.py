"""``muses doctor``: passed checks, and failed checks with their remedies."""

import json
from pathlib import Path

import pytest
from muses_eval.flows.doctor.check import Check, checked
from muses_eval.flows.doctor.model_check import check_model
from muses_eval.flows.doctor.server_checks import check_prefect
from muses_eval.flows.settings import read_settings
from muses_eval.pipeline.config.model_config import ModelConfig
from muses_eval.workers.providers.listed_models import parse_listed_models
from muses_eval.workers.rehearsal.openai_format import model_list
from muses_eval.workers.rehearsal.responses import Response, as_json
from muses_eval.workers.rehearsal.server import LoopbackServer, ReceivedRequest, Send

from tests.conftest import Muses, prefect_api
from tests.provider import Provider, completion, refused
from tests.s3_server import free_ports


@pytest.mark.integration
def test_all_is_well(muses: Muses, tmp_path: Path) -> None:
    with Provider() as provider:
        done = muses("doctor", "--model=openai:any", "--base-url", provider.base_url, "--store=results")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    checks = ["store", "ray", "prefect", "dataset generated", "model any"]
    assert [line.split(":")[0] for line in lines] == [f"ok    {each}" for each in checks]
    assert str(tmp_path / "results") in lines[0]
    assert "embedded server" in lines[2]
    assert [path.name for path in tmp_path.iterdir()] == [".muses"]  # the checks leave no files


@pytest.mark.integration
@pytest.mark.own_process
def test_all_is_ill(muses: Muses, tmp_path: Path) -> None:
    """All checks run even when earlier ones fail, and each failure names its remedy."""
    (port,) = free_ports(1)
    with Provider(models=refused(401, "no such key")) as strict, Provider() as good:
        config = {
            "models": [
                {"model": "openai:down", "base_url": f"http://127.0.0.1:{port}/v1"},
                {"model": "openai:strict", "base_url": strict.base_url, "api_key_env": "WRONG_KEY"},
                {"model": "openai:unset", "base_url": strict.base_url, "api_key_env": "MISSING_KEY"},
                {"model": "openai:good", "base_url": good.base_url},
                "scripted/oracle",
                "openai:gpt-4.1-nano",
            ],
            "users": {"model": "openai:patron", "base_url": f"http://127.0.0.1:{port}/v1"},
            "store": "file/below",
            "dataset": "scenarios.jsonl",
            "agents": [
                "chat",
                {"agent": "guard.py:G", "name": "guard"},
                {"agent": "prompt", "name": "careful", "system": "careful.md"},
            ],
            "execution": {"ray_address": f"127.0.0.1:{port}"},
        }
        (tmp_path / "file").write_text("")
        (tmp_path / "run.yaml").write_text(json.dumps(config))  # JSON is valid YAML
        environment = {"PREFECT_API_URL": f"http://127.0.0.1:{port}/api", "WRONG_KEY": "sk-123456"}
        done = muses("doctor", "run.yaml", "--json", **environment)
    assert (done.returncode, done.stderr) == (2, "")
    findings = {finding["what"]: finding for finding in json.loads(done.stdout)}
    ill = {what: finding["detail"] for what, finding in findings.items() if not finding["ok"]}
    assert sorted(findings.keys() - ill.keys()) == ["model good", "model scripted/oracle"]
    assert "file is a file; name a folder" in ill["store"]
    assert str(tmp_path / "guard.py") in ill["agent guard"]
    assert "careful.md" in ill["agent careful"]
    assert "scenarios.jsonl" in ill["dataset scenarios.jsonl"]
    assert "ray start --head" in ill["ray"]
    assert f"http://127.0.0.1:{port}/api" in ill["prefect"]
    assert "prefect server start" in ill["prefect"]
    assert "unset" in ill["prefect"]
    assert "Connect" in ill["model down"]
    assert "start the server, or correct base_url" in ill["model down"]
    assert "Connect" in ill["users' model patron"]
    assert "HTTP 401" in ill["model strict"]
    assert "export MISSING_KEY=" in ill["model unset"]
    assert "export OPENAI_API_KEY=" in ill["model gpt-4.1-nano"]
    warnings = {what: finding["warning"] for what, finding in findings.items() if finding["warning"] is not None}
    assert list(warnings) == ["model good", "model gpt-4.1-nano"]
    assert "does not list the model 'good', but any" in warnings["model good"]
    assert "was retired on 2026-10-23" in warnings["model gpt-4.1-nano"]
    assert "sk-123456" not in done.stdout


def test_what_is_ill_stands_out(muses: Muses, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    (tmp_path / "file").write_text("")
    done = muses("doctor", "--store=file/below", "--ray-address", f"127.0.0.1:{port}")
    assert (done.returncode, done.stderr) == (2, "")
    assert [line[:4] for line in done.stdout.splitlines()] == ["FAIL", "FAIL", "ok  "]


def test_texts_of_the_released_protocol_that_are_missing(muses: Muses, tmp_path: Path) -> None:
    (port,) = free_ports(1)
    done = muses("doctor", "--ray-address", f"127.0.0.1:{port}", "--model=scripted/oracle", "--protocol=released")
    assert done.returncode == 2
    (line,) = [line for line in done.stdout.splitlines() if "protocol" in line.partition(":")[0]]
    assert line.startswith("FAIL  protocol released: protocol: released needs the texts of the released evaluator")
    assert "`muses data pull --out official`" in line


UNKNOWN = refused(404, "The model `m` does not exist", "model_not_found")
CONFIG = {"model": "openai:m", "sampling": {"max_tokens": 900}, "prices": {"input": 1, "output": 2}}


def listed(*names: str, **fields: object) -> Response:
    return as_json({"object": "list", "data": [{"id": name, **fields} for name in names]})


@pytest.mark.parametrize(
    ("models", "answer", "ok", "words"),
    [
        (listed("m"), None, True, ["answered in", "(5 + 5 tokens, $0.000015)"]),
        (listed("models/m"), None, True, ["answered"]),
        (listed("m:latest"), None, True, ["answered"]),
        (listed("mm", "other"), UNKNOWN, False, ["HTTP 404", "does not list the model 'm', but mm, other: correct"]),
        (listed("mm"), None, True, ["does not list the model 'm', but mm; it answered nevertheless"]),
        (listed("m", max_model_len=512), None, True, ["sampling.max_tokens is 900", "512 tokens", "lower it"]),
        (refused(404, "no such page"), None, True, ["answered"]),
        (listed("m"), completion(None), True, ["its reply has no text"]),
        (listed("m"), completion("", "length"), True, ["answered"]),
        (listed("m"), refused(401, "no such key"), False, ["HTTP 401"]),
        (listed("m"), refused(429, "slow down"), True, ["calls are refused for now"]),
        (listed("m"), refused(500, "broken"), False, ["HTTP 500", "see the server's log"]),
    ],
)
def test_a_short_call_finds_what_the_list_of_models_does_not(
    models: Response, answer: Response | None, ok: bool, words: list[str]
) -> None:
    with Provider(models=models, script=[answer]) as provider:
        spec = ModelConfig.model_validate({**CONFIG, "base_url": provider.base_url}).spec()
        found = checked("model", lambda: check_model(spec, call=True))
    (call,) = provider.completions
    assert (found.ok, call.document["max_tokens"]) == (ok, 64)
    assert [word for word in words if word not in f"{found.detail} {found.warning}"] == []
    assert (found.warning is None) == (not ok or words[0].startswith("answered"))


@pytest.mark.parametrize(
    ("path", "names", "ok", "words"),
    [
        ("/v1", ["m"], True, "answers; no call was made"),
        ("/v1", ["other"], True, "does not list the model 'm', but other"),
        ("", ["m"], False, "write base_url: http://127.0.0.1:"),
        ("/v2", ["m"], True, "does not list its models, and no call was made"),
    ],
)
def test_without_calls(path: str, names: list[str], ok: bool, words: str) -> None:
    with Provider(models=model_list(*names)) as provider:
        url = provider.base_url.removesuffix("/v1") + path
        spec = ModelConfig.model_validate({**CONFIG, "base_url": url}).spec()
        found = checked("model", lambda: check_model(spec, call=False))
    assert (found.ok, provider.completions) == (ok, [])
    assert words in f"{found.detail} {found.warning}"


def test_a_base_url_without_its_version() -> None:
    with Provider(models=listed("m")) as provider:
        spec = ModelConfig.model_validate({**CONFIG, "base_url": provider.base_url.removesuffix("/v1")}).spec()
        found = checked("model", lambda: check_model(spec, call=True))
    assert not found.ok
    assert f"write base_url: {provider.base_url}" in found.detail


def test_a_budget_for_reasoning_fits_into_the_call() -> None:
    """Anthropic and others refuse max_tokens that are not above the budget."""
    thinking = {"max_tokens": 9000, "extra_body": {"thinking": {"type": "enabled", "budget_tokens": 1024}}}
    with Provider(models=listed("m")) as provider:
        model = {**CONFIG, "sampling": thinking, "base_url": provider.base_url}
        check_model(ModelConfig.model_validate(model).spec(), call=True)
    assert provider.completions[0].document["max_tokens"] == 1088


@pytest.mark.parametrize(
    ("document", "names"),
    [
        ({"data": [{"id": "a"}, {"id": 1}, "x"]}, ("a",)),
        ([{"id": "a"}], ("a",)),
        ({"models": [{"name": "models/a"}]}, ("models/a",)),
        ({"data": {}}, None),
        ({"error": "no"}, None),
        ("Ollama is running", None),
        (None, None),
    ],
)
def test_forms_of_a_list_of_models(document: object, names: tuple[str, ...] | None) -> None:
    found = parse_listed_models(document)
    assert (None if found is None else found.names) == names


def prefect_stand_in(version: str, workers: list[str]) -> LoopbackServer:
    """Returns a Prefect server with one deployment of this project, and with workers in these states."""
    some = "00000000-0000-4000-8000-000000000000"
    deployment = {"id": some, "flow_id": some, "name": "nightly", "tags": ["muses: n in s"], "work_pool_name": "nights"}
    states = [
        {"id": some, "name": f"w{number}", "work_pool_id": some, "status": status}
        for number, status in enumerate(workers)
    ]
    answers: dict[str, object] = {
        "/api/health": True,
        "/api/admin/version": version,
        "/api/deployments/filter": [deployment],
        "/api/work_pools/nights/workers/filter": states,
    }

    async def answer(request: ReceivedRequest, send: Send) -> None:
        path = request.path.partition("?")[0]
        await send(as_json(answers[path]) if path in answers else refused(404, path))

    return LoopbackServer(answer)


@pytest.mark.parametrize(
    ("version", "workers", "ok", "words"),
    [
        ("3.8.1", ["OFFLINE", "ONLINE"], True, "with version 3.8.1"),
        ("3.9.0.dev2", ["OFFLINE"], True, "prefect worker start --pool nights"),
        ("3.8.1", [], True, "no worker polls the work pool nights"),
        ("3.4.11", [], False, "version 3.4.11, but this environment has Prefect 3.8"),
        ("2.20.3", [], False, "upgrade the server to 3.8"),
    ],
)
def test_a_prefect_server_that_is_old_or_has_no_worker(
    version: str, workers: list[str], ok: bool, words: str, tmp_path: Path
) -> None:
    server = prefect_stand_in(version, workers)
    server.start()
    try:
        url = f"{server.url}/api"
        settings = read_settings({"PREFECT_API_URL": url, "MUSES_HOME": str(tmp_path)})
        with prefect_api(url):
            found: Check = checked("prefect", lambda: check_prefect(settings))
    finally:
        server.stop()
    assert found.ok == ok
    assert words in f"{found.detail} {found.warning}"
