"""Options that commands share, and how they complete a configuration file."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any, Literal

from cyclopts import Parameter
from muses_eval.pipeline.config.grid import has_grid
from muses_eval.pipeline.config.parse import parse_config
from muses_eval.pipeline.config.run import RunConfig
from muses_eval.pipeline.errors import ConfigError

Config = Annotated[Path | None, Parameter(help="YAML file; optional when --model names what to play.")]
Store = Annotated[str | None, Parameter(help="Folder or s3://bucket/prefix; default: MUSES_STORE or .muses/store.")]
Json = Annotated[bool, Parameter(name="--json", help="Print one JSON object instead of tables.")]


@Parameter(name="*")
@dataclass(frozen=True, slots=True, kw_only=True)
class RunOptions:
    """What may be said on the command line instead of, or on top of, the file."""

    model: tuple[str, ...] = ()
    """A model, as scripted/oracle or openai:NAME; may be repeated. Replaces the file's models."""
    base_url: str | None = None
    """Endpoint of the models given with --model, as http://127.0.0.1:8000/v1."""
    api_key_env: str | None = None
    """Environment variable that holds the key of that endpoint."""
    temperature: float | None = None
    """Sampling of the models given with --model."""
    max_tokens: int | None = None
    """Sampling of the models given with --model."""
    family: tuple[str, ...] = ()
    """A family; may be repeated. Default: all that the dataset has."""
    dataset: str | None = None
    """A JSONL file or a folder of them, or generated:tiny, generated:paper, generated:N@SEED."""
    users: str | None = None
    """Simulated users: scripted, or a model as openai:NAME."""
    users_base_url: str | None = None
    """Endpoint of the users' model."""
    template: tuple[str, ...] = ()
    """How users reach the model: published, says, colon, xml, native; may be repeated."""
    epochs: int | None = None
    """How often every scenario is played."""
    limit: int | None = None
    """So many scenarios a family: a sample, the same for every model and on every machine."""
    executor: Literal["inline", "ray"] | None = None
    """Where episodes are played."""
    ray_address: str | None = None
    """A running Ray cluster; implies --executor ray."""
    workers: int | None = None
    """Ray workers; default: one a CPU."""
    shard_size: int | None = None
    """Episodes a shard."""
    store: str | None = None
    """Folder or s3://bucket/prefix; default: the file's, MUSES_STORE or .muses/store."""
    name: str | None = None
    """Name of the run."""
    run_id: str | None = None
    """Identity of the run; default: derived from the config, so that the same config resumes."""
    coverage: float | None = None
    """Share of planned episodes that must be scored for a model to be ranked."""
    budget_usd: float | None = None
    """What the run may cost at the most, all its starts together."""
    budget_tokens: int | None = None
    """What it may use at the most, prompt and completion together."""
    cache: Literal["off", "local", "store"] | None = None
    """Where answers are kept, to be used again by a call that is the same in every respect."""


def load_config(path: Path | None, options: RunOptions, default_store: str) -> RunConfig:
    """The file's configuration of one run, completed by the options.  Raises ConfigError."""
    raw, source = load_raw(path, options, default_store)
    if has_grid(raw):
        raise ConfigError(
            f"{source}: it has a grid, and this command is for one run; `muses flow sweep` plays all runs of a grid, "
            "`muses plan` shows them"
        )
    return parse_config(raw, source)


def load_raw(path: Path | None, options: RunOptions, default_store: str) -> tuple[dict[str, Any], str]:
    """The file as it was written, completed by the options, and what messages call it.  Raises ConfigError."""
    raw = dict(read_yaml(path)) if path is not None else {}
    if path is None and not options.model:
        raise ConfigError("nothing to run: name a config file, or at least one --model (try --model scripted/oracle)")
    raw |= _given(name=options.name, run_id=options.run_id, dataset=options.dataset, epochs=options.epochs)
    raw |= _given(limit=options.limit, store=options.store, coverage=options.coverage)
    raw |= _given(families=options.family or None, templates=options.template or None, models=_models(options))
    raw |= _given(users=_users(options), cache=options.cache)
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
            raise ConfigError("--base-url, --api-key-env, --temperature and --max-tokens describe a --model: name one")
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
        raise ConfigError("--users-base-url is the endpoint of the users' model: name that with --users openai:NAME")
    return {"model": options.users, "base_url": options.users_base_url}


def _given(**values: object) -> dict[str, Any]:
    return {key: value for key, value in values.items() if value is not None}


def _mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, Mapping) else {}


def read_yaml(path: Path) -> Mapping[str, Any]:
    """A configuration as it was written.  Raises ConfigError."""
    import yaml

    try:
        text = path.read_text(encoding="utf-8")
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror}); name a YAML file, or give --model") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not UTF-8 (byte {error.start + 1}); save the file as UTF-8") from error
    try:
        raw = yaml.safe_load(text)
    except yaml.YAMLError as error:
        problem = " ".join(str(error).split()).replace('in "<unicode string>", ', "at ")
        raise ConfigError(f"{path}: not YAML: {problem}") from error
    if not isinstance(raw, Mapping):
        raise ConfigError(f"{path}: expected keys and values such as `models: [scripted/oracle]`, got {raw!r}")
    return raw
