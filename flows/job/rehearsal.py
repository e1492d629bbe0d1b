"""A rehearsal: a run's plan, played against a local provider that injects faults.

Every model that would be called over the network is replaced by the local provider, and no key is read.  Agents are
played as they are, but for services, which are left out.  Afterwards,
the counts of the provider are compared with the calls in the store.
"""

import asyncio
import random
from collections.abc import Coroutine, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, TypeVar

from muses_eval.flows.job.evaluate import RunObserver, evaluate
from muses_eval.flows.job.prepare import OnShard, PreparedRun, Warn
from muses_eval.flows.job.report import RunReport
from muses_eval.flows.settings import Settings
from muses_eval.pipeline.config.model_config import ModelConfig
from muses_eval.pipeline.config.run import RunConfig
from muses_eval.pipeline.errors import ConfigError
from muses_eval.pipeline.hashing import slug
from muses_eval.pipeline.prices import FREE
from muses_eval.pipeline.providers import GENERIC, PROVIDERS, WIRE_FORMATS
from muses_eval.workers.limits import Account
from muses_eval.workers.play.shard_summary import ShardSummary
from muses_eval.workers.rehearsal.fault_profile import FaultProfile, HardLimits
from muses_eval.workers.rehearsal.provider import RehearsalProvider
from muses_eval.workers.rehearsal.request_log import PeakUsage, RequestTotals, TokenUsage
from muses_eval.workers.rehearsal.worker_killer import kill_workers

Number = TypeVar("Number", int, float)

_RECORDED = """
SELECT call.model, count(*), sum(1 + call.retries), sum(call.prompt_tokens), sum(call.completion_tokens)
FROM (SELECT unnest(calls) AS call FROM traces WHERE run_id = $run AND started_at >= $since)
WHERE NOT call.cached
GROUP BY call.model
"""
"""Sums over every stored attempt, including attempts that were replaced later."""


@dataclass(frozen=True, slots=True)
class StoredCalls:
    """Calls of this start in the store."""

    by_model: Mapping[str, TokenUsage]
    tries: int
    """Number of attempts of the calls that succeeded."""

    @property
    def calls(self) -> int:
        return sum(tokens.calls for tokens in self.by_model.values())


@dataclass(frozen=True, slots=True)
class RehearsalReport:
    """The result of a rehearsal."""

    report: RunReport
    totals: RequestTotals
    """Counts of the provider."""
    recorded: StoredCalls
    peaks: tuple[PeakUsage, ...]
    killed: tuple[int, ...]
    """Ids of the worker processes that were killed."""

    @property
    def must_match(self) -> bool:
        """True when every response must be in the store: no worker was killed, and no episode failed."""
        return not self.killed and self.report.outcomes["scored"] == self.report.planned

    @property
    def disagreements(self) -> tuple[str, ...]:
        """Differences between the counts of the provider and of the store.

        A response to an episode that failed, or to a worker that was killed, is in no trace.
        """
        answered, recorded = self.totals.by_model, self.recorded.by_model
        found = []
        for model in sorted({*answered, *recorded}):
            there, here = answered.get(model, TokenUsage()), recorded.get(model, TokenUsage())
            fits = here == there if self.must_match else here.within(there)
            if not fits:
                found.append(f"{model}: the provider sent {there}, the store has {here}")
        tries, asked = self.recorded.tries, self.totals.asked
        if tries != asked if self.must_match else tries > asked:
            found.append(f"the provider received {asked} requests, the store has {tries} attempts")
        return tuple(found)


async def rehearse(
    config: RunConfig, profile: FaultProfile, settings: Settings, observer: RunObserver
) -> RehearsalReport:
    """Rehearses a run; *config* is the config of the run with the store and the id of the rehearsal.

    Raises:
        ConfigError: there is nothing to rehearse, or the fault profile does not fit the config.
    """
    accounts = accounts_of(config)
    if not accounts:
        raise ConfigError("nothing to rehearse: every model of this run is built in and needs no network")
    for model in _called(config):
        wire_format = PROVIDERS[model.spec().provider].wire_format
        if wire_format not in WIRE_FORMATS:
            raise ConfigError(
                f"{model.model} cannot be rehearsed: its provider has the format {wire_format}, and the rehearsal's "
                f"server has {', '.join(WIRE_FORMATS)}"
            )
    if profile.kill_worker_every_s is not None and config.execution.executor != "ray":
        raise ConfigError("kill_worker_every_s ends Ray workers, and this run has none: add --executor ray")
    local = without_services(config, observer.warn)
    since, killed = datetime.now(UTC), list[int]()
    with RehearsalProvider(profile, declared_limits(config, accounts)) as provider:
        progress = asyncio.Event()
        job = evaluate(redirect_models(local, provider, accounts), settings, _marking(observer, progress))
        report = await _with_kills(job, profile, progress, killed)
    recorded = await asyncio.to_thread(read_stored_calls, report.store, report.run_id, since)
    return RehearsalReport(report, provider.log.totals(), recorded, provider.peak_usage(), tuple(killed))


