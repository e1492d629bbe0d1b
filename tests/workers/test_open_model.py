"""The client opened from a config: its kind, its addresses, its proxy, and the errors in a config."""

import asyncio
from typing import cast

import pytest
from muses_eval.pipeline.config.endpoint import Endpoint
from muses_eval.pipeline.config.engine import EngineSpec
from muses_eval.pipeline.config.model_spec import ModelSpec
from muses_eval.pipeline.episode.interfaces import Observation
from muses_eval.pipeline.episode.model_call import Reply
from muses_eval.pipeline.episode.scenario import Scenario
from muses_eval.pipeline.episode.serialization import ChatMessage
from muses_eval.pipeline.errors import ConfigError
from muses_eval.pipeline.families.family import Family
from muses_eval.pipeline.proxy import Proxy, proxy_for
from muses_eval.workers.providers.chat_api import ChatApiModel
from muses_eval.workers.providers.model import EpisodeRequest
from muses_eval.workers.providers.open_model import open_model
from muses_eval.workers.providers.scripted import ScriptedModel

from tests.provider import Provider

REQUEST = EpisodeRequest(cast("Family[object]", None), cast("Scenario[object]", None), 5, seed_offset=0)
HELLO = Observation(1, (), (ChatMessage("user", "hello"),))


def spec_at(*base_urls: str, provider: str = "openai") -> ModelSpec:
    return ModelSpec("tested", provider, "m", endpoint=Endpoint(base_urls, max_retries=0))


def asked(spec: ModelSpec, environ: dict[str, str]) -> Reply:
    async def job() -> Reply:
        model = open_model(spec, environ)
        try:
            return await model.agent(REQUEST).reply(HELLO)
        finally:
            await model.close()

    return asyncio.run(job())


def test_each_provider_has_its_client() -> None:
    assert isinstance(open_model(ModelSpec("x", "scripted", "oracle"), {}), ScriptedModel)
    assert isinstance(open_model(spec_at("http://h/v1"), {}), ChatApiModel)
    assert isinstance(open_model(spec_at("http://h/v1", provider="anthropic"), {}), ChatApiModel)


def test_servers_of_ours_need_ray() -> None:
    spec = ModelSpec("tested", "vllm", "m", endpoint=Endpoint(()), engine=EngineSpec())
    with pytest.raises(ConfigError, match="executor: ray"):
        open_model(spec, {})


@pytest.mark.parametrize(
    "urls", [(), ("http://h/v1", ""), ("http://h/v1", "h/v1"), ("http://h/v1", "http://h:port/v1"), ("http://",)]
)
def test_each_of_several_addresses_has_to_be_one(urls: tuple[str, ...]) -> None:
    with pytest.raises(ConfigError, match="base_url"):
        open_model(spec_at(*urls), {})


def test_no_password_hides_among_several_addresses() -> None:
    with pytest.raises(ConfigError, match="api_key_env") as caught:
        open_model(spec_at("http://h/v1", "http://user:secret@h/v1"), {})
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize(
    ("url", "environ", "proxy"),
    [
        ("https://api.example/v1", {}, None),
        ("https://api.example/v1", {"HTTPS_PROXY": "http://p:3128"}, "http://p:3128"),
        ("https://api.example/v1", {"https_proxy": "http://p:3128", "HTTPS_PROXY": "http://q:1"}, "http://p:3128"),
        ("https://api.example/v1", {"HTTPS_PROXY": "p:3128"}, "http://p:3128"),
        ("https://api.example/v1", {"HTTP_PROXY": "http://p:3128"}, None),
        ("http://api.example/v1", {"HTTP_PROXY": "http://[::2]:3128/"}, "http://[::2]:3128"),
        ("https://api.example/v1", {"HTTPS_PROXY": "http://p:3128", "NO_PROXY": "x, api.example"}, None),
        ("https://api.example/v1", {"HTTPS_PROXY": "http://p:3128", "NO_PROXY": ".example"}, None),
        ("https://api.example/v1", {"HTTPS_PROXY": "http://p:3128", "NO_PROXY": "*.example:443"}, None),
        ("https://api.example/v1", {"HTTPS_PROXY": "http://p:3128", "no_proxy": "*"}, None),
        ("https://api.example/v1", {"HTTPS_PROXY": "http://p:3128", "NO_PROXY": "i.example,"}, "http://p:3128"),
        ("https://10.2.3.4/v1", {"HTTPS_PROXY": "http://p:3128", "NO_PROXY": "10.0.0.0/8"}, None),
        ("https://[2001:db8::1]/v1", {"HTTPS_PROXY": "http://p:3128", "NO_PROXY": "a, 2001:db8::1"}, None),
        ("https://api.example/v1", {"ALL_PROXY": "http://p:3128"}, "http://p:3128"),
        ("https://api.example/v1", {"all_proxy": "socks5://q:1080", "HTTPS_PROXY": "http://p:3128"}, "http://p:3128"),
        ("http://127.0.0.1:8000/v1", {"HTTP_PROXY": "http://p:3128"}, None),
        ("http://0.0.0.0:8000/v1", {"HTTP_PROXY": "http://p:3128"}, None),
        ("http://vllm.localhost:8000/v1", {"ALL_PROXY": "http://p:3128"}, None),
        ("http://localhost:8000/v1", {"HTTP_PROXY": "http://p:3128"}, None),
        ("http://[::1]:8000/v1", {"HTTP_PROXY": "http://p:3128"}, None),
    ],
)
def test_the_proxy_that_the_environment_names(url: str, environ: dict[str, str], proxy: str | None) -> None:
    found = proxy_for(url, environ)
    assert (None if found is None else found.url) == proxy


def test_a_proxy_may_want_a_password() -> None:
    """A proxy's password goes into a header, and never into an address that a message shows."""
    found = proxy_for("https://api.example/v1", {"HTTPS_PROXY": "http://user:p%40ss@p:3128"})
    assert found == Proxy("http://p:3128", "user", "p@ss")
    assert found.authorization == "Basic dXNlcjpwQHNz"
    assert "p@ss" not in repr(found)


@pytest.mark.parametrize("proxy", ["socks5://secret@p:1080", "http://", "http://secret@p:port", "http://["])
def test_a_proxy_that_is_none_is_refused_unseen(proxy: str) -> None:
    """An invalid proxy is refused before any episode is played; the message names the variable only."""
    with pytest.raises(ConfigError, match="HTTPS_PROXY") as caught:
        open_model(spec_at("https://api.example/v1"), {"HTTPS_PROXY": proxy})
    assert "secret" not in str(caught.value)


def test_a_socks_proxy_serves_no_model() -> None:
    with pytest.raises(ConfigError, match=r"ALL_PROXY in the environment is a SOCKS proxy.*set HTTPS_PROXY"):
        open_model(spec_at("https://api.example/v1"), {"ALL_PROXY": "socks5h://p:1080"})


def test_a_call_goes_through_the_proxy() -> None:
    """The proxy resolves the host, so the client need not be able to."""
    with Provider() as provider:
        environ = {"HTTP_PROXY": provider.base_url.removesuffix("/v1").replace("http://", "http://user:pass@")}
        assert asked(spec_at("http://provider.invalid/v1"), environ).text == "hello"
    (received,) = provider.completions
    assert received.headers["Host"] == "provider.invalid"
    assert received.headers["Proxy-Authorization"] == "Basic dXNlcjpwYXNz"


def test_this_machine_is_reached_without_the_proxy() -> None:
    with Provider() as provider:
        assert asked(spec_at(provider.base_url), {"HTTP_PROXY": "http://127.0.0.1:1"}).text == "hello"
