"""Every error in a config is reported with its place and what was expected."""

import datetime as dt
from typing import Any

import pytest
import yaml
from hypothesis import given, strategies as st
from muses_eval.pipeline.config.dataset import DatasetSpec
from muses_eval.pipeline.config.endpoint import Endpoint, Limits
from muses_eval.pipeline.config.engine import EngineSpec
from muses_eval.pipeline.config.model_config import ModelConfig
from muses_eval.pipeline.config.model_spec import ModelSpec
from muses_eval.pipeline.config.parse import parse_config
from muses_eval.pipeline.config.prices import Prices
from muses_eval.pipeline.config.run import RunConfig
from muses_eval.pipeline.config.sampling import Sampling
from muses_eval.pipeline.errors import ConfigError
from muses_eval.pipeline.families.family import SCRIPTED_KINDS
from muses_eval.pipeline.protocols import PROTOCOLS
from muses_eval.pipeline.providers import GENERIC, PROVIDERS

from tests.strategies import JSON_VALUES

SOURCE = "night.yaml"
LEAST = {"models": ["scripted/oracle"]}
API = {"model": "openai:m", "base_url": "http://127.0.0.1:8000/v1"}
WHOLE = """
name: night
run_id: night-1
dataset: {size: 500, seed: 7}
models:
  - scripted/oracle
  - model: openai:org/model-7b
    name: ours
    base_url: http://10.0.0.5:8000/v1/
    api_key_env: OUR_KEY
    sampling: {temperature: 0, top_p: 1, max_tokens: 512, seed: 3}
    timeout_s: 30
    max_retries: 0
    max_concurrency: 8
families: [queue]
templates: [published, native]
users: {model: "openai:user", base_url: "http://10.0.0.6:8000/v1"}
epochs: 2
limit: 10
store: s3://bucket/prefix
coverage: 1
execution: {executor: ray, ray_address: auto, workers: 3, shards_per_worker: 2, shard_size: 16}
"""


NOT_A_BOOLEAN = "expected {}, got {}; YAML reads yes, no, on and off as booleans: put text in quotes"


def problems(raw: object) -> str:
    with pytest.raises(ConfigError) as error:
        parse_config(raw, SOURCE)
    text = str(error.value)
    assert all(line.startswith(f"{SOURCE}: ") for line in text.splitlines()), text
    assert error.value.exit_code == 2
    return text


def model(**fields: object) -> dict[str, Any]:
    return {"models": [{**API, **fields}]}


def test_a_whole_config() -> None:
    """A config with every key is read from YAML."""
    config = parse_config(yaml.safe_load(WHOLE), SOURCE)
    assert config.dataset == DatasetSpec(None, "500", 7)
    ours = config.models[1].spec()
    assert (ours.name, ours.provider, ours.model) == ("ours", "openai", "org/model-7b")
    assert ours.sampling == Sampling(0.0, 1.0, 512, 3)
    assert ours.endpoint == Endpoint(("http://10.0.0.5:8000/v1",), "OUR_KEY", 30.0, 0, Limits(concurrency=8))
    request = config.request(("queue", "access"))
    assert request.families == ("queue",)
    assert request.users.name == "openai:user"
    assert (request.epochs, request.limit, request.templates) == (2, 10, ("published", "native"))
    assert config.execution.workers == 3


def test_what_is_stored_with_a_run_reads_back_as_the_same_config() -> None:
    config = parse_config(yaml.safe_load(WHOLE), SOURCE)
    assert parse_config(config.model_dump(mode="json"), "manifest") == config


def test_the_least_config() -> None:
    config = parse_config(LEAST, SOURCE)
    assert config.request(("queue", "access")).families == ("queue", "access")
    assert config.dataset == DatasetSpec(None, "tiny", 0)
    assert config.users is None
    assert config == parse_config({**LEAST, "users": "scripted"}, SOURCE)


