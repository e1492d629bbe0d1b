"""Runs, pilots, nights and rehearsals with agents in Python, from a configuration to the results."""

import asyncio
import json
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from muses_eval.flows.cli import main
from muses_eval.flows.job.rescore import RescoreOptions, rescore
from muses_eval.flows.nightly.night import NightResult, nightly
from muses_eval.flows.settings import Settings
from muses_eval.pipeline.config.parse import parse_config
from muses_eval.pipeline.families import FAMILIES
from muses_eval.pipeline.families.queue.family import QueueFamily
from muses_eval.storage.objects.open_store import open_store
from muses_eval.storage.query.duckdb_connection import connect
from muses_eval.storage.runs.manifest import list_run_ids, read_manifest
from muses_eval.storage.runs.nights import Night
from muses_eval.storage.upkeep.verify import verify

from tests.conftest import Muses
from tests.flows.test_agents import write
from tests.provider import Provider

ROOT = Path(__file__).parents[2]
TWICE = """
import os
from pathlib import Path

from rules import LIMIT

TEXT = (Path(__file__).parent / "texts" / "rule.txt").read_text(encoding="utf-8")


class Twice:
    def __init__(self, context, llm, *, fail=False):
        self.context, self.llm, self.fail = context, llm, fail

    async def turn(self, turn):
        if self.fail:
            raise RuntimeError("no idea")
        await self.llm.chat(turn.messages, max_tokens=LIMIT)
        self.context.log(f"{TEXT} {os.environ.get('GUARD_MODE')}")
        return (await self.llm.chat(turn.messages)).text
"""
FILES = {"a/twice.py": TWICE, "a/rules.py": "LIMIT = 8", "a/texts/rule.txt": "rule 1"}
AGENT = {"agent": "a/twice.py:Twice", "name": "twice"}


def run_config(provider: Provider | None, **keys: object) -> str:
    """Writes a configuration of a model at a provider, alone and with an agent; returns its name."""
    model = {"model": "openai:m", "base_url": provider.base_url} if provider else "scripted/oracle"
    raw = {
        "models": [model],
        "agents": ["chat", AGENT],
        "dataset": "generated:3",
        "families": ["queue"],
        "max_unusable": 1,
        **keys,
    }
    write({**FILES, "run.yaml": json.dumps({"store": "store", **raw})})
    return "run.yaml"


def ask(query: str) -> list[tuple[Any, ...]]:
    with connect("store") as connection:
        return connection.execute(query).fetchall()


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_a_run_with_an_agent(muses: Muses) -> None:
    """A model with an agent is an entry; a change of a module plays its episodes again, and no others."""
    with Provider(reply=lambda _: "{}") as provider:
        name = run_config(provider)
        done = muses("run", name, "--json")
        assert done.returncode == 0, done.stderr
        assert len(provider.completions) == 3 + 2 * 3
        assert {row["model"] for row in json.loads(done.stdout)["leaderboard"]} == {"m", "m + twice"}
        again = muses("run", name, "--json")
        assert (again.returncode, len(provider.completions)) == (0, 9)
    assert ask("SELECT model, agent, base_model, count(*), sum(len(calls)) FROM episodes GROUP BY ALL ORDER BY 1") == [
        ("m", "chat", "m", 3, 3), ("m + twice", "twice", "m", 3, 6)
    ]  # fmt: skip


