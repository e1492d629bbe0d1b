"""Opens the agents of the episodes of one worker."""

import asyncio
import importlib
import json
import logging
import random
import tempfile
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path, PurePosixPath
from typing import TYPE_CHECKING, Any

from muses_eval.pipeline.agents.agent_spec import AgentSpec
from muses_eval.pipeline.agents.interface import Context, ModelEndpoint, PrincipalProfile
from muses_eval.pipeline.config.model_spec import ModelSpec
from muses_eval.pipeline.episode.interfaces import Observation
from muses_eval.pipeline.episode.model_call import Call
from muses_eval.pipeline.episode.scenario import Scenario
from muses_eval.pipeline.errors import MusesError, StoreError
from muses_eval.pipeline.families.family import Family
from muses_eval.storage.objects.agent_archive import unpack_code
from muses_eval.storage.objects.object_store import ObjectStore
from muses_eval.workers.agents.code_folder import CodeFolder
from muses_eval.workers.agents.event_log import EventLog
from muses_eval.workers.agents.harness import Harness
from muses_eval.workers.agents.llm import EpisodeLlm
from muses_eval.workers.agents.loop_watch import LoopWatch
from muses_eval.workers.agents.printed_lines import PrintedLines, printing_to, watch_standard_streams
from muses_eval.workers.agents.python_agent import AgentClass, PythonHarness
from muses_eval.workers.agents.session import AgentSession
from muses_eval.workers.providers.model import ModelAgent

if TYPE_CHECKING:
    from muses_eval.workers.agents.bridge import Bridge
    from muses_eval.workers.agents.http_agent import AgentService

_LOG = logging.getLogger(__name__)