@pytest.mark.parametrize(
    ("raw", "place", "near"),
    [
        ({"model": [], **LEAST}, "model", "models"),
        ({**LEAST, "epoch": 2}, "epoch", "epochs"),
        ({**LEAST, "execution": {"worker": 2}}, "execution.worker", "workers"),
        ({**LEAST, "dataset": {"sead": 2}}, "dataset.sead", "seed"),
        (model(base_ulr="x"), "models[0].base_ulr", "base_url"),
        (model(sampling={"temprature": 1}), "models[0].sampling.temprature", "temperature"),
        ({"models": ["scripted/oracle", {**API, "nmae": "x"}]}, "models[1].nmae", "name"),
        ({**LEAST, "users": {**API, "modle": "x"}}, "users.modle", "model"),
        (
            {**LEAST, "users": {**API, "sampling": {"max_token": 1}}},
            "users.sampling.max_token",
            "max_tokens",
        ),
    ],
)
def test_an_unknown_key_is_refused_with_the_nearest_known_one(raw: object, place: str, near: str) -> None:
    assert f"{SOURCE}: {place}: unknown key; did you mean '{near}'?" in problems(raw)


@pytest.mark.parametrize(
    ("raw", "place", "hint"),
    [
        (model(max_tokens=512), "models[0].max_tokens", "write it under sampling, as sampling: {max_tokens: ...}"),
        ({**LEAST, "users": {**API, "seed": 1}}, "users.seed", "write it under sampling, as sampling: {seed: ...}"),
        (model(sampling={"base_url": "x"}), "models[0].sampling.base_url", "write it beside sampling, one level up"),
        ({**LEAST, "max_tokens": 9}, "max_tokens", "write it in an entry of models, as sampling: {max_tokens: ...}"),
        ({**LEAST, "base_url": "http://h"}, "base_url", "write it in an entry of models, as models: [{base_url: ...}]"),
        ({**LEAST, "workers": 2}, "workers", "write it under execution, as execution: {workers: ...}"),
    ],
)
def test_a_key_in_the_wrong_section_is_refused_with_the_right_one(raw: object, place: str, hint: str) -> None:
    assert f"{SOURCE}: {place}: unknown key here; {hint}" in problems(raw)


@pytest.mark.parametrize(
    ("base_url", "instead"),
    [
        ("http://h/v1/chat/completions", "write base_url: http://h/v1"),
        ("https://h/v1/messages/", "write base_url: https://h/v1"),
        (
            "https://n.openai.azure.com/openai/deployments/d/chat/completions?api-version=2024-10-21",
            'write base_url: https://n.openai.azure.com/openai/deployments/d, and api_version: "2024-10-21" beside it',
        ),
        ("https://h/d?api-version=2024-10-21", 'write base_url: https://h/d, and api_version: "2024-10-21" beside it'),
    ],
)
def test_the_address_of_a_request_is_refused_with_that_of_the_api(base_url: str, instead: str) -> None:
    assert problems(model(base_url=base_url)).endswith(instead)


def test_a_secret_in_the_query_of_an_address_is_not_shown() -> None:
    assert "s3cret" not in problems(model(base_url="https://h/v1?api-version=2024-10-21&key=s3cret"))


def test_a_key_like_no_other_is_refused_with_all_known_ones() -> None:
    text = problems(model(sampling={"zzz": 1}))
    known = "extra_body, max_tokens, reasoning_effort, seed, temperature, top_p"
    assert text == f"{SOURCE}: models[0].sampling.zzz: unknown key; known keys: {known}"


def test_all_problems_are_told_at_once() -> None:
    text = problems({"models": ["gpt"], "epochs": 0, "limit": "many", "famlies": []})
    assert len(text.splitlines()) == 4
    assert all(place in text for place in ("models[0]:", "epochs:", "limit:", "famlies:"))