@pytest.mark.slow
def test_the_demo_without_a_model(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """The configuration of `make agents-demo` plays the reference agents on all families, as its page shows."""
    monkeypatch.chdir(ROOT)
    store = str(tmp_path / "store")
    scripted = ("--model=scripted/compliant", "--executor=inline", "--limit=6")
    assert main(["run", "infra/agents.yaml", *scripted, "--store", store]) == 0
    with connect(store) as connection:
        rows = connection.execute(
            "SELECT agent, count(DISTINCT family), count(*) FILTER (list_contains(flags, 'agent_error')) "
            "FROM episodes GROUP BY ALL ORDER BY 1"
        ).fetchall()
    assert rows == [(name, 4, 0) for name in ("careful", "chat", "guard", "told", "told+guard")]
    assert main(["harness", "--store", store]) == 0
    capsys.readouterr()
    assert main(["leaderboard", "--format", "md", "--store", store]) == 0
    table, _, _ = capsys.readouterr().out.partition("\n\n")
    assert table in (ROOT / "docs" / "agents.md").read_text(encoding="utf-8")


def test_what_fails_in_an_agent_is_named(muses: Muses) -> None:
    """An agent that fails has scores, which rescoring keeps, and the end of the run names it with its share."""
    with Provider(reply=lambda _: "{}") as provider:
        done = muses("run", run_config(provider, agents=["chat", {**AGENT, "options": {"fail": True}}]), "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["episodes"]["scored"] == 6
    assert found["agent_faults"] == [{"entry": "m + twice", "episodes": 3, "errors": 3, "blocked": 0}]
    assert "m + twice: 3 of 3 episodes (100%) have an error of the agent (agent_error); `muses trace`" in done.stderr
    newer = type("Queue", (QueueFamily,), {"scorer_version": QueueFamily.scorer_version + 1})()
    again = rescore("store", found["run_id"], options=RescoreOptions({**FAMILIES, "queue": newer}))
    assert [(each.rescored, each.changed) for each in again.families] == [(6, 0)]


def test_a_pilot_measures_an_agent(muses: Muses) -> None:
    with Provider(reply=lambda _: "{}") as provider:
        done = muses("plan", run_config(provider), "--json", "--pilot=2")
    assert done.returncode == 0, done.stderr
    alone, twice = json.loads(done.stdout)["estimate"]["by_model"]
    assert (alone["calls"]["mid"], twice["calls"]["mid"], twice["assumes_chat"]) == (3, 6, False)


def test_a_rehearsal_plays_agents(muses: Muses) -> None:
    """The provider's counts and the store agree with agents, too."""
    done = muses("rehearse", run_config(None, models=["openai:m"]), "--weather=calm", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["disagreements"] == []


@pytest.mark.slow
def test_nights_play_only_the_agents_that_changed(tmp_path: Path) -> None:
    """An unchanged night reuses every cell; after a change of an agent's module, its cells are played again."""

    def night(day: int) -> NightResult:
        settings = Settings(tmp_path / "home", "unused", None, tmp_path / "home")
        return asyncio.run(nightly(config, settings, Night("nightly", date(2026, 11, day))))

    with Provider(reply=lambda _: "{}") as provider:
        raw = json.loads(Path(run_config(provider, nightly={"canary": 2, "alpha": 0.05})).read_text(encoding="utf-8"))
        config = parse_config(raw, "run.yaml")
        first, second = night(1), night(2)
        write({"a/rules.py": "LIMIT = 9"})
        third = night(3)
    assert [(each.report.cells_played, each.report.cells_reused) for each in (first, second, third)] == [
        (2, 0), (0, 2), (1, 1)
    ]  # fmt: skip
    assert [cell.model for cell in third.cells if cell.played_in == third.report.run_id] == ["m + twice"]
    assert "m + twice differs from nightly-2026-11-02: other agent" in third.report.notes
    assert not verify(open_store("store"), third.report.run_id).findings


@pytest.mark.slow
def test_workers_play_what_is_in_the_store(muses: Muses) -> None:
    """Workers on Ray read an agent with a sibling module and a data file from the store, in their environment."""
    ray = {"executor": "ray", "workers": 2, "runtime_env": {"env_vars": {"GUARD_MODE": "strict"}}}
    with Provider(reply=lambda _: "{}") as provider:
        done = muses("run", run_config(provider, execution=ray), "--json")
    assert done.returncode == 0, done.stderr
    (key,) = Path("store/agents").iterdir()
    (run_id,) = list_run_ids(open_store("store"))
    assert read_manifest(open_store("store"), run_id).agent_archives == {f"agents/{key.name}"}
    logged = "SELECT DISTINCT e.text FROM (SELECT unnest(events) AS e FROM episodes) WHERE e.kind = 'log'"
    assert ask(logged) == [("rule 1 strict",)]