class AgentLoadError(MusesError):
    """The code of an agent cannot be imported on this worker, although it could be where the run started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AgentEpisode:
    """An episode that an agent plays."""

    id: str
    agent: AgentSpec
    model: ModelSpec
    """The model that the agent calls."""
    family: Family[Any]
    scenario: Scenario[Any]
    start: Observation
    """The observation of the model alone before the first turn: its prompt begins with the briefing."""


class AgentHost:
    """The agents of one worker: their imported code, the connections to services, and the bridge.

    Args:
        environ: environment variables that name proxies, for services.
    """

    def __init__(self, environ: Mapping[str, str]) -> None:
        self._environ = environ
        self._classes: dict[AgentSpec, AgentClass] = {}
        self._folders: dict[str, CodeFolder] = {}
        self._services: dict[AgentSpec, AgentService] = {}
        self._importing = asyncio.Lock()
        self._bridge: Bridge | None = None
        self._watch = LoopWatch()
        self._temporary: tempfile.TemporaryDirectory[str] | None = None

    async def open(
        self, store: ObjectStore, episode: AgentEpisode, model: ModelAgent, note: Callable[[Call], None]
    ) -> "OpenAgent":
        """Returns the agent of one episode, which has to be closed.

        Args:
            store: store of the run, which has the code of the agent.
            episode: the episode.
            model: the model in this episode.
            note: receives each call of the model as soon as it is answered.

        Raises:
            AgentLoadError: the code cannot be imported.
            StoreError: the code cannot be read.
        """
        spec, events = episode.agent, EventLog()
        llm = EpisodeLlm(episode.model.model, model, spec.max_calls, events, note)
        found = await self._class(spec, store) if spec.kind == "python" else None
        bridge = self._open_bridge()
        endpoint = await bridge.open_episode(llm, lambda: self._watch.step_s(events.blocked))
        context = replace(_context(episode), endpoint=endpoint, log=events.log)
        harness: Harness
        if found is None:
            harness = self.service(spec).harness(context, episode.model.name, lambda: llm.own_time)
        else:
            harness = PythonHarness(found, context, llm, events, self._watch)
        write_reply = partial(episode.family.write_reply, episode.scenario)
        session = AgentSession(episode.id, harness, llm, spec.turn_timeout_s, write_reply)
        return OpenAgent(session, bridge, endpoint)

    async def close(self) -> None:
        """Closes all connections, and removes the code of agents from this process and its disk."""
        self._watch.close()
        if self._bridge is not None:
            await self._bridge.close()
        for service in self._services.values():
            await service.close()
        for folder in self._folders.values():
            folder.close()
        self._classes.clear()
        self._folders.clear()
        if self._temporary is not None:
            self._temporary.cleanup()
            self._temporary = None

    def _open_bridge(self) -> "Bridge":
        if self._bridge is None:
            from muses_eval.workers.agents.bridge import Bridge  # imported here, since its web server is slow to import

            self._bridge = Bridge()
        return self._bridge

    def service(self, spec: AgentSpec) -> "AgentService":
        """Returns the connections to an agent that is a service."""
        if spec not in self._services:
            from muses_eval.workers.agents.http_agent import AgentService
            from muses_eval.workers.providers.chat_api import Effects

            self._services[spec] = AgentService(spec, self._environ, Effects(random.Random()))
        return self._services[spec]

    async def _class(self, spec: AgentSpec, store: ObjectStore) -> AgentClass:
        async with self._importing:
            if spec not in self._classes:
                watch_standard_streams()
                self._watch.start()
                self._classes[spec] = await asyncio.to_thread(self._import, spec, store)
        return self._classes[spec]

    def _import(self, spec: AgentSpec, store: ObjectStore) -> AgentClass:
        folder = None if spec.bundle is None else self._folder(spec.bundle, store)
        module, _, name = spec.target.partition(":")
        printed = PrintedLines(lambda line: _LOG.info("agent %s, at its import: %s", spec.name, line))
        try:
            with printing_to(printed):
                loaded = importlib.import_module(module) if folder is None else folder.load(module)
            found = getattr(loaded, name)
        except (Exception, SystemExit) as error:  # noqa: BLE001 - whatever the code raises
            raise AgentLoadError(
                f"agent {spec.name}: {spec.target} cannot be imported on this worker: {type(error).__name__}: {error}; "
                "packages that the workers lack belong into execution.runtime_env"
            ) from None
        return AgentClass(spec.name, found, json.loads(spec.options), None if folder is None else folder.path)

    def _folder(self, key: str, store: ObjectStore) -> CodeFolder:
        if key not in self._folders:
            files = unpack_code(key, store.get(key))
            if self._temporary is None:
                self._temporary = tempfile.TemporaryDirectory(prefix="muses-agents-", ignore_cleanup_errors=True)
            root = Path(self._temporary.name) / PurePosixPath(key).stem
            for path, data in files.items():
                target = root / path
                if not target.resolve().is_relative_to(root.resolve()):
                    raise StoreError(f"{key}: its file {path!r} is outside the folder of the code")
                target.parent.mkdir(parents=True, exist_ok=True)
                target.write_bytes(data)
            self._folders[key] = CodeFolder(root)
        return self._folders[key]


OpenEpisodeAgent = Callable[[AgentEpisode, ModelAgent, Callable[[Call], None]], Awaitable["OpenAgent"]]
""":meth:`AgentHost.open` with the store of a run."""


@dataclass(frozen=True, slots=True)
class OpenAgent:
    """The agent of one episode, with its address on the bridge."""

    session: AgentSession
    bridge: "Bridge"
    endpoint: ModelEndpoint

    async def close(self) -> None:
        """Ends the episode for the agent and its clients."""
        try:
            await self.session.close()
        finally:
            self.bridge.close_episode(self.endpoint)


def _context(episode: AgentEpisode) -> Context:
    scenario, start = episode.scenario, episode.start
    return Context(
        episode_id=episode.id,
        family=scenario.family,
        principals=tuple(PrincipalProfile(p.name, p.role, p.authority, p.persona) for p in scenario.principals),
        briefing=start.prompt[0].content,
        max_turns=start.turn + start.turns_left,
        facts=episode.family.facts(scenario) if episode.agent.facts == "structured" else None,
    )
