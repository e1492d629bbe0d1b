"""``muses doctor``: passed checks, and failed checks with their remedies."""

import json
from pathlib import Path

import pytest

from tests.conftest import Muses
from tests.provider import Provider, refused
from tests.s3_server import free_ports


@pytest.mark.integration
def test_all_is_well(muses: Muses, tmp_path: Path) -> None:
    with Provider() as provider:
        done = muses("doctor", "--model=openai:m", "--base-url", provider.base_url, "--store=results")
    assert (done.returncode, done.stderr) == (0, "")
    lines = done.stdout.splitlines()
    assert [line.split(":")[0] for line in lines] == ["ok    store", "ok    ray", "ok    prefect", "ok    model m"]
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
    assert list(warnings) == ["model gpt-4.1-nano"]
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
