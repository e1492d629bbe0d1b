"""Agents of a configuration: their code is found, checked before anything is paid, and stored with the run."""

import json
import re
import sys
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from muses_eval.flows.agents.load_agents import LoadedAgent, load_agents, store_code
from muses_eval.flows.doctor.agent_checks import agent_checks
from muses_eval.flows.job.prepare import load_dataset, plan_run, prepare_without_lock
from muses_eval.flows.job.rehearsal import without_services
from muses_eval.flows.job.report import fault_lines
from muses_eval.pipeline.agents.agent_spec import CHAT, AgentSpec
from muses_eval.pipeline.config.parse import parse_config
from muses_eval.pipeline.config.run import RunConfig
from muses_eval.pipeline.errors import ConfigError
from muses_eval.storage.objects.agent_archive import pack_code, unpack_code
from muses_eval.storage.objects.open_store import open_store
from muses_eval.storage.runs.agent_faults import AgentFaults, total_by_entry
from muses_eval.storage.runs.manifest import read_manifest
from muses_eval.storage.upkeep.garbage_collection import collect_garbage
from muses_eval.storage.upkeep.verify import verify

from tests.conftest import Muses
from tests.provider import Provider

AGENT = """
class Guard:
    version = "3"
    facts = "structured"

    def __init__(self, context, llm, *, strict=False):
        self.llm = llm

    async def turn(self, turn):
        return (await self.llm.chat(turn.messages)).text
"""


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def write(files: Mapping[str, str | bytes]) -> None:
    for name, content in files.items():
        file = Path(name)
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(content.encode() if isinstance(content, str) else content)


def config(*agents: object, **keys: object) -> RunConfig:
    raw = {"models": ["scripted/oracle"], "dataset": "generated:2", "families": ["queue"], "agents": list(agents)}
    return parse_config({**raw, "store": "store", **keys}, "run.yaml")


def load(agent: object, **keys: object) -> LoadedAgent:
    (loaded,) = load_agents(config(agent, **keys))
    return loaded


def test_an_agent_from_a_file() -> None:
    """The specification joins the declarations of the class and the configuration."""
    write({"agents/guard.py": AGENT})
    loaded = load({"agent": "agents/guard.py:Guard", "name": "guard", "options": {"strict": True}, "max_calls": 7})
    spec = loaded.spec
    assert replace(spec, code="", bundle=None) == AgentSpec(
        name="guard", kind="python", target="guard:Guard", options='{"strict":true}', version="3", facts="structured",
        max_calls=7,
    )  # fmt: skip
    assert (spec.bundle, loaded.files) == (f"agents/{spec.code}.zip", {"guard.py": AGENT.encode()})
    assert "guard" not in sys.modules
    assert load("agents/guard.py:Guard").spec.name == "Guard"
    assert load("chat").spec == CHAT
    service = load({"agent": "http://127.0.0.1:9/turn", "name": "crew", "facts": "prose", "options": {"a": 1}}).spec
    assert service == AgentSpec(name="crew", kind="http", target="http://127.0.0.1:9/turn", options='{"a":1}')


def entry(*lines: str) -> str:
    return "\n".join((*lines, AGENT))


