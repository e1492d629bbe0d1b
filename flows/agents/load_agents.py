"""Loads the agents of a configuration: reads and checks their code and their texts, before anything is paid.

The code of an agent in a file goes into the run's store (:func:`store_code`), from which workers on any machine read
it; installed code has to be installed there too.
"""

import ast
import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from importlib.metadata import EntryPoint, PackageNotFoundError, distribution, entry_points, packages_distributions
from importlib.util import find_spec
from pathlib import Path

from muses_eval.flows.agents.agent_class import CodeFiles, Declaration, check_class, import_class
from muses_eval.flows.agents.source_closure import Source, source_closure, source_of_file
from muses_eval.pipeline.agents.agent_spec import CHAT, FACTS_LEVELS, AgentSpec
from muses_eval.pipeline.config.agent_config import AgentConfig
from muses_eval.pipeline.config.execution import ExecutionConfig
from muses_eval.pipeline.config.run import RunConfig
from muses_eval.pipeline.errors import ConfigError
from muses_eval.pipeline.hashing import canonical
from muses_eval.storage.objects.agent_archive import archive_key, code_digest, pack_code
from muses_eval.storage.objects.object_store import ObjectStore

GROUP = "muses_eval.agents"
"""Group of the entry points with which a package declares agents."""
_OWN = "muses_eval"
_NO_OPTIONS = "{}"


@dataclass(frozen=True, slots=True, kw_only=True)
class LoadedAgent:
    """One agent of a configuration, ready to be sent to workers."""

    spec: AgentSpec
    files: Mapping[str, bytes] | None = None
    """Code of an agent in a file: relative path -> content; None when its code is installed, or not ours."""
    distribution: str | None = None
    """Distribution with the code of an installed agent; None when no distribution has it."""
    note: str | None = None
    """Check that was not possible here; None when all were."""


def load_agents(config: RunConfig) -> tuple[LoadedAgent, ...]:
    """Loads the agents of a configuration.

    Raises:
        ConfigError: a file is missing, code cannot be imported, a class is no agent, or it does not take its options.
    """
    return tuple(load_agent(agent, config.execution) for agent in config.agents)


def specs(agents: Sequence[LoadedAgent]) -> tuple[AgentSpec, ...]:
    """Returns the agents as a plan needs them."""
    return tuple(agent.spec for agent in agents)


def store_code(store: ObjectStore, agents: Sequence[LoadedAgent]) -> None:
    """Writes the code of agents in files into a store, where it does not have it yet."""
    for agent in agents:
        if agent.files is not None:
            store.put_if_absent(archive_key(agent.spec.code), pack_code(agent.files))


def load_agent(agent: AgentConfig, execution: ExecutionConfig) -> LoadedAgent:
    """Loads one agent; raises as :func:`load_agents` does."""
    where = f"agents: {agent.entry}" if agent.entry == agent.agent else f"agents: {agent.entry} ({agent.agent})"
    match agent.form:
        case "chat":
            return LoadedAgent(spec=CHAT)
        case "service":
            return LoadedAgent(spec=replace(_spec(agent), kind="http", target=agent.agent))
        case "file":
            return _from_file(where, agent, execution)
        case "module":
            module, name = agent.target
            return _from_module(where, agent, (module, name, _owner(module)))
        case "installed":
            return _from_entry_point(where, agent)
        case "prompt":
            return _from_entry_point(where, agent, {"text": _text(where, agent.system or ""), "place": agent.place})


def _spec(agent: AgentConfig, options: Mapping[str, object] | None = None) -> AgentSpec:
    """Returns an agent before its code is known."""
    return AgentSpec(
        name=agent.entry,
        kind="python",
        options=agent.options or _NO_OPTIONS if options is None else canonical(options).decode(),
        facts=agent.facts or "prose",
        turn_timeout_s=agent.turn_timeout_s,
        max_calls=agent.max_calls,
    )


def _declared(where: str, agent: AgentConfig, spec: AgentSpec, declared: Declaration) -> AgentSpec:
    """Returns an agent with what its class declares."""
    if agent.facts is not None and declared.facts not in (None, agent.facts):
        raise ConfigError(
            f"{where}: facts is {agent.facts!r}, but the class declares {declared.facts!r}; leave facts out"
        )
    return replace(spec, facts=agent.facts or declared.facts or "prose", version=declared.version)