@pytest.mark.parametrize(
    ("raw", "line"),
    [
        ({}, "models: missing"),
        ({"models": []}, "config: models is empty; add a model such as scripted/oracle"),
        (model(model=None), "models[0].model: expected a string (in quotes if YAML reads another type), got None"),
        ({"models": "scripted/oracle"}, "models: expected a list, got 'scripted/oracle'"),
        ({"models": [None]}, "models[0]: expected keys and values, got None"),
        ({**LEAST, "dataset": 500}, "dataset: expected keys and values, got 500"),
        ({**LEAST, "families": "queue"}, "families: expected a list, got 'queue'"),
        ({**LEAST, "epochs": 1.5}, "epochs: expected a whole number, got 1.5"),
        ({**LEAST, "epochs": "two"}, "epochs: expected a whole number, got 'two'"),
        ({**LEAST, "epochs": True}, "epochs: expected a number, got true"),
        (model(sampling={"temperature": False}), "models[0].sampling.temperature: expected a number, got false"),
        (model(sampling={"temperature": "hot"}), "models[0].sampling.temperature: expected a number, got 'hot'"),
        ({**LEAST, "coverage": float("nan")}, "coverage: expected a finite number, got nan"),
        (model(timeout_s=float("inf")), "models[0].timeout_s: expected a finite number, got inf"),
        ({**LEAST, "limit": 0}, "limit: Input should be greater than 0, got 0"),
        (
            {**LEAST, "execution": {"executor": "slurm"}},
            "execution.executor: Input should be 'inline' or 'ray', got 'slurm'",
        ),
        (
            {**LEAST, "templates": ["jinja"]},
            "templates[0]: no template 'jinja'; there are says, colon, xml, native, published",
        ),
        ({**LEAST, "protocol": "paper"}, "protocol: no protocol 'paper'; there are muses, released"),
        ({**LEAST, "protocol": None}, "protocol: Input should be 'muses' or 'released', got None"),
        (
            {**LEAST, "protocol": "released", "templates": ["published", "xml"]},
            (
                "config: protocol: released has one serialisation per row, so templates must be [published], got "
                "[published, xml]; leave templates out, or choose protocol: muses"
            ),
        ),
        ({**LEAST, "templates": ["xml", "xml"]}, "config: templates has duplicates: xml, xml"),
        (
            {**LEAST, "users": "scripted/oracle"},
            "users: users are `scripted` or a model; 'scripted/oracle' is a built-in agent",
        ),
        (
            {**LEAST, "users": {"model": "scripted/oracle"}},
            "users: users are `scripted` or a model; 'scripted/oracle' is a built-in agent",
        ),
        (
            {**LEAST, "run_id": dt.date(2026, 1, 1)},
            "run_id: expected a string (in quotes if YAML reads another type), got datetime.date(2026, 1, 1)",
        ),
        ({**LEAST, "coverage": "1e400"}, "coverage: expected a finite number, got '1e400'"),
        ({**LEAST, "epochs": 10**5000}, "epochs: a whole number of more than 64 bits; expected at most 19 digits"),
        ({**LEAST, "name": "a\0b"}, "name: the character U+0000 is not text; remove it"),
        ({**LEAST, "families": ["a\ud800"]}, "families[0]: the character U+D800 is not text; remove it"),
        ({**LEAST, "name": False}, f"name: {NOT_A_BOOLEAN.format('a string', 'false')}"),
        ({**LEAST, "cache": True}, f"cache: {NOT_A_BOOLEAN.format('a string', 'true')}"),
        ({**LEAST, "notify": False}, f"notify: {NOT_A_BOOLEAN.format('a list', 'false')}"),
        ({**LEAST, "dataset": False}, f"dataset: {NOT_A_BOOLEAN.format('keys and values', 'false')}"),
        ({**LEAST, "templates": [5]}, "templates[0]: no template 5; there are says, colon, xml, native, published"),
        ({1: 2, **LEAST}, "[1]: Keys should be strings, got 1"),
    ],
)  # fmt: skip
def test_a_wrong_value_is_named_with_what_was_expected(raw: object, line: str) -> None:
    assert problems(raw) == f"{SOURCE}: {line}"


@pytest.mark.parametrize("run_id", ["a/b", "", "a.", "-a", ".a", "a b", "a\n", "é", "a" * 151])
def test_a_run_id_is_a_path_segment(run_id: str) -> None:
    """A run id is refused when it could not be part of a storage key."""
    assert "run_id: expected letters, digits" in problems({**LEAST, "run_id": run_id})


def test_an_unknown_family_is_named_with_the_known_ones() -> None:
    from muses_eval.pipeline.families import FAMILIES

    assert problems({**LEAST, "families": ["quue"]}).endswith(
        f"families[0]: no family 'quue'; there are {', '.join(FAMILIES)}"
    )


@pytest.mark.parametrize("raw", [None, [], "text", 5, True])
def test_what_is_no_mapping_is_shown(raw: object) -> None:
    assert f"got {raw!r}" in problems(raw)