CLOSURES: Mapping[str, tuple[Mapping[str, str], str, set[str]]] = {
    "modules beside it": (
        {"a/guard.py": entry("import helpers, json", "from tools import rules"), "a/helpers.py": "import deep",
         "a/deep.py": "", "a/tools/__init__.py": "", "a/tools/rules.py": "from .words import W",
         "a/tools/words.py": "W = 1", "a/tools/unused.py": "", "a/unused.py": ""},
        "guard",
        {"guard.py", "helpers.py", "deep.py", "tools/__init__.py", "tools/rules.py", "tools/words.py"},
    ),
    "relative imports": (
        {"a/guard.py": entry("import importlib, other", "from .helpers import x", "from . import more",
                             "importlib.import_module('.late', __package__)"),
         "a/late.py": "", "a/helpers.py": "x = 1", "a/more.py": "", "a/other.py": "", "a/unused.py": ""},
        "guard",
        {"guard.py", "helpers.py", "late.py", "more.py", "other.py"},
    ),
    "relative imports in a package": (
        {"a/__init__.py": "LIMIT = 3", "a/guard.py": entry("from . import LIMIT", "from .helpers import x"),
         "a/helpers.py": "x = 1", "a/other.py": ""},
        "a.guard",
        {"a/__init__.py", "a/guard.py", "a/helpers.py"},
    ),
    "imports from the folder above": (
        {"p/a/guard.py": entry("from ..base import Base"), "p/__init__.py": "", "p/base.py": "class Base: ..."},
        "p.a.guard",
        {"p/__init__.py", "p/a/guard.py", "p/base.py"},
    ),
    "imports of its package": (
        {"p/__init__.py": "", "p/a/__init__.py": "", "p/a/guard.py": entry("from p.base import Base", "import p.a"),
         "p/base.py": "class Base: ...", "p/other.py": ""},
        "p.a.guard",
        {"p/__init__.py", "p/a/__init__.py", "p/a/guard.py", "p/base.py"},
    ),
    "a library named like its folder": (
        {"agents/guard.py": entry("try:", "    from agents import Agent", "except ImportError: ...")},
        "guard",
        {"guard.py"},
    ),
    "data": (
        {"a/guard.py": entry("from pathlib import Path", "HERE = Path(__file__).parent", "RULES = 'rules.txt'",
                             "A = HERE / 'words'", "B = HERE.glob('*.json')", "C = {'other': 'missing.txt'}"),
         "a/rules.txt": "1", "a/words/en.txt": "2", "a/words/.cache": "3", "a/one.json": "4", "a/other/no.txt": "5",
         "a/__pycache__/x.json": "6", "a/no.txt": "7"},
        "guard",
        {"guard.py", "rules.txt", "words/en.txt", "one.json"},
    ),
}  # fmt: skip


@pytest.mark.parametrize("kind", CLOSURES)
def test_source_closure(kind: str) -> None:
    """The code of an agent is its module, what it imports from its folder, and the files that it names; no more."""
    files, module, expected = CLOSURES[kind]
    write(files)
    path = next(name for name in files if name.endswith("guard.py"))
    loaded = load(f"{path}:Guard")
    assert loaded.files is not None
    assert set(loaded.files) == expected
    assert loaded.spec.target == f"{module}:Guard"


def ids(run: RunConfig) -> set[str]:
    plan = plan_run(run, load_dataset(run))
    return {episode.id for cell in plan.cells for shard in cell.shards for episode in shard.episodes}


def test_identity() -> None:
    """A change of an agent's code, options, text or version changes its episodes, and those of no other agent."""
    write({"a/guard.py": entry("import helpers"), "a/helpers.py": "", "a/other.py": AGENT, "a/notes.txt": ""})
    guard, other = {"agent": "a/guard.py:Guard", "name": "g"}, {"agent": "a/other.py:Guard", "name": "o"}
    before, chat = (ids(config(agent)) for agent in (guard, "chat"))
    assert ids(config("chat", guard)) == chat | before
    assert ids(config({**guard, "options": {"strict": True}})).isdisjoint(before)
    assert ids(config({**guard, "turn_timeout_s": 5, "max_calls": 3})) == before
    write({"a/notes.txt": "changed", "a/other.py": f"{AGENT}# changed"})
    assert ids(config(guard)) == before
    write({"a/helpers.py": "# changed"})
    assert ids(config(guard)).isdisjoint(before)
    assert ids(config(other)).isdisjoint(before)


def file_agent(code: str, **keys: object) -> Callable[[], object]:
    def make() -> object:
        write({"a/guard.py": code})
        return {"agent": "a/guard.py:Guard", "name": "g", **keys}

    return make


