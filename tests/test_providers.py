"""A provider is declared in one place, and the documented steps to add one work."""

import asyncio
import re
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import cast

import pytest
from muses_eval.flows.job.evaluate import RunObserver
from muses_eval.flows.job.rehearsal import rehearse
from muses_eval.flows.settings import read_settings
from muses_eval.pipeline.config.model_config import ModelConfig
from muses_eval.pipeline.config.model_spec import ModelSpec
from muses_eval.pipeline.config.parse import parse_config
from muses_eval.pipeline.episode.interfaces import Observation
from muses_eval.pipeline.episode.model_call import Reply
from muses_eval.pipeline.episode.scenario import Scenario
from muses_eval.pipeline.episode.serialization import ChatMessage
from muses_eval.pipeline.errors import ConfigError
from muses_eval.pipeline.families.family import Family
from muses_eval.pipeline.plugins import PluginError
from muses_eval.pipeline.providers import BUILT_IN_PROVIDERS, PROVIDERS, Provider, checked_provider
from muses_eval.pipeline.text.credential_masking import mask_credentials
from muses_eval.workers.providers.model import EpisodeRequest
from muses_eval.workers.providers.open_model import make_adapter, open_model
from muses_eval.workers.providers.openai import OpenAIAdapter
from muses_eval.workers.rehearsal.fault_profile import FaultProfile

from tests.installed_package import install, run_with
from tests.provider import Provider as Server

ROOT = Path(__file__).parent.parent
PACKAGES = ("pipeline", "storage", "workers", "flows", "dashboards")
ADD_A_PROVIDER = (ROOT / "docs" / "providers.md").read_text(encoding="utf-8").partition("## Add a provider")[2]
PYTHON = re.findall(r"^```python\n(.*?)^```", ADD_A_PROVIDER, re.DOTALL | re.MULTILINE)
(PYPROJECT,) = re.findall(r"^```toml\n(.*?)^```", ADD_A_PROVIDER, re.DOTALL | re.MULTILINE)
ASK = """
import os
from muses_eval.pipeline.config.model_config import ModelConfig
from tests.test_providers import asked

print(asked(ModelConfig.model_validate("example:m").spec(), os.environ).text)
"""
"""Calls a model of the page's provider once, and prints its reply."""
REQUEST = EpisodeRequest(cast("Family[object]", None), cast("Scenario[object]", None), 5, seed_offset=0)
HELLO = Observation(1, (), (ChatMessage("user", "hello"),))

WIRING = {
    "pipeline/providers.py",  # the table
    "workers/providers/open_model.py",  # maps a wire format to its adapter
    "workers/rehearsal/provider.py",  # the formats of the rehearsal's server
}
WORDINGS = {"workers/providers/error_class.py", "workers/providers/listed_models.py"}
"""Wordings and documents of servers, with the names of these servers."""
MAY_NAME = {
    "anthropic": {
        *WIRING,
        "workers/providers/anthropic.py",
        "workers/providers/anthropic_messages.py",
        "workers/rehearsal/anthropic_format.py",
        *WORDINGS,
    },
    # "openai" is also the name of a wire format that others are compared with, and the example in help texts.
    "openai": {
        *WIRING,
        *WORDINGS,
        "workers/providers/finish_reasons.py",
        "workers/providers/trial_call.py",  # a path of some gateways
        "workers/providers/openai.py",
        "workers/providers/azure.py",
        "workers/providers/adapter.py",
        "workers/providers/anthropic.py",
        "workers/providers/anthropic_messages.py",
        "workers/providers/chat_request.py",
        "workers/rehearsal/openai_format.py",
        # Agents write messages and tools in this format, and the bridge speaks it.
        "pipeline/agents/interface.py",
        "workers/agents/bridge.py",
        "workers/agents/chat_completions.py",
        "workers/agents/http_messages.py",
        "workers/agents/loopback.py",
        "workers/vllm/server_command.py",  # the name of a module of vLLM
        "flows/cli/options.py",
        "pipeline/config/grid.py",
    },
}


@pytest.mark.parametrize(
    "name", [name for name, provider in BUILT_IN_PROVIDERS.items() if provider.base_url is not None]
)
def test_a_provider_is_named_in_few_files(name: str) -> None:
    """Only the provider's row, its wire format and the wiring between them name it; other code reads the table."""
    naming = {
        path.relative_to(ROOT).as_posix()
        for package in PACKAGES
        for path in (ROOT / package).rglob("*.py")
        if name in path.read_text(encoding="utf-8").lower()
    }
    assert naming - MAY_NAME.get(name, {"pipeline/providers.py"}) == set()


def documented_row() -> Provider:
    """Returns the provider of the page's example."""
    found: dict[str, Provider] = {}
    exec(next(code for code in PYTHON if "PROVIDER =" in code), found)
    return found["PROVIDER"]


@pytest.fixture
def added(monkeypatch: pytest.MonkeyPatch) -> Provider:
    """Adds the page's provider to the table, as if its row stood there."""
    row = documented_row()
    monkeypatch.setitem(cast("dict[str, Provider]", PROVIDERS), row.name, row)
    return row