def test_values_without_end_are_refused() -> None:
    """A value that contains itself, or the same large list many times, ends at a limit."""
    own: list[object] = []
    own.append(own)
    shared: list[object] = ["x"]
    for _ in range(20):
        shared = [shared] * 10
    assert "nested more than 50 levels deep; does a value contain itself?" in problems({**LEAST, "dataset": own})
    assert "more than 20,000 values in all" in problems({**LEAST, "dataset": shared})


def test_many_problems_are_counted() -> None:
    lines = problems({"models": ["gpt"] * 1000}).splitlines()
    assert lines[20:] == [f"{SOURCE}: and 980 more problems"]


def test_off_is_a_value_of_the_cache() -> None:
    """YAML reads ``off`` without quotes as false."""
    assert parse_config({**LEAST, "cache": False}, SOURCE).cache == "off"


def test_messages_stay_short() -> None:
    assert len(problems({"models": ["x" * 100_000]})) < 1100
    assert len(problems({**LEAST, "epochs": "x" * 100_000})) < 300
    assert len(problems(["x" * 100_000])) < 300


_KEYS = st.sampled_from(sorted(RunConfig.model_fields))
_MODEL_KEYS = st.sampled_from(sorted(ModelConfig.model_fields))
_YAML_VALUES = JSON_VALUES | st.dates() | st.binary(max_size=4)


@given(
    st.dictionaries(_KEYS, _YAML_VALUES | st.dictionaries(_KEYS, _YAML_VALUES, max_size=2), max_size=4),
    st.dictionaries(_MODEL_KEYS, _YAML_VALUES, max_size=4),
)
def test_nothing_that_yaml_can_say_ends_in_a_traceback(raw: dict[str, Any], fields: dict[str, Any]) -> None:
    for config in (raw, {**raw, **model(**fields)}, {**LEAST, **raw}):
        try:
            parse_config(config, SOURCE)
        except ConfigError as error:
            assert str(error).startswith(SOURCE)  # noqa: PT017


# Models


@pytest.mark.parametrize("kind", SCRIPTED_KINDS)
def test_built_in_agents(kind: str) -> None:
    spec = parse_config({"models": [f"scripted/{kind}"]}, SOURCE).models[0].spec()
    assert (spec.name, spec.provider, spec.model, spec.endpoint) == (f"scripted/{kind}", "scripted", kind, None)


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"model": "scripted/genius"}, ("scripted/genius", "scripted/oracle", "scripted/random")),
        ({"model": "gpt-6-sol"}, ("'gpt-6-sol'", "openai:<model>")),
        ({"model": "openai:"}, ("'openai:'", "openai:<model>")),
        ({"model": "cohere:command"}, ("'cohere:command'", "openai:<model>")),
        ({"model": ""}, ("''", "openai:<model>")),
        ({"model": "scripted/oracle"}, ("needs no network", "base_url")),
        ({"base_url": "127.0.0.1:8000/v1"}, ("http://", "'127.0.0.1:8000/v1'")),
        ({"base_url": ""}, ("http://", "''")),
        ({"base_url": "http://"}, ("http://127.0.0.1:8000/v1", "'http://'")),
        ({"base_url": ["http://h/v1", "http://h:port/v1"]}, ("http://127.0.0.1:8000/v1", "'http://h:port/v1'")),
    ],
)
def test_a_model_that_is_none(fields: dict[str, object], words: tuple[str, ...]) -> None:
    text = problems(model(**fields))
    assert text.startswith(f"{SOURCE}: models[0]: ")
    assert all(word in text for word in words), text


def endpoint(**fields: object) -> Endpoint:
    found = parse_config({"models": [{"model": "openai:m", **fields}]}, SOURCE).models[0].spec().endpoint
    assert found is not None
    return found


def test_a_key_is_sent_to_a_foreign_address_only_when_it_is_named() -> None:
    """OpenAI's key goes to OpenAI; another server gets a key only by its own name."""
    assert endpoint() == Endpoint((str(GENERIC.base_url),), GENERIC.api_key_env)
    assert endpoint(base_url="https://openrouter.ai/api/v1").api_key_env is None
    assert endpoint(base_url="https://openrouter.ai/api/v1", api_key_env="ROUTER_KEY").api_key_env == "ROUTER_KEY"
    assert endpoint(api_key_env="TEAM_KEY") == Endpoint((str(GENERIC.base_url),), "TEAM_KEY")
    users = parse_config({**LEAST, "users": API}, SOURCE).users
    assert users is not None
    assert users.spec().endpoint == Endpoint((str(API["base_url"]),))