BAD: Mapping[str, tuple[Any, str]] = {
    "no such file": ("a/none.py:Guard", "agents: Guard (a/none.py:Guard): there is no file "),
    "no class is named": ("a/guard.py", "agent is 'a/guard.py' (the class is missing); expected chat, prompt, "),
    "no such class": (file_agent("class Other:\n    def turn(self): ...\n"), "has no class Guard; it has Other"),
    "a function": (file_agent("def Guard(context, llm): ..."), "Guard is a function; expected a class with a method"),
    "no turn": (file_agent("class Guard:\n    def __init__(self, context, llm): ..."), "Guard has no method turn("),
    "no constructor": (
        file_agent("class Guard:\n    def turn(self, turn): ..."),
        "Guard() does not take (context, llm), which every agent gets",
    ),
    "unknown option": (
        file_agent(AGENT, options={"strickt": True}),
        "agents: g (a/guard.py:Guard): options: Guard has no option strickt; it has strict",
    ),
    "missing option": (file_agent(AGENT.replace("=False", "")), "options: Guard needs strict; its options are strict"),
    "import fails": (
        file_agent(f"import json\n{AGENT}\njson.loads('nonsense')"),
        "a/guard.py, line 13: JSONDecodeError: Expecting value",
    ),
    "import exits": (file_agent("import sys\nsys.exit(3)"), "a/guard.py, line 2: SystemExit: 3; its import must"),
    "import of nothing": (
        file_agent("import no_such_thing"),
        "line 1: ModuleNotFoundError: No module named 'no_such_thing'; install it in this environment",
    ),
    "no Python": (file_agent("class Guard\n"), "a/guard.py, line 1: expected ':'; correct the code of the agent"),
    "facts contradict": (
        file_agent(AGENT, facts="prose"), "facts is 'prose', but the class declares 'structured'; leave facts out"
    ),
    "facts unknown": (
        file_agent(AGENT.replace("structured", "everything")),
        "declares facts = 'everything'; expected one of 'prose', 'structured'",
    ),
    "version": (file_agent(AGENT.replace('"3"', "[]")), "declares version = []; expected a string"),
    "too large": (
        lambda: (write({"a/big.txt": b"x" * 5_000_000}), file_agent(f"BIG = 'big.txt'\n{AGENT}")())[1],
        "the largest are big.txt (5,000,000 bytes), guard.py",
    ),
    "no module": ("no_such.module:Guard", "ModuleNotFoundError: No module named 'no_such'"),
    "not installed": ("wizard", "no installed package declares the agent 'wizard'; declared: "),
    "no text": ({"agent": "prompt", "system": "none.md"}, "none.md cannot be read (No such file or directory); "),
    "options of chat": ({"agent": "chat", "options": {}}, "chat is the model alone and has no options"),
    "options of prompt": (
        {"agent": "prompt", "system": "x.md", "options": {}}, "`agent: prompt` has no options; it has `system`"
    ),
    "place": ({"agent": "wizard", "place": "after"}, "`place` belongs to `agent: prompt`, and only to it"),
    "service without a name": ("http://127.0.0.1:9/turn", "needs a `name`, which tables show"),
}  # fmt: skip


@pytest.mark.parametrize("kind", BAD)
def test_bad_agents(kind: str) -> None:
    """A faulty agent is refused when it is loaded: the message says what came, where, and what was expected."""
    agent, expected = BAD[kind]
    with pytest.raises(ConfigError) as error:
        load_agents(config(agent() if callable(agent) else agent))
    assert expected in str(error.value).replace(f"{Path.cwd()}/", "")
    assert "Traceback" not in str(error.value)
    assert str(Path.cwd()) not in sys.path


def test_packages_that_only_workers_have() -> None:
    """With a runtime environment, a package may be missing here; what the class declares is read from its source."""
    write({"guard.py": f"import no_such_thing\n{AGENT}"})
    ray = {"executor": "ray", "runtime_env": {"pip": ["no-such-thing"]}}
    loaded = load("guard.py:Guard", execution=ray)
    assert (loaded.spec.facts, loaded.spec.version) == ("structured", "3")
    assert loaded.note == "No module named 'no_such_thing'; workers have execution.runtime_env"


