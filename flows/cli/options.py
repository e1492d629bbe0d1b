"""Options that several commands share, and how they override a configuration file."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter
from muses_eval.flows.job.config_file import parse_one_run, read_yaml
from muses_eval.pipeline.config.run import RunConfig
from muses_eval.pipeline.errors import ConfigError

Config = Annotated[Path | None, Parameter(help="YAML file; optional with --model.")]
Store = Annotated[str | None, Parameter(help="Folder or s3://bucket/prefix. Default: MUSES_STORE or .muses/store.")]
RUN_HELP = "A run: its id, the beginning of its id, or its name; `muses store ls` lists them."
Run = Annotated[str, Parameter(help=RUN_HELP)]
OfRun = Annotated[str | None, Parameter(help=f"{RUN_HELP} Default: the newest run with scores.")]
Quiet = Annotated[bool, Parameter(help="Show no progress; warnings and results are still printed.")]
Json = Annotated[bool, Parameter(name="--json", help="Print one JSON object instead of tables.")]


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """Options that replace or override keys of the configuration file."""

    model: tuple[str, ...] = ()
    """Model, such as scripted/oracle or openai:NAME; may be repeated. Replaces the models of the file."""
    base_url: str | None = None
    """Endpoint of the models given with --model, such as http://127.0.0.1:8000/v1."""
    api_key_env: str | None = None
    """Environment variable with the API key of that endpoint."""
    temperature: float | None = None
    """Sampling temperature of the models given with --model."""
    max_tokens: int | None = None
    """Maximum completion tokens of the models given with --model."""
    agent: tuple[str, ...] = ()
    """Agent, such as chat, told or folder/file.py:Class; may be repeated. Replaces the agents of the file."""
    family: tuple[str, ...] = ()
    """Family; may be repeated. Default: all families of the dataset."""
    dataset: str | None = None
    """JSONL file or folder, or generated:tiny, generated:paper, generated:N@SEED."""
    users: str | None = None
    """Simulated users: scripted, or a model such as openai:NAME."""
    users_base_url: str | None = None
    """Endpoint of the users' model."""
    protocol: str | None = None
    """Protocol of the episodes: muses, or released for the prompts and turns of the released evaluator."""
    template: tuple[str, ...] = ()
    """Message template for several users: published, says, colon, xml, native; may be repeated."""
    epochs: int | None = None
    """Number of times that every scenario is played."""
    limit: int | None = None
    """Maximum number of scenarios per family; the sample is the same for every model and machine."""
    scenario: tuple[str, ...] = ()
    """Id of a scenario; may be repeated. Plays these alone, as a run of its own."""
    executor: Literal["inline", "ray"] | None = None
    """Executor that plays the episodes."""
    ray_address: str | None = None
    """Address of a running Ray cluster; implies --executor ray."""
    workers: int | None = None
    """Number of Ray workers. Default: one per CPU."""
    shard_size: int | None = None
    """Number of episodes per shard."""
    store: str | None = None
    """Folder or s3://bucket/prefix. Default: the store of the file, MUSES_STORE or .muses/store."""
    name: str | None = None
    """Name of the run."""
    run_id: str | None = None
    """Id of the run. Default: derived from the config, so that the same config resumes the run."""
    coverage: float | None = None
    """Share of planned episodes that must be scored for a model to be ranked."""
    max_unusable: float | None = None
    """Share of unusable replies, in any family, above which a model is not ranked."""
    budget_usd: float | None = None
    """Maximum cost of the run in USD, all starts together."""
    budget_tokens: int | None = None
    """Maximum number of prompt and completion tokens of the run, all starts together."""
    cache: Literal["off", "local", "store"] | None = None
    """Cache of responses, which identical calls reuse."""


def load_config(path: Path | None, options: RunOptions, default_store: str) -> RunConfig:
    """Reads the configuration of one run, with the options applied.

    Raises:
        ConfigError: the file or an option is invalid, or the configuration is a grid.
    """
    return parse_one_run(*load_raw(path, options, default_store))


def load_raw(path: Path | None, options: RunOptions, default_store: str) -> tuple[dict[str, Any], str]:
    """Returns the file as it was written, with the options applied, and its name in messages.

    Raises:
        ConfigError: the file or an option is invalid.
    """
    raw = dict(read_yaml(path)) if path is not None else {}
    if path is None and not options.model:
        raise ConfigError("nothing to run: name a config file, or at least one --model (try --model scripted/oracle)")
    raw |= _given(name=options.name, run_id=options.run_id, dataset=options.dataset, epochs=options.epochs)
    raw |= _given(limit=options.limit, store=options.store)
    raw |= _given(coverage=options.coverage, max_unusable=options.max_unusable)
    raw |= _given(families=options.family or None, templates=options.template or None, models=_models(options))
    raw |= _given(agents=options.agent or None, scenarios=options.scenario or None)
    raw |= _given(users=_users(options), cache=options.cache, protocol=options.protocol)
    if budget := _given(usd=options.budget_usd, tokens=options.budget_tokens):
        raw["budget"] = {**_mapping(raw.get("budget")), **budget}
    raw.setdefault("store", default_store)
    executor = options.executor or ("ray" if options.ray_address else None)
    execution = _given(executor=executor, ray_address=options.ray_address, workers=options.workers)
    execution |= _given(shard_size=options.shard_size)
    if execution:
        raw["execution"] = {**_mapping(raw.get("execution", {})), **execution}
    return raw, str(path) if path is not None else "command line"


def _models(options: RunOptions) -> list[dict[str, Any]] | None:
    if not options.model:
        if options.base_url or options.api_key_env or options.temperature is not None or options.max_tokens:
            raise ConfigError("--base-url, --api-key-env, --temperature and --max-tokens need --model")
        return None
    sampling = _given(temperature=options.temperature, max_tokens=options.max_tokens)
    endpoint = _given(base_url=options.base_url, api_key_env=options.api_key_env)
    return [
        {"model": model} if model.startswith("scripted/") else {"model": model, "sampling": sampling, **endpoint}
        for model in options.model
    ]


def _users(options: RunOptions) -> object:
    if options.users_base_url is None:
        return options.users
    if options.users is None:
        raise ConfigError("--users-base-url needs the users' model: name it with --users openai:NAME")
    return {"model": options.users, "base_url": options.users_base_url}


def _given(**values: object) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}
