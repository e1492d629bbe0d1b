"""Provenance of a run, as recorded in its manifest."""

import json
import subprocess
from importlib.metadata import version
from pathlib import Path

import pytest
from muses_eval.flows.installation import CHECKOUT
from muses_eval.flows.job.prepare import load_dataset, plan_run, prepare_without_lock
from muses_eval.flows.job.provenance import CodeState, code_state, lock_hash, package_versions, provenance_record
from muses_eval.pipeline.config.parse import parse_config
from muses_eval.pipeline.text.credential_masking import MASK
from muses_eval.storage.objects.open_store import open_store
from muses_eval.storage.runs.manifest import RunMismatchError, read_manifest


def git(folder: Path, *arguments: str) -> str:
    identity = ("-c", "user.name=t", "-c", "user.email=t@localhost", "-c", "commit.gpgsign=false")
    done = subprocess.run(["git", "-C", str(folder), *identity, *arguments], capture_output=True, text=True, check=True)
    return done.stdout.strip()


def test_a_folder_that_is_no_repository(tmp_path: Path) -> None:
    assert code_state(tmp_path) == CodeState(commit=None, dirty=False)


def test_a_repository_without_commits(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    assert code_state(tmp_path).commit is None


def test_the_commit_and_whether_files_differ_from_it(tmp_path: Path) -> None:
    git(tmp_path, "init", "-q")
    (tmp_path / "code.py").write_text("one\n")
    git(tmp_path, "add", ".")
    git(tmp_path, "commit", "-q", "-m", "first")
    commit = git(tmp_path, "rev-parse", "HEAD")
    assert code_state(tmp_path) == CodeState(commit, dirty=False)
    (tmp_path / "notes.txt").write_text("not part of the code\n")
    assert code_state(tmp_path) == CodeState(commit, dirty=False)
    (tmp_path / "code.py").write_text("two\n")
    second = code_state(tmp_path)
    assert (second.commit, second.dirty) == (commit, True)
    (tmp_path / "code.py").write_text("three\n")
    third = code_state(tmp_path)
    assert third.dirty
    assert len({None, second.changes, third.changes}) == 3
    (tmp_path / "code.py").write_text("two\n")
    assert code_state(tmp_path) == second


def test_a_broken_repository_is_no_reason_to_fail(tmp_path: Path) -> None:
    (tmp_path / ".git").write_text("gitdir: nowhere\n")
    assert code_state(tmp_path) == CodeState(commit=None, dirty=False)


def test_versions_are_those_that_are_installed() -> None:
    versions = package_versions()
    assert versions["duckdb"] == version("duckdb")
    assert {"ray", "prefect", "pyarrow"} <= versions.keys()
    assert all(versions.values())
    assert {"nltk", "regex", "langdetect-rs"} <= versions.keys()  # the scorers depend on them


def test_the_lock_is_known_by_its_content(tmp_path: Path) -> None:
    assert lock_hash(tmp_path) is None
    lock = tmp_path / "infra" / "locks" / "dev.txt"
    lock.parent.mkdir(parents=True)
    lock.write_text("a==1\n")
    first = lock_hash(tmp_path)
    lock.write_text("a==2\n")
    assert None not in (first, lock_hash(tmp_path))
    assert lock_hash(tmp_path) != first


CONFIG = {
    "run_id": "told",
    "dataset": "generated:2@5",
    "families": ["queue", "access"],
    "models": [
        "scripted/refuse",
        {
            "model": "openai:m",
            "name": "served",
            "base_url": "http://one/v1",
            "api_key_env": "ONE_KEY",
            "requests_per_minute": 60,
            "max_concurrency": 8,
            "prices": {"input": 1, "output": 2},
            "sampling": {"temperature": 0.5, "seed": 3, "extra_body": {"api_key": "0123456789abcdef" * 2}},
        },
        {"model": "vllm:w", "engine": {"args": {"max_model_len": 8192, "revision": "abc"}, "tensor_parallel": 2}},
    ],
    "users": {"model": "openai:u", "base_url": "http://two/v1", "tokens_per_minute": 9000},
}


def test_what_is_recorded_of_how_models_are_served() -> None:
    """Addresses, names of keys, limits, prices and engines are recorded, also for the users' model."""
    config = parse_config(CONFIG, "test")
    dataset = load_dataset(config)
    plan = plan_run(config, dataset)
    facts = provenance_record(plan, dataset.versions, CodeState("c", dirty=True, changes="ch"), CHECKOUT)
    assert facts == json.loads(json.dumps(facts))
    assert (facts["changes"], facts["lock"]) == ("ch", lock_hash(CHECKOUT))
    assert facts["rows"] == {"access": dataset.versions["access"], "queue": dataset.versions["queue"]}
    assert facts["scorers"].keys() == {"access", "queue"}
    assert facts["serving"]["scripted/refuse"] == {}
    served = facts["serving"]["served"]
    assert served["endpoint"]["base_urls"] == ["http://one/v1"]
    assert served["endpoint"]["api_key_env"] == "ONE_KEY"
    assert served["limits"] == {"requests_per_minute": 60, "tokens_per_minute": None, "concurrency": 8}
    assert (served["prices"]["input"], served["prices"]["output"]) == (1, 2)
    assert facts["serving"]["w"]["engine"]["args"] == {"max_model_len": 8192, "revision": "abc"}
    assert facts["serving"]["w"]["engine"]["tensor_parallel"] == 2
    assert facts["simulator"]["limits"]["tokens_per_minute"] == 9000


def test_a_run_keeps_all_of_it_and_no_secret(tmp_path: Path) -> None:
    """A manifest holds the whole provenance with secrets masked, and still matches its config at the next start."""
    config = parse_config({**CONFIG, "store": str(tmp_path)}, "test")
    run = prepare_without_lock(config)
    manifest = read_manifest(open_store(str(tmp_path)), "told")
    assert manifest.made_with["serving"]["served"]["limits"]["concurrency"] == 8
    assert manifest.config["models"][1]["sampling"]["extra_body"] == {"api_key": MASK}
    assert manifest.config["models"][1]["api_key_env"] == "ONE_KEY"
    assert (manifest.dataset, manifest.dataset_version) == ("generated:2@5", run.dataset.version)
    assert manifest.models["served"]["sampling"]["seed"] == 3
    assert "0123456789abcdef" * 2 not in (tmp_path / "runs" / "told.json").read_text()
    prepare_without_lock(config)
    folded = tuple(model.model_copy(update={"system_role": "fold"}) for model in config.models)
    with pytest.raises(RunMismatchError, match="system_role"):
        prepare_without_lock(config.model_copy(update={"models": folded}))
