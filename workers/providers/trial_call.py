"""One trial of a model outside of a run: what its servers list, and one short call."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from muses_eval.pipeline.config.model_spec import ModelSpec
from muses_eval.pipeline.config.sampling import Sampling
from muses_eval.pipeline.episode.model_call import Call
from muses_eval.pipeline.errors import ModelFailure
from muses_eval.workers.providers.chat_api import ChatApiModel
from muses_eval.workers.providers.chat_request import NO_OVERRIDES
from muses_eval.workers.providers.listed_models import ListedModels
from muses_eval.workers.providers.open_model import open_model

TRIAL_PROMPT = "Reply with the word OK."
MAX_TOKENS = 64
"""Most completion tokens of a trial, besides those that the sampling reserves for reasoning."""
_TIMEOUT_S = 60.0
_OTHER_PATHS = ("/v1", "/api/v1", "/openai/v1")
"""Paths of APIs that a base_url may lack."""


@dataclass(frozen=True, slots=True)
class Trial:
    """Result of a trial of a model."""

    listed: Mapping[str, ListedModels | None]
    """Address -> models that it lists; None when it has no list."""
    call: Call | None = None
    """Tokens, time and finish reason of the call; None when it failed or none was made."""
    text: str = ""
    """Reply to the call."""
    failure: ModelFailure | None = None
    """Why a server cannot be reached or refused the key, or why the call failed; None when neither happened."""
    elsewhere: Mapping[str, str] = field(default_factory=dict)
    """Address -> an address below it that does list models, for those that list none."""


async def try_model(spec: ModelSpec, environ: Mapping[str, str], *, call: bool) -> Trial:
    """Asks the servers of a model for their models, and makes one call without retries when *call* is set.

    Raises:
        ConfigError: the model cannot be opened, usually because its key is not in *environ*.
    """
    model = open_model(_once(spec), environ)
    if not isinstance(model, ChatApiModel) or spec.endpoint is None:
        return Trial({})
    try:
        return await _try(model, [url.rstrip("/") for url in spec.endpoint.base_urls], call=call)
    finally:
        await model.close()


async def _try(model: ChatApiModel, urls: list[str], *, call: bool) -> Trial:
    try:
        await model.probe()
    except ModelFailure as failure:
        return Trial({}, failure=failure)
    listed = {url: await model.listed_models(url) for url in urls}
    elsewhere = {url: found for url in urls if listed[url] is None and (found := await _elsewhere(model, url))}
    if not call:
        return Trial(listed, elsewhere=elsewhere)
    try:
        reply = await model.complete([{"role": "user", "content": TRIAL_PROMPT}], model.options(NO_OVERRIDES, 0))
    except ModelFailure as failure:
        return Trial(listed, failure=failure, elsewhere=elsewhere)
    return Trial(listed, reply.call, reply.text, elsewhere=elsewhere)


async def _elsewhere(model: ChatApiModel, url: str) -> str | None:
    for path in _OTHER_PATHS:
        if not url.endswith(path) and await model.listed_models(url + path) is not None:
            return url + path
    return None


def _once(spec: ModelSpec) -> ModelSpec:
    """Returns the model with a short reply and without retries."""
    if spec.endpoint is None:
        return spec
    endpoint = replace(spec.endpoint, max_retries=0, timeout_s=min(spec.endpoint.timeout_s, _TIMEOUT_S))
    return replace(spec, endpoint=endpoint, sampling=_bounded(spec.sampling))


def _bounded(sampling: Sampling) -> Sampling:
    """Returns the sampling with few completion tokens; a budget for reasoning, which has to fit, is added to them."""
    fields = {} if sampling.extra_body is None else json.loads(sampling.extra_body)
    thinking = fields.get("thinking")
    budget = thinking.get("budget_tokens") if isinstance(thinking, dict) else None
    most = MAX_TOKENS + (budget if isinstance(budget, int) else 0)
    return replace(sampling, max_tokens=min(sampling.max_tokens or most, most))