def _from_file(where: str, agent: AgentConfig, execution: ExecutionConfig) -> LoadedAgent:
    path, name = agent.target
    file = Path(path).expanduser().absolute()
    if not file.is_file():
        raise ConfigError(f"{where}: there is no file {file}; a path is relative to the working directory")
    source = source_of_file(file)
    files, spec = source_closure(source), _spec(agent)
    code, note = code_digest(files), None
    try:
        found = import_class(where, source.module, name, CodeFiles(source.root, files))
        declared = check_class(where, found, json.loads(spec.options))
    except ConfigError as error:
        if not isinstance(error.__cause__, ModuleNotFoundError) or execution.runtime_env is None:
            raise
        declared, note = _read_declaration(file, name), f"{error.__cause__}; workers have execution.runtime_env"
    spec = replace(spec, target=f"{source.module}:{name}", code=code, bundle=archive_key(code))
    return LoadedAgent(spec=_declared(where, agent, spec, declared), files=files, note=note)


def _read_declaration(file: Path, name: str) -> Declaration:
    """Reads what a class declares, without importing it: constants in its body."""
    found: dict[str, object] = {}
    for node in ast.walk(ast.parse(file.read_bytes())):
        for line in node.body if isinstance(node, ast.ClassDef) and node.name == name else ():
            match line:
                case ast.Assign(targets=[ast.Name(id=attribute)], value=ast.Constant(value=value)):
                    found[attribute] = value
                case ast.AnnAssign(target=ast.Name(id=attribute), value=ast.Constant(value=value)):
                    found[attribute] = value
    facts = next((level for level in FACTS_LEVELS if level == found.get("facts")), None)
    return Declaration(facts, str(found.get("version", "")))


def _from_entry_point(where: str, agent: AgentConfig, options: Mapping[str, object] | None = None) -> LoadedAgent:
    points = [point for point in entry_points(group=GROUP) if point.name == agent.agent]
    if not points:
        names = ", ".join(sorted({point.name for point in entry_points(group=GROUP)})) or "none"
        raise ConfigError(
            f"{where}: no installed package declares the agent {agent.agent!r}; declared: {names}. A class of your own "
            "is written folder/file.py:Class or package.module:Class"
        )
    if len({point.value for point in points}) > 1:
        owners = ", ".join(sorted({_distribution(point) or point.value for point in points}))
        raise ConfigError(f"{where}: several packages declare the agent {agent.agent!r}: {owners}; write module:Class")
    module, _, name = points[0].value.partition(":")
    return _from_module(where, agent, (module.strip(), name.strip(), _distribution(points[0])), options)


def _distribution(point: EntryPoint) -> str | None:
    return None if point.dist is None else point.dist.name


def _from_module(
    where: str, agent: AgentConfig, found: tuple[str, str, str | None], options: Mapping[str, object] | None = None
) -> LoadedAgent:
    module, name, owner = found
    spec = _spec(agent, options)
    declared = check_class(where, import_class(where, module, name), json.loads(spec.options))
    code = code_digest(dict(_installed_code(module)))
    spec = replace(spec, target=f"{module}:{name}", code=code)
    return LoadedAgent(spec=_declared(where, agent, spec, declared), distribution=owner)


def _installed_code(module: str) -> Iterator[tuple[str, bytes]]:
    """Yields the source closure of an installed module within its top-level package.

    The agents of this project consist of their own package, so that their results stay valid when other parts of the
    project change.
    """
    found = find_spec(module)
    if found is None or found.origin is None or not found.origin.endswith(".py"):
        return
    file = Path(found.origin)
    levels = module.count(".") + (file.name == "__init__.py")
    top = module.partition(".")[0]
    boundary = module.rpartition(".")[0] if top == _OWN else top
    yield from source_closure(Source(file.parents[levels], module, boundary)).items()


def _owner(module: str) -> str | None:
    """Returns the distribution that has a module; most are named like their package, and a search reads all of them."""
    package = module.partition(".")[0]
    try:
        return distribution(package).name
    except PackageNotFoundError:
        return next(iter(packages_distributions().get(package, ())), None)


def _text(where: str, path: str) -> str:
    file = Path(path).expanduser().absolute()
    try:
        text = file.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"{where}: system: {file} cannot be read ({error.strerror}); expected a file with the text, relative to "
            "the working directory"
        ) from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{where}: system: {file} is not UTF-8 (byte {error.start + 1}); save it as UTF-8") from error
    if not text.strip():
        raise ConfigError(f"{where}: system: {file} is empty; expected the text of the agent")
    return text
