"""Models behind gateways: further headers with secrets, Azure's form of requests, and no system role."""

import asyncio
from typing import cast

import pytest
from muses_eval.pipeline.config.endpoint import Endpoint
from muses_eval.pipeline.config.model_config import ModelConfig
from muses_eval.pipeline.config.model_spec import ModelSpec
from muses_eval.pipeline.episode.interfaces import Observation
from muses_eval.pipeline.episode.model_call import Reply
from muses_eval.pipeline.episode.scenario import Scenario
from muses_eval.pipeline.episode.serialization import ChatMessage
from muses_eval.pipeline.errors import ConfigError, ModelFailure
from muses_eval.pipeline.families.family import Family
from muses_eval.workers.providers.model import EpisodeRequest, Model
from muses_eval.workers.providers.open_model import open_model

from tests.provider import Provider, Response, completion, refused

REQUEST = EpisodeRequest(cast("Family[object]", None), cast("Scenario[object]", None), 5, seed_offset=0)
HELLO = (ChatMessage("system", "be brief"), ChatMessage("user", "hello"))
TOKEN = "gw-very-secret-0123456789"
ENVIRON = {"GATEWAY_KEY": f"Bearer {TOKEN}\n", "MODEL_KEY": "model-key-0123456789"}


def spec_for(base_url: str, **fields: object) -> ModelSpec:
    return ModelConfig.model_validate(
        {"model": "openai:m", "base_url": base_url, "api_key_env": "MODEL_KEY", "max_retries": 0, **fields}
    ).spec()


def reply_of(model: Model) -> Reply:
    async def job() -> Reply:
        try:
            await model.probe()
            return await model.agent(REQUEST).reply(Observation(1, (), HELLO))
        finally:
            await model.close()

    return asyncio.run(job())


def test_a_gateways_header_is_sent_and_its_value_stays_secret() -> None:
    """Its value, and the token in it, are in no reply, no record and no repr; the key of the model is sent as well."""
    with Provider(script=[completion(f"you sent Bearer {TOKEN}, that is {TOKEN}")]) as provider:
        spec = spec_for(provider.base_url, headers={"X-Gateway-Key": "GATEWAY_KEY"})
        model = open_model(spec, ENVIRON)
        reply = reply_of(model)
    for request in provider.requests:
        assert request.headers["X-Gateway-Key"] == f"Bearer {TOKEN}"
        assert request.authorization == f"Bearer {ENVIRON['MODEL_KEY']}"
    assert reply.text == "you sent [key], that is [key]"
    assert TOKEN not in repr((spec, model, reply))


@pytest.mark.parametrize("answer", [refused(401, f"bad token {TOKEN}"), Response(status=502, body=TOKEN.encode())])
def test_a_gateways_secret_is_in_no_failure(answer: Response) -> None:
    with Provider(script=[answer]) as provider, pytest.raises(ModelFailure) as caught:
        reply_of(open_model(spec_for(provider.base_url, headers={"X-Gateway-Key": "GATEWAY_KEY"}), ENVIRON))
    assert TOKEN not in repr(caught.value)
    assert "[key]" in str(caught.value)


def test_a_header_replaces_one_that_the_client_sends() -> None:
    with Provider() as provider:
        reply_of(open_model(spec_for(provider.base_url, headers={"authorization": "GATEWAY_KEY"}), ENVIRON))
    assert [request.headers.getall("Authorization") for request in provider.completions] == [[f"Bearer {TOKEN}"]]  # type: ignore[attr-defined]


@pytest.mark.parametrize("value", [None, " ", "a\nX-Other: secret-1"])
def test_a_header_without_a_value_is_named(value: str | None) -> None:
    """The message names variable and header, and never the value."""
    environ = {"MODEL_KEY": "k"} if value is None else {"MODEL_KEY": "k", "GATEWAY_KEY": value}
    spec = spec_for("http://127.0.0.1:1/v1", headers={"X-Gateway-Key": "GATEWAY_KEY"})
    with pytest.raises(ConfigError, match=r"variable GATEWAY_KEY .*the header X-Gateway-Key") as caught:
        open_model(spec, environ)
    assert "secret-1" not in str(caught.value)


@pytest.mark.parametrize(
    ("headers", "words"),
    [
        ({"X-Key": "sk-SECRET"}, "X-Key must be the name of an environment variable"),
        ({"X-Key": 5}, "expected names of headers"),
        ("X-Key: SECRET", "expected names of headers"),
        ({"X-Key: SECRET": "A"}, "no name of an HTTP header"),
        ({"Content-Type": "A"}, "Content-Type is set by the HTTP client itself"),
        ({"X-Key": "A", "x-key": "B"}, "comes twice"),
    ],
)
def test_headers_of_a_config_hold_names_only(headers: object, words: str) -> None:
    with pytest.raises(ValueError, match=words) as caught:
        ModelConfig.model_validate({"model": "openai:m", "headers": headers})
    assert "SECRET" not in str(caught.value.errors()[0]["ctx"]["error"])  # type: ignore[attr-defined]


def test_azure() -> None:
    """Every request has the version in its query and the key in Azure's header."""
    with Provider(models=refused(404, "Resource not found")) as provider:
        spec = spec_for(provider.base_url, api_version="2024-10-21")
        assert reply_of(open_model(spec, ENVIRON)).text == "hello"
    assert [(request.method, request.path) for request in provider.requests] == [
        ("GET", "/v1/models"),
        ("POST", "/v1/chat/completions"),
    ]
    for request in provider.requests:
        assert dict(request.query) == {"api-version": "2024-10-21"}
        assert request.headers["api-key"] == ENVIRON["MODEL_KEY"]
        assert request.authorization is None


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"model": "anthropic:m", "base_url": "http://h/v1", "api_version": "1"}, "deployments in Azure"),
        ({"model": "openai:m", "api_version": "1"}, "deployments in Azure"),
        ({"model": "openai:m", "base_url": "http://h/v1", "api_version": "1&key=2"}, "should match pattern"),
        ({"model": "vllm:m", "stream": True}, "leave out base_url.*stream"),
        ({"model": "scripted/oracle", "headers": {"X-Key": "A"}}, "leave out base_url.*headers"),
        ({"model": "openai:m", "system_role": "drop"}, "'send' or 'fold'"),
    ],
)
def test_options_of_models_where_they_mean_nothing(fields: dict[str, object], words: str) -> None:
    with pytest.raises(ValueError, match=words):
        ModelConfig.model_validate(fields)


def test_a_folded_system_message_reaches_the_server_as_the_users() -> None:
    with Provider() as provider:
        reply_of(open_model(spec_for(provider.base_url, system_role="fold"), ENVIRON))
    assert provider.completions[0].document["messages"] == [{"role": "user", "content": "be brief\n\nhello"}]


def test_only_what_changes_a_prompt_is_part_of_the_identity() -> None:
    plain = ModelSpec("m", "openai", "m", endpoint=Endpoint(("http://h/v1",)))
    config = {"model": "openai:m", "base_url": "http://h/v1", "headers": {"X-Key": "A"}, "stream": True}
    reached_otherwise = ModelConfig.model_validate({**config, "api_version": "1", "system_role": "send"}).spec()
    assert reached_otherwise.identity == plain.identity
    assert spec_for("http://h/v1", system_role="fold").identity == (*plain.identity, ("system_role", "fold"))