@pytest.mark.parametrize("url", ["http://h:1/v1", "https://h/v1/", "http://[::1]:8000/v1", "https://h/a/b/v1//"])
def test_addresses_lose_their_last_slash(url: str) -> None:
    assert endpoint(base_url=url).base_urls == (url.rstrip("/"),)


@pytest.mark.parametrize(
    "fields",
    [
        {"base_url": "http://user:SECRET@host/v1"},
        {"base_url": "http://host/v1?key=SECRET"},
        {"base_url": "http://host/v1#SECRET"},
        {"api_key_env": "sk-SECRET"},
        {"api_key_env": "SECRET.KEY"},
        {"api_key": "SECRET"},
        {"api_key_env": "sk-SECRET", "sampling": {"temprature": 1}, "max_retries": -1},
    ],
)
def test_a_secret_in_the_wrong_place_is_refused_and_not_shown(fields: dict[str, object]) -> None:
    """Secrets are refused in a config, since it is stored with its run and its errors appear in logs."""
    assert "SECRET" not in problems(model(**fields))


@pytest.mark.parametrize(
    ("first", "second"),
    [
        ("scripted/oracle", "scripted/oracle"),
        ({**API, "name": "a b"}, {**API, "name": "a-b"}),
        ({**API}, {**API, "base_url": "http://other/v1"}),
        ({**API, "name": "scripted oracle"}, "scripted/oracle"),
    ],
)
def test_two_models_are_told_apart_by_name_and_folder(first: object, second: object) -> None:
    assert "give one of them another `name`" in problems({"models": [first, second]})


# Datasets


@pytest.mark.parametrize(
    ("written", "spec"),
    [
        ("generated:tiny", DatasetSpec(None, "tiny", 0)),
        ("generated:paper", DatasetSpec(None, "paper", 0)),
        ("generated:500", DatasetSpec(None, "500", 0)),
        ("generated:500@7", DatasetSpec(None, "500", 7)),
        ("data/rows.jsonl", DatasetSpec("data/rows.jsonl", "tiny", 0)),
        ({"size": 500}, DatasetSpec(None, "500", 0)),
        ({"size": "paper", "seed": 3}, DatasetSpec(None, "paper", 3)),
        ({"path": "x"}, DatasetSpec("x", "tiny", 0)),
    ],
)
def test_datasets(written: object, spec: DatasetSpec) -> None:
    assert parse_config({**LEAST, "dataset": written}, SOURCE).dataset == spec


@pytest.mark.parametrize(
    "written",
    ["generated:", "generated:huge", "generated:0", "generated:-1", "generated:1.5", "generated:²", {"size": 0}],
)
def test_a_size_that_is_none(written: object) -> None:
    assert "expected the size tiny, paper or a positive number" in problems({**LEAST, "dataset": written})


def test_a_seed_that_is_none() -> None:
    assert (
        problems({**LEAST, "dataset": "generated:5@x"}) == f"{SOURCE}: dataset.seed: expected a whole number, got 'x'"
    )


def test_anthropic_has_an_address_and_a_key_of_its_own() -> None:
    provider = PROVIDERS["anthropic"]
    (found,) = parse_config({"models": ["anthropic:claude-x"]}, SOURCE).models
    assert found.spec() == ModelSpec(
        "claude-x", "anthropic", "claude-x", endpoint=Endpoint((str(provider.base_url),), provider.api_key_env)
    )


def test_one_model_may_have_several_servers_and_limits_that_it_shares() -> None:
    urls = ["http://one:8000/v1/", "http://two:8000/v1"]
    limits = {"requests_per_minute": 500, "tokens_per_minute": 9e4, "max_concurrency": 12}
    assert endpoint(base_url=urls, account="team", **limits) == Endpoint(
        ("http://one:8000/v1", "http://two:8000/v1"), limits=Limits(500, 90_000, 12), account="team"
    )


@pytest.mark.parametrize("limit", ["requests_per_minute", "tokens_per_minute", "max_concurrency"])
@pytest.mark.parametrize("value", [0, -1])
def test_a_limit_of_nothing_is_refused(limit: str, value: int) -> None:
    assert f"models[0].{limit}: Input should be greater than 0, got {value}" in problems(model(**{limit: value}))