def test_the_documented_row_is_all_that_a_config_needs(added: Provider) -> None:
    spec = ModelConfig.model_validate({"model": f"{added.name}:some/model"}).spec()
    assert (spec.provider, spec.model) == (added.name, "some/model")
    assert spec.endpoint is not None
    assert (spec.endpoint.base_urls, spec.endpoint.api_key_env) == ((added.base_url,), added.api_key_env)


def test_without_its_row_a_provider_is_unknown() -> None:
    name = documented_row().name
    with pytest.raises(ValueError, match=r"expected scripted/<kind>, openai:<model>, .* or vllm:<model>, got"):
        ModelConfig.model_validate({"model": f"{name}:m"})
    with pytest.raises(ConfigError, match=f"no provider '{name}'; expected scripted, openai, "):
        open_model(ModelSpec("m", name, "m"), {})


def test_the_documented_row_is_all_that_a_client_needs(added: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    """A client of the new provider uses its address, here one on loopback, and its key."""
    assert added.api_key_env is not None
    with Server() as server:
        here = replace(added, base_url=server.base_url)
        monkeypatch.setitem(cast("dict[str, Provider]", PROVIDERS), added.name, here)
        spec = ModelConfig.model_validate({"model": f"{added.name}:some/model", "max_retries": 0}).spec()
        assert asked(spec, {added.api_key_env: "its-own-key"}).text == "hello"
    (received,) = server.completions
    assert received.authorization == "Bearer its-own-key"
    assert received.document["model"] == "some/model"


def test_an_installed_package_adds_a_provider_with_its_adapter(tmp_path: Path) -> None:
    """Its models are called at its address, with its key in the form of its adapter."""
    provider, adapter = PYTHON
    provider = provider.replace('wire_format="openai"', 'wire_format="muses_example.adapter:ExampleAdapter"')
    with Server() as server:
        modules = {
            "muses_example/__init__.py": "",
            "muses_example/provider.py": provider.replace("https://api.example.com/v1", server.base_url),
            "muses_example/adapter.py": adapter,
        }
        site = install(tmp_path / "site", PYPROJECT, modules)
        done = run_with(site, tmp_path, ASK, EXAMPLE_API_KEY="its-own-key")
    assert done.stdout == "hello\n", done.stderr
    assert {request.headers["X-Example-Token"] for request in server.completions} == {"its-own-key"}


def test_a_format_that_the_rehearsal_lacks_is_refused(added: Provider, monkeypatch: pytest.MonkeyPatch) -> None:
    foreign = replace(added, wire_format="muses_example.adapter:ExampleAdapter")
    monkeypatch.setitem(cast("dict[str, Provider]", PROVIDERS), added.name, foreign)
    config = parse_config({"models": ["example:m"], "families": ["queue"]}, "test")
    with pytest.raises(ConfigError, match="example:m cannot be rehearsed: its provider has the format muses_example"):
        asyncio.run(rehearse(config, FaultProfile(), read_settings({}), RunObserver()))


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (OpenAIAdapter, "expected a Provider"),
        (Provider(name="other", wire_format="openai"), "has the name 'other'; the entry point needs the same name"),
        (Provider(name="example", wire_format="openapi"), "wire_format is 'openapi'; expected openai, anthropic, or"),
        (Provider(name="example", wire_format="openai", key_prefix="."), "key_prefix needs"),
    ],
)
def test_an_object_that_is_no_provider_is_refused(value: object, words: str) -> None:
    with pytest.raises(PluginError, match=words):
        checked_provider("example", value)


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("muses_nowhere:Adapter", "muses_nowhere:Adapter cannot be loaded: ModuleNotFoundError"),
        ("json:Adapter", "json:Adapter cannot be loaded: AttributeError"),
        ("json:JSONDecoder", "json:JSONDecoder lacks path, models_path, .*, learn of muses_eval.workers"),
    ],
)
def test_a_class_that_is_no_adapter_is_refused(path: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        make_adapter(path)


def test_the_documented_steps_name_what_there_is() -> None:
    """The files, names and fields that the page mentions exist in the code."""
    for path in re.findall(r"`([\w/]+/\w+\.(?:py|toml))`", ADD_A_PROVIDER):
        assert path == "muses_example/provider.py" or (ROOT / path).exists(), path
    fields = set(Provider.__dataclass_fields__)
    assert set(re.findall(r"^\| `(\w+)` \|", ADD_A_PROVIDER, re.MULTILINE)) == fields
    assert "`WireFormat`" in ADD_A_PROVIDER


@pytest.mark.parametrize("provider", PROVIDERS.values(), ids=PROVIDERS.keys())
def test_keys_of_every_provider_are_masked(provider: Provider) -> None:
    if provider.key_prefix is not None:
        assert mask_credentials(f"it is {provider.key_prefix}aB3dE6gH9jK2mN5pQ8sT")[1] == 1


def asked(spec: ModelSpec, environ: Mapping[str, str]) -> Reply:
    async def job() -> Reply:
        model = open_model(spec, environ)
        try:
            return await model.agent(REQUEST).reply(HELLO)
        finally:
            await model.close()

    return asyncio.run(job())