def without_services(config: RunConfig, warn: Warn) -> RunConfig:
    """Returns the config without agents that are services: a rehearsal calls nothing beyond this machine."""
    services = [agent.entry for agent in config.agents if agent.form == "service"]
    if len(services) == len(config.agents):
        raise ConfigError(
            f"nothing to rehearse: every agent of this run is a service ({', '.join(services)}), which a rehearsal "
            "does not call; add an agent such as chat"
        )
    for name in services:
        warn(f"agent {name} is left out: it is a service, which a rehearsal does not call")
    return config.model_copy(update={"agents": tuple(agent for agent in config.agents if agent.form != "service")})


def _marking(observer: RunObserver, progress: asyncio.Event) -> RunObserver:
    """Returns the same observer, which also sets *progress* whenever a shard is stored."""

    def begin(run: PreparedRun) -> OnShard:
        on_shard = observer.begin(run)

        def mark(summary: ShardSummary) -> None:
            progress.set()
            on_shard(summary)

        return mark

    return replace(observer, begin=begin)


async def _with_kills(
    job: Coroutine[Any, Any, RunReport], profile: FaultProfile, progress: asyncio.Event, killed: list[int]
) -> RunReport:
    """Runs the job while workers are killed as the profile says, never twice without a stored shard between."""
    if profile.kill_worker_every_s is None:
        return await job
    rng = random.Random(profile.seed)
    killing = asyncio.create_task(kill_workers(profile.kill_worker_every_s, progress, rng, killed))
    try:
        return await job
    finally:
        killing.cancel()


def read_stored_calls(store: str, run_id: str, since: datetime) -> StoredCalls:
    """Sums over the calls of a run's episodes that were started at or after a time."""
    from muses_eval.storage.query.duckdb_connection import connect

    with connect(store, run_id) as connection:
        rows = connection.execute(_RECORDED, {"run": run_id, "since": since}).fetchall()
    by_model = {model: TokenUsage(calls, prompt or 0, completion or 0) for model, calls, _, prompt, completion in rows}
    return StoredCalls(by_model, tries=sum(int(tries) for _, _, tries, _, _ in rows))


def accounts_of(config: RunConfig) -> Mapping[Account, str]:
    """Returns account of the models of a run -> its name at the provider."""
    names: dict[Account, str] = {}
    for model in _called(config):
        account = _account(model)
        if account not in names:
            name = slug(account.identity[0].removeprefix("https://").removeprefix("http://"))
            names[account] = name if name not in names.values() else f"{name}-{len(names)}"
    return names


def declared_limits(config: RunConfig, accounts: Mapping[Account, str]) -> Mapping[str, HardLimits]:
    """Returns account name -> limits in the config, the smallest when the models of an account differ."""
    found: dict[str, HardLimits] = {}
    for model in _called(config):
        name = accounts[_account(model)]
        before = found.get(name, HardLimits())
        found[name] = HardLimits(
            requests_per_minute=_smaller(before.requests_per_minute, model.requests_per_minute),
            tokens_per_minute=_smaller(before.tokens_per_minute, model.tokens_per_minute),
            concurrency=_smaller(before.concurrency, model.max_concurrency),
        )
    return found


def redirect_models(config: RunConfig, provider: RehearsalProvider, accounts: Mapping[Account, str]) -> RunConfig:
    """Returns the config with the provider in place of every server, on this machine, without the response cache."""

    def here(model: ModelConfig) -> ModelConfig:
        if not _is_called(model):
            return model
        urls = _urls(provider.base_url(accounts[_account(model)]), len(model.base_url or ("",)))
        # Prices in the table depend on the address of the model, and a budget in USD needs them here as well.
        prices = model.spec().prices
        secrets = {"api_key_env": None, "headers": dict[str, str]()}
        changes = {"base_url": urls, "api_version": None, "prices": prices, **secrets, **_unserved(model)}
        return model.model_copy(update=changes)

    return config.model_copy(
        update={
            "models": tuple(here(model) for model in config.models),
            "users": None if config.users is None else here(config.users),
            "cache": "off",
            "execution": config.execution.model_copy(update={"ray_address": None}),
        }
    )


def _unserved(model: ModelConfig) -> Mapping[str, object]:
    """Returns the changes that turn a served model into one behind an endpoint, with a price of zero."""
    if model.engine is None and not model.model.startswith("vllm:"):
        return {}
    spec = model.spec()
    free = model.prices or FREE
    return {"model": f"{GENERIC.name}:{spec.model}", "name": spec.name, "engine": None, "prices": free}


def _urls(base_url: str, count: int) -> tuple[str, ...]:
    """Returns as many addresses of one account as the model has servers."""
    home, _, version = base_url.rpartition("/")
    return (base_url,) if count == 1 else tuple(f"{home}/{number}/{version}" for number in range(count))


def _called(config: RunConfig) -> list[ModelConfig]:
    """Returns the models that are called over the network, including the users' model."""
    models = (*config.models, config.users)
    return [model for model in models if model is not None and _is_called(model)]


def _is_called(model: ModelConfig) -> bool:
    return not model.model.startswith("scripted/")


def _account(model: ModelConfig) -> Account:
    """Returns the account whose limits a model uses; each server of this project is a separate account."""
    spec = model.spec()
    if spec.endpoint is None or not (spec.endpoint.base_urls or spec.endpoint.account):
        return Account((f"{spec.provider}-{spec.slug}",), None)
    return Account.of(spec.endpoint)


def _smaller(first: Number | None, second: Number | None) -> Number | None:
    return min((number for number in (first, second) if number is not None), default=None)