def test_a_model_that_we_serve_has_an_engine() -> None:
    raw = {"model": "vllm:org/m", "engine": {"replicas": [1, 4], "tensor_parallel": 2, "args": {"b": 1, "a": "x"}}}
    (found,) = parse_config({"models": [raw]}, SOURCE).models
    assert found.spec() == ModelSpec(
        "org/m",
        "vllm",
        "org/m",
        endpoint=Endpoint((), account="vllm:org/m"),
        engine=EngineSpec((1, 4), 2, '{"a":"x","b":1}'),
    )
    (plain,) = parse_config({"models": ["vllm:org/m"]}, SOURCE).models
    assert plain.spec().engine == EngineSpec()


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"engine": {"replicas": 0}}, "expected a number of at least 1, or [minimum, maximum], got [0, 0]"),
        ({"engine": {"replicas": [3, 2]}}, "got [3, 2]"),
        ({"base_url": "http://h/v1"}, "the model of a running server is openai:m"),
        ({"model": "openai:m", "engine": {}}, "engine is for vllm:<model>"),
    ],
)
def test_an_engine_that_cannot_be(fields: dict[str, object], words: str) -> None:
    assert words in problems({"models": [{"model": "vllm:m", **fields}]})


def test_prices_and_further_options_reach_the_model() -> None:
    prices = {"input": 2.5, "output": 10}
    sampling = {"reasoning_effort": "low", "extra_body": {"z": 1, "a": [2]}}
    spec = parse_config(model(prices=prices, sampling=sampling), SOURCE).models[0].spec()
    assert spec.prices == Prices(2.5, 10.0, None)
    assert spec.sampling == Sampling(reasoning_effort="low", extra_body='{"a":[2],"z":1}')


def test_extra_body_cannot_replace_what_we_send() -> None:
    text = problems(model(sampling={"extra_body": {"seed": 1, "messages": []}}))
    assert "sampling.extra_body: messages, seed: sent by the project itself" in text


@pytest.mark.parametrize(
    ("budget", "words"),
    [({}, "names no cap"), ({"usd": 0}, "budget.usd"), ({"tokens": -1}, "budget.tokens"), ({"eur": 1}, "budget.eur")],
)
def test_a_budget_that_is_none(budget: dict[str, object], words: str) -> None:
    assert words in problems({**LEAST, "budget": budget})


def test_native_is_refused_where_roles_cannot_be_names() -> None:
    text = problems({"models": ["openai:a", "anthropic:claude-x"], "templates": ["says", "native"]})
    assert "anthropic:claude-x accepts only the roles user and assistant" in text
    parse_config({"models": ["anthropic:claude-x"], "templates": ["says"]}, SOURCE)
    parse_config({"models": ["openai:a"], "users": "anthropic:claude-x", "templates": ["native"]}, SOURCE)


@pytest.mark.parametrize("field", ["system", "max_completion_tokens", "reasoning_effort", "output_config", "stream"])
def test_extra_body_is_for_other_fields(field: str) -> None:
    assert "sent by the project itself" in problems(model(sampling={"extra_body": {field: 1}}))


def test_a_slash_at_the_end_of_an_address_changes_no_price() -> None:
    priced = [
        parse_config({"models": [{"model": "openai:gpt-6-sol", **fields}]}, SOURCE).models[0].spec().prices
        for fields in ({}, {"base_url": f"{GENERIC.base_url}/"}, {"base_url": "http://other/v1"})
    ]
    assert priced[0] == priced[1] is not None
    assert priced[2] is None


def test_the_released_protocol_has_a_temperature_of_1() -> None:
    """It is the default of agents and of simulated users; another temperature stays, and ``muses`` has none."""
    raw = {
        "models": ["scripted/oracle", "openai:a", {"model": "openai:b", "sampling": {"temperature": 0, "seed": 1}}],
        "users": "openai:user",
    }
    found = {name: parse_config({**raw, "protocol": name}, SOURCE).request(()) for name in PROTOCOLS}
    assert [model.sampling.temperature for model in found["muses"].models] == [None, None, 0.0]
    assert [model.sampling.temperature for model in found["released"].models] == [None, 1.0, 0.0]
    assert found["released"].models[2].sampling.seed == 1
    assert (found["muses"].users.name, found["released"].users.name) == ("openai:user", "openai:user temperature=1.0")