def test_installed_agents(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A package declares agents as entry points; its distribution's version is in the manifest."""
    write({
        "site/crew/__init__.py": "", "site/crew/guard.py": f"from crew import words\n{AGENT}", "site/crew/words.py": "",
        "site/crew/unused.py": "",
        "site/crew_kit-1.2.dist-info/METADATA": "Metadata-Version: 2.1\nName: crew-kit\nVersion: 1.2\n",
        "site/crew_kit-1.2.dist-info/entry_points.txt": "[muses_eval.agents]\ncrew = crew.guard:Guard\n",
        "site/crew_kit-1.2.dist-info/top_level.txt": "crew\n",
    })  # fmt: skip
    monkeypatch.syspath_prepend(tmp_path / "site")
    named, written = load("crew"), load({"agent": "crew.guard:Guard", "name": "crew"})
    assert (named.distribution, named.spec) == ("crew-kit", written.spec)
    assert (named.spec.target, named.spec.bundle, named.files) == ("crew.guard:Guard", None, None)
    write({"site/crew/unused.py": "# changed"})
    assert load("crew").spec == named.spec
    write({"site/crew/words.py": "# changed"})
    assert load("crew").spec.code != named.spec.code
    prepare_without_lock(config("crew"))
    (run_id,) = (file.stem for file in Path("store/runs").iterdir())
    assert read_manifest(open_store("store"), run_id).versions["crew-kit"] == "1.2"


def test_the_store_keeps_the_code_of_a_run() -> None:
    """The code is stored with the run, verified with it, and is garbage when no run names it."""
    write({"a/guard.py": AGENT})
    secret = "sk-proj-Abcdefghijklmnopqrstuvwx0123456789"
    run = prepare_without_lock(config({"agent": "a/guard.py:Guard", "name": "g", "options": {"strict": secret}}))
    (cell,) = run.plan.cells
    key, store = cell.agent.bundle, run.store
    assert key is not None
    assert unpack_code(key, store.get(key)) == {"guard.py": AGENT.encode()}
    manifest = read_manifest(store, run.plan.run_id)
    assert manifest.models["scripted/oracle + g"]["agent"] == {
        "name": "g", "kind": "python", "target": "guard:Guard", "code": cell.agent.code, "bundle": key,
        "options": {"strict": "[credential]"}, "version": "3", "facts": "structured",
    }  # fmt: skip
    assert manifest.made_with["agents"] == {"g": {"turn_timeout_s": 300.0, "max_calls": 64}}
    assert secret not in Path(f"store/runs/{run.plan.run_id}.json").read_text(encoding="utf-8")
    assert not verify(store, run.plan.run_id).findings
    assert not collect_garbage(store, -5).garbage
    store.delete(key)
    store.put_if_absent(key, pack_code({"guard.py": b"other"}))
    (finding,) = verify(store, run.plan.run_id).findings
    assert (finding.key, finding.trouble) == (key, "damaged")
    store.delete(key)
    (finding,) = verify(store, run.plan.run_id).findings
    assert (finding.key, finding.trouble) == (key, "missing")
    store_code(store, load_agents(run.config))
    store.delete(f"runs/{run.plan.run_id}.json")
    assert key in {each.key for each in collect_garbage(store, -5).garbage}


def test_runtime_env() -> None:
    """Ray's runtime environment is passed on; another executor, a credential and wrong values are refused."""
    from muses_eval.workers.play.ray_executor import RaySettings, cluster_cpus

    ray: dict[str, Any] = {"executor": "ray", "runtime_env": {"pip": ["a==1"], "env_vars": {"MODE": "fast"}}}
    execution = config("chat", execution=ray).execution
    assert json.loads(execution.runtime_env or "") == ray["runtime_env"]
    key = "sk-proj-Abcdefghijklmnopqrstuvwx0123456789"
    for change, expected in (
        ({"executor": "inline"}, "runtime_env is the environment of Ray's workers, but the executor is inline"),
        ({"runtime_env": {"pypi": []}}, "runtime_env has no pypi; it has pip, uv"),
        ({"runtime_env": {"env_vars": {"OPENAI_API_KEY": key}}}, "runtime_env contains a credential"),
    ):
        with pytest.raises(ConfigError, match=expected) as error:
            config("chat", execution={**ray, **change})
        assert key not in str(error.value)
    with pytest.raises(ConfigError, match=r"execution.runtime_env: .*pip.* must be"):
        cluster_cpus(RaySettings(runtime_env={"pip": 3}))


MODEL: Mapping[str, Any] = {
    "model": "openai:m", "base_url": "http://127.0.0.1:1/v1", "prices": {"input": 1, "output": 2}
}  # fmt: skip


def test_plan_shows_and_estimates_every_agent(muses: Muses) -> None:
    """An agent has its own line; without a pilot it is estimated like the model alone, and marked as a lower bound."""
    write({"a/guard.py": AGENT})
    agents = ["chat", {"agent": "a/guard.py:Guard", "name": "guard"}]
    raw: dict[str, Any] = {"models": [MODEL], "dataset": "generated:5", "families": ["queue"], "agents": agents}
    write({"run.yaml": json.dumps(raw), "sweep.yaml": json.dumps({**raw, "grid": {"agents": [["chat"], agents]}})})
    found = json.loads(muses("plan", "run.yaml", "--json").stdout)
    assert [(cell["model"], cell["agent"], cell["facts"]) for cell in found["cells"]] == [
        ("m", "chat", "prose"), ("m + guard", "guard", "structured")
    ]  # fmt: skip
    alone, guarded = found["estimate"]["by_model"]
    assert [(line["agent"], line["assumes_chat"]) for line in (alone, guarded)] == [("chat", False), ("guard", True)]
    assert alone["calls"] == guarded["calls"]
    assert found["estimate"]["calls"]["mid"] == alone["calls"]["mid"] + guarded["calls"]["mid"]
    text = muses("plan", "run.yaml").stdout
    assert "≥: how often guard will call a model is not known without a pilot; one call per turn is assumed" in text
    assert re.search(r"^m +guard +agent +≥ 5 +≥ .+ +≥ \$", text, re.MULTILINE)
    assert "agents=chat,guard " in muses("plan", "sweep.yaml").stdout
    named = json.loads(muses("plan", "run.yaml", "--agent=told", "--agent=a/guard.py:Guard", "--json").stdout)
    assert [cell["model"] for cell in named["cells"]] == ["m + told", "m + Guard"]
    write({"run.yaml": json.dumps({**raw, "agents": ["a/none.py:Guard"]})})
    bad = muses("plan", "run.yaml")
    assert (bad.returncode, "there is no file" in bad.stderr) == (2, True)


def test_doctor_checks_agents() -> None:
    """Every agent is loaded, and a service has to respond."""
    write({"a/guard.py": AGENT})
    with Provider() as up:
        running = up.base_url
        agents = [
            {"agent": "a/guard.py:Guard", "name": "file"},
            {"agent": running, "name": "up"},
            {"agent": "a/none.py:Guard", "name": "none"},
        ]
        checks = {check.what: check for check in agent_checks(config("chat", *agents))}
    (down,) = agent_checks(config({"agent": running, "name": "down"}))
    assert {name: check.ok for name, check in checks.items()} == {
        "agent file": True, "agent up": True, "agent none": False
    }  # fmt: skip
    assert checks["agent file"].detail == "loaded with guard.py"
    assert not down.ok
    assert down.detail.endswith("start the service, or correct its address in the config")


def test_a_configuration_survives_being_stored() -> None:
    """Prefect passes a configuration on as JSON, and `muses rescore` reads the one in the manifest."""
    written = config(
        "chat", {"agent": "a/guard.py:Guard", "options": {"a": 1}}, execution={"executor": "ray", "runtime_env": {}}
    )
    assert parse_config(written.model_dump(mode="json"), "stored") == written


def test_rehearsals_call_no_service(tmp_path: Path) -> None:
    """A rehearsal leaves out agents that are services, and says so."""
    said: list[str] = []
    service = {"agent": "http://127.0.0.1:9/turn", "name": "crew"}
    kept = without_services(config("chat", service), said.append)
    assert [agent.entry for agent in kept.agents] == ["chat"]
    assert said == ["agent crew is left out: it is a service, which a rehearsal does not call"]
    with pytest.raises(ConfigError, match=r"every agent of this run is a service \(crew\)"):
        without_services(config(service), said.append)


def test_the_commands_of_agents(muses: Muses, monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Declared agents are listed, and the OpenAPI document is the one in the documentation."""
    write({
        "site/crew_kit-1.2.dist-info/METADATA": "Metadata-Version: 2.1\nName: crew-kit\nVersion: 1.2\n",
        "site/crew_kit-1.2.dist-info/entry_points.txt": "[muses_eval.agents]\ncrew = crew.guard:Guard\n",
    })  # fmt: skip
    monkeypatch.syspath_prepend(tmp_path / "site")
    listed = json.loads(muses("agents", "ls", "--json").stdout)["agents"]
    assert {"agent": "crew", "target": "crew.guard:Guard", "distribution": "crew-kit 1.2"} in listed
    assert re.search(r"^crew +crew.guard:Guard +crew-kit 1.2$", muses("agents", "ls").stdout, re.MULTILINE)
    document = Path(__file__).parents[2] / "docs" / "agent_api.json"
    assert json.loads(muses("agents", "openapi").stdout) == json.loads(document.read_text(encoding="utf-8"))


def test_faults_of_several_runs() -> None:
    """A sweep sums the failures of an entry over its runs."""
    runs = [AgentFaults("m + a", 10, 0, 1), AgentFaults("m + b", 10, 4, 0), AgentFaults("m + b", 10, 1, 0)]
    assert fault_lines(total_by_entry(runs)) == [
        "m + b: 5 of 20 episodes (25%) have an error of the agent (agent_error); `muses trace` shows what happened",
        "m + a: 1 of 10 episodes (10%) delayed other episodes by blocking the event loop (agent_blocked)",
    ]
