"""Checks a model: its address, its key, its name, and one short call."""

import asyncio
import os
from collections.abc import Mapping
from typing import TYPE_CHECKING

from muses_eval.flows.doctor.check import Finding
from muses_eval.pipeline.config.model_spec import ModelSpec
from muses_eval.pipeline.episode.model_call import Call
from muses_eval.pipeline.errors import FailureKind, ModelFailure, MusesError
from muses_eval.pipeline.prices import cost_of, prices_of

if TYPE_CHECKING:
    from muses_eval.workers.providers.trial_call import Trial

_ADVICE: Mapping[FailureKind, str] = {
    "transport": "start the server, or correct base_url in the config",
    "timeout": "see why the server does not answer, or correct base_url in the config",
    "server": "see the server's log, or correct base_url in the config",
}
"""Advice for the kinds of failure whose texts name no remedy."""


def check_model(spec: ModelSpec, *, call: bool) -> Finding:
    """Returns what the servers of a model list, and what one short call cost.

    Args:
        spec: the model.
        call: False to ask only for the list of models.

    Raises:
        MusesError: the model cannot be called as the config says; the text names the key to change.
    """
    if spec.endpoint is None:
        return Finding("built in, needs no network")
    if spec.provider == "vllm":
        return Finding("its servers start with a run")
    from muses_eval.workers.providers.trial_call import try_model

    trial = asyncio.run(try_model(spec, os.environ, call=call))
    where, unlisted = " or ".join(spec.endpoint.base_urls), _unlisted(spec.model, trial)
    if trial.failure is not None and trial.failure.kind == "rate_limit" and trial.failure.retryable:
        return Finding(f"{where} can be reached", f"{spec.name}: calls are refused for now: {trial.failure.problem}")
    if trial.failure is not None or (trial.elsewhere and not call):
        raise MusesError(_problem(trial, where, unlisted))
    if trial.call is None:
        unsure = None if any(trial.listed.values()) else f"{where} does not list its models, and no call was made"
        remark = unlisted or unsure
        return Finding(f"{where} answers; no call was made", remark and f"{spec.name}: {remark}")
    if trial.call.finish_reason == "context_overflow":
        raise MusesError(f"{where} refuses a prompt of five words as too long; lower sampling.max_tokens")
    alias = unlisted and f"{unlisted}; it answered nevertheless"
    remark = _window(spec, trial) or _silence(trial.text, trial.call) or alias
    return Finding(f"{where} answered {_usage(spec, trial.call)}", remark and f"{spec.name}: {remark}")


def _unlisted(model: str, trial: "Trial") -> str | None:
    """Returns which server lists other models, but not this one; None when all that have a list name it."""
    for url, listed in trial.listed.items():
        if listed is not None and listed.names and listed.complete and listed.find(model) is None:
            return f"{url} does not list the model {model!r}, but {listed.describe(model)}"
    return None


def _problem(trial: "Trial", where: str, unlisted: str | None) -> str:
    """Returns what is wrong and which key to change; a wrong path explains an unknown model, and not the reverse."""
    failure = trial.failure
    reason = f"{where} has no API" if failure is None else str(failure)
    if trial.elsewhere:
        return f"{reason}; write base_url: {next(iter(trial.elsewhere.values()))}"
    if unlisted is not None:
        return f"{reason}; {unlisted}: correct the name under models"
    advice = _advice(failure)
    return reason if advice is None else f"{reason}; {advice}"


def _advice(failure: ModelFailure | None) -> str | None:
    return None if failure is None else _ADVICE.get(failure.kind)


def _window(spec: ModelSpec, trial: "Trial") -> str | None:
    for listed in trial.listed.values():
        window = None if listed is None else listed.windows.get(listed.find(spec.model) or "")
        if window is not None and (spec.sampling.max_tokens or 0) >= window:
            return (
                f"sampling.max_tokens is {spec.sampling.max_tokens}, but prompt and reply together have {window} "
                "tokens at this server; lower it"
            )
    return None


def _silence(text: str, call: Call) -> str | None:
    """Returns a remark on a reply without text; one that was cut off may have spent its tokens on reasoning."""
    if text.strip() or call.finish_reason == "length":
        return None
    return f"its reply has no text (finish reason {call.finish_reason})"


def _usage(spec: ModelSpec, call: Call) -> str:
    tokens = f"{_count(call.prompt_tokens)} + {_count(call.completion_tokens)} tokens"
    cost = cost_of(call, prices_of(spec))
    price = "cost unknown" if cost is None else f"${cost:.6f}"
    return f"in {call.latency_s:.1f} s ({tokens}, {price})"


def _count(tokens: int | None) -> str:
    return "?" if tokens is None else str(tokens)
