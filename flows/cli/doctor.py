"""``muses doctor``: checks that everything that a run needs can be reached."""

import asyncio
import os
from collections.abc import Callable, Iterator
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from muses_eval.flows.agents.load_agents import load_agent
from muses_eval.flows.cli import BAD_USAGE, DONE
from muses_eval.flows.cli.options import Json, RunOptions, load_config
from muses_eval.flows.cli.output import echo, to_json
from muses_eval.flows.cli.proxy_report import proxy_report
from muses_eval.flows.job.load_protocol import load_protocol
from muses_eval.flows.settings import Settings, make_home, ray_home, read_settings, set_environment_defaults
from muses_eval.pipeline.agents.agent_spec import AgentSpec
from muses_eval.pipeline.config.agent_config import AgentConfig
from muses_eval.pipeline.config.execution import ExecutionConfig
from muses_eval.pipeline.config.model_spec import ModelSpec
from muses_eval.pipeline.config.run import RunConfig
from muses_eval.pipeline.errors import MusesError
from muses_eval.pipeline.families.family_package import installed_families
from muses_eval.pipeline.providers import installed_providers
from muses_eval.pipeline.retirement import retirement_notices


@dataclass(frozen=True, slots=True)
class Check:
    """Result of one check."""

    what: str
    ok: bool
    detail: str
    """Finding; for a failed check, the problem and how to fix it."""
    warning: str | None = None
    """What will be a problem soon; None when there is nothing to do."""


def doctor(
    config: Annotated[Path | None, Parameter(help="YAML file whose models and store are checked too.")] = None,
    /,
    *,
    options: RunOptions = RunOptions(),  # noqa: B008 - frozen
    as_json: Json = False,
) -> int:
    """Check Ray, Prefect, the store, the protocol, every agent and every endpoint, and explain how to fix failures."""
    settings = read_settings()
    set_environment_defaults(settings)
    parsed = load_config(config, options, settings.store) if config or options.model else None
    checks = list(_checks(settings, parsed, options))
    if as_json:
        echo(to_json(list(map(asdict, checks))))
    else:
        for check in checks:
            echo(f"{'ok  ' if check.ok else 'FAIL'}  {check.what}: {check.detail}")
            if check.warning is not None:
                echo(f"WARN  {check.warning}")
    return DONE if all(check.ok for check in checks) else BAD_USAGE


def _checks(settings: Settings, config: RunConfig | None, options: RunOptions) -> Iterator[Check]:
    store = options.store or (config.store if config else settings.store)
    yield _checked("store", lambda: _store(store))
    yield from package_checks()
    address = options.ray_address or (config.execution.ray_address if config else None)
    yield _checked("ray", lambda: _ray(settings, address))
    yield _checked("prefect", lambda: _prefect(settings))
    yield from proxy_checks(settings, config)
    if config and config.protocol == "released":
        yield _checked("protocol released", lambda: _released_texts(config))
    if config:
        yield from agent_checks(config)
    roles = [("model", model) for model in config.models] if config else []
    if config and config.users:
        roles.append(("users' model", config.users))
    for role, model in roles:
        spec = model.spec()
        check = _checked(f"{role} {spec.name}", lambda spec=spec: _model(spec))  # type: ignore[misc]
        notices = retirement_notices([spec], datetime.now(UTC).date())
        yield replace(check, warning=notices[0] if notices else None)


def proxy_checks(settings: Settings, config: RunConfig | None) -> Iterator[Check]:
    """Yields a check of the proxies that the environment names, and nothing when it names none."""
    urls = {} if settings.prefect_api_url is None else {"prefect": settings.prefect_api_url}
    for model in (*config.models, *([config.users] if config.users else [])) if config else ():
        spec = model.spec()
        urls |= {f"model {spec.name}": url for url in (spec.endpoint.base_urls if spec.endpoint else ())}
    try:
        report = proxy_report(urls, os.environ)
    except MusesError as error:
        yield Check("proxy", False, str(error))
    else:
        if report is not None:
            yield Check("proxy", True, report)


def agent_checks(config: RunConfig) -> Iterator[Check]:
    """Loads the agents of a configuration, and probes those that are services."""
    for agent in config.agents:
        if agent.form != "chat":
            yield _checked(f"agent {agent.entry}", partial(_agent, agent, config.execution))


def package_checks() -> Iterator[Check]:
    """Yields a check for each family and provider of an installed package."""
    families, providers = installed_families(), installed_providers()
    for name, package in families.objects.items():
        added = (("columns", [column.name for column in package.columns]), ("views", list(package.views)))
        parts = [f"{what} {', '.join(names)}" for what, names in added if names]
        details = (families.plugins[name].label, *parts, package.documentation)
        yield Check(f"family {name}", True, " · ".join(filter(None, details)))
    for name, provider in providers.objects.items():
        facts = (providers.plugins[name].label, f"format {provider.wire_format}", provider.base_url)
        yield Check(f"provider {name}", True, " · ".join(filter(None, facts)))
    for what, problems in (("family", families.problems), ("provider", providers.problems)):
        yield from (Check(f"{what} {name}", False, problem) for name, problem in problems.items())


def _checked(what: str, check: Callable[[], str]) -> Check:
    try:
        return Check(what, True, check())
    except MusesError as error:
        return Check(what, False, str(error))
    except Exception as error:  # noqa: BLE001 - every error is reported, and the checks continue
        return Check(what, False, f"{type(error).__name__}: {error}")


def _store(url: str) -> str:
    from muses_eval.storage.objects.open_store import open_store

    store = open_store(url)
    store.check()
    return f"{store.url} can be written and read"


def _ray(settings: Settings, address: str | None) -> str:
    from muses_eval.workers.play.ray_executor import RaySettings, cluster_cpus

    if address:
        return f"the cluster at {address} answers, with {cluster_cpus(RaySettings(address=address)):g} CPUs"
    with ray_home(settings) as home:
        return f"a local Ray answers, with {cluster_cpus(RaySettings(temp_dir=home)):g} CPUs"


def _prefect(settings: Settings) -> str:
    if settings.prefect_api_url is None:
        return "PREFECT_API_URL is not set: every flow starts an embedded server"
    make_home(settings.prefect_home)
    from muses_eval.flows.prefect_flows.deployments import outdated_deployments
    from muses_eval.flows.prefect_flows.server import reach_server

    url = reach_server()
    if outdated := outdated_deployments():
        raise MusesError(
            f"the server at {url} has deployments of muses-eval 0.1.0, which no worker can start: "
            f"{', '.join(outdated)}; run `muses deploy` once more for each of their configurations"
        )
    return f"the server at {url} answers"


def _released_texts(config: RunConfig) -> str:
    load_protocol(config)
    return "the texts of the released evaluator are there, as pinned"


def _agent(agent: AgentConfig, execution: ExecutionConfig) -> str:
    loaded = load_agent(agent, execution)
    if loaded.note is not None:
        return f"found, but not checked here: {loaded.note}"
    if loaded.spec.kind == "http":
        _probe(loaded.spec, "start the service, or correct its address in the config")
        return f"{agent.agent} answers"
    origin = loaded.distribution or loaded.spec.target
    return f"{origin} can be loaded" if loaded.files is None else f"loaded with {', '.join(sorted(loaded.files))}"


def _model(spec: ModelSpec) -> str:
    if spec.endpoint is None:
        return "built in, needs no network"
    if spec.provider == "vllm":
        return "its servers start with a run"
    _probe(spec, "start the server, or correct base_url or the key in the config")
    return f"{' or '.join(spec.endpoint.base_urls)} answers"


def _probe(spec: ModelSpec | AgentSpec, advice: str) -> None:
    """Raises MusesError, with the advice, when a model or a service cannot be called."""
    from muses_eval.workers.play.shard_worker import ShardWorker
    from muses_eval.workers.providers.model import Unavailable

    async def probe() -> Unavailable | None:
        worker = ShardWorker(os.environ)
        try:
            return await worker.probe(spec)
        finally:
            await worker.close()

    unavailable = asyncio.run(probe())
    if unavailable is not None:
        raise MusesError(f"{unavailable}; {advice}")
