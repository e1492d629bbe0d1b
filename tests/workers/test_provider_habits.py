"""The habits of real servers: their words for an overflow, a cut-off and a refusal, and what becomes of the call."""

import asyncio
import importlib.util
import json
import random
import re
from pathlib import Path

import pytest
from muses_eval.pipeline.config.endpoint import Endpoint
from muses_eval.pipeline.config.model_spec import ModelSpec
from muses_eval.pipeline.config.sampling import Sampling
from muses_eval.pipeline.episode.model_call import Reply
from muses_eval.pipeline.errors import FailureKind, ModelFailure
from muses_eval.workers.providers.adapter import NoCompletionError
from muses_eval.workers.providers.advice import advice
from muses_eval.workers.providers.api_error import ApiError, parse_error
from muses_eval.workers.providers.chat_api import ChatApiModel, Effects, ModelConnection
from muses_eval.workers.providers.chat_request import NO_OVERRIDES
from muses_eval.workers.providers.context_window import window_refusal
from muses_eval.workers.providers.error_class import classify, filtered
from muses_eval.workers.providers.finish_reasons import finish_reason
from muses_eval.workers.providers.model import Model
from muses_eval.workers.providers.open_model import make_adapter
from muses_eval.workers.providers.refused_requests import RefusedRequests
from muses_eval.workers.providers.retry_delay import asked_pause, retry_after

from tests.concurrency_limit import ConcurrencyLimit
from tests.provider import Provider, Response, as_json, completion, failed, html, rate_limited, refused
from tests.workers.test_chat_api import Naps, ask, call_of, model_for, request, spec_for, with_model

# --- the context window ----------------------------------------------------------------------------------------------

FITS, TOO_LONG, UNSAID = True, False, None


@pytest.mark.parametrize(
    ("text", "max_tokens", "window", "prompt", "fits"),
    [
        (  # vLLM
            ("'max_tokens' or 'max_completion_tokens' is too large: 8000. This model's maximum context length is 8192 "
            "tokens and your request has 600 input tokens (8000 > 8192 - 600)."), 8000, 8192, 600, FITS,
        ),
        (
            ("This model's maximum context length is 8192 tokens. However, you requested 9000 tokens (600 in the "
            "messages, 8400 in the completion). Please reduce the length of the messages or completion."),
            8400, 8192, 600, FITS,
        ),
        (
            ("You passed 8193 input tokens and requested 100 output tokens. However, the model's context length is "
            "only 8192 tokens, resulting in a maximum input length of 8092 tokens."), 100, 8192, 8193, TOO_LONG,
        ),
        (
            ("This model's maximum context length is 8192 tokens. However, your request has 9000 input tokens. Please "
            "reduce the length of the input messages."), None, 8192, 9000, TOO_LONG,
        ),
        ("max_tokens must be at least 1, got -808.", 100, None, None, TOO_LONG),
        ("The decoder prompt (length 9000) is longer than the maximum model length of 8192.", 9, 8192, 9000, TOO_LONG),
        (  # OpenAI
            ("This model's maximum context length is 4097 tokens, however you requested 4100 tokens (100 in your "
            "prompt; 4000 for the completion)."), 4000, 4097, 100, FITS,
        ),
        ("This model's maximum context length is 4096 tokens. However, you requested 5000 tokens.", 2000, 4096, 3000,
         FITS),
        ("This model's maximum context length is 128000 tokens. However, your messages resulted in 130000 tokens.",
         100, 128000, 130000, TOO_LONG),
        ("Your input exceeds the context window of this model. Please adjust your input.", 100, None, None, TOO_LONG),
        (  # Anthropic
            ("input length and `max_tokens` exceed context limit: 190000 + 20000 > 200000, decrease input length or "
            "`max_tokens` and try again"), 20000, 200000, 190000, FITS,
        ),
        ("prompt is too long: 209303 tokens > 200000 maximum", 4096, 200000, 209303, TOO_LONG),
        (  # SGLang
            ("Requested token count exceeds the model's maximum context length of 8192 tokens. You requested a total "
            "of 9000 tokens: 600 tokens from the input messages and 8400 tokens for the completion."),
            8400, 8192, 600, FITS,
        ),
        ("The input (9000 tokens) is longer than the model's context length (8192 tokens).", 9, 8192, 9000, TOO_LONG),
        ("length of prompt_tokens (9000) must be less than max_seq_len (8192)", 9, 8192, 9000, TOO_LONG),
        (  # TGI
            ("Input validation error: `inputs` tokens + `max_new_tokens` must be <= 4096. Given: 4000 `inputs` tokens "
            "and 200 `max_new_tokens`"), 200, 4096, 4000, FITS,
        ),
        ("Input validation error: `inputs` must have less than 1024 tokens. Given: 2000", 9, 1024, 2000, TOO_LONG),
        ("Input validation error: inputs must have less than 1024 tokens. Given: 2000", 9, 1024, 2000, TOO_LONG),
        (  # OpenRouter
            ("This endpoint's maximum context length is 32768 tokens. However, you requested about 40000 tokens (8000 "
            "of text input, 32000 in the output)."), 32000, 32768, 8000, FITS,
        ),
        ("This model's maximum prompt length is 131072 but the request contains 150000 tokens.", 9, 131072, 150000,
         TOO_LONG),  # xAI
        ("The input token count (1200293) exceeds the maximum number of tokens allowed (1048576).", 9, 1048576,
         1200293, TOO_LONG),  # Gemini
        ("Input is too long for requested model.", 100, None, None, TOO_LONG),  # Bedrock
        ("Input Tokens Exceeded: Number of input tokens exceeds maximum length.", 100, None, None, TOO_LONG),
        ("Too many input tokens. Max input tokens: 8192, request input token count: 9000", 9, 8192, 9000, TOO_LONG),
        ("too many tokens: total number of tokens in the prompt cannot exceed 4081 - received 5000.", 9, 4081, 5000,
         TOO_LONG),  # Cohere
        ("the total number of tokens (prompt and prediction) cannot exceed 2048 - received 5057.", 4000, 2048, 1057,
         FITS),
        ("the input token count is 1050000 but the model only supports up to 1048576", 9, 1048576, 1050000,
         TOO_LONG),  # Vertex
        ("The number of tokens in the prompt (9000) exceeds 8192", 9, 8192, 9000, TOO_LONG),
        ("Malformed input request: expected maxLength: 50000, actual: 60000", 100, None, None, TOO_LONG),  # Bedrock
        ("Prompt contains 40000 tokens and 0 draft tokens, too large for model with 32768 maximum context length",
         9, 32768, 40000, TOO_LONG),  # Mistral
        ("request (9000 tokens) exceeds the available context size (8192 tokens)", 9, 8192, 9000, TOO_LONG),
        ("the number of input tokens 9000 cannot exceed the total tokens limit 8192 for this model", 9, 8192, 9000,
         TOO_LONG),  # watsonx
        ("Prompt length (9000) exceeds maximum input length (8192)", 9, 8192, 9000, TOO_LONG),  # TensorRT-LLM
        ("Invalid request: Your request exceeded model token limit: 8192", 100, 8192, None, UNSAID),  # Moonshot
        ("Invalid request: Your request exceeded model token limit: 8192", 8192, 8192, None, FITS),
        ("invalid params, context window exceeds limit (2013)", 100, None, None, UNSAID),  # MiniMax; an error code
        ("the request exceeds the available context size", None, None, None, TOO_LONG),
    ],
)  # fmt: skip
def test_overflow_in_the_wordings_of_servers(
    text: str, max_tokens: int | None, window: int | None, prompt: int | None, fits: bool | None
) -> None:
    """Each wording gives the window and the prompt, and says whether the prompt alone is too long."""
    found = window_refusal(400, ApiError(text), max_tokens)
    assert found is not None
    assert (found.window, found.prompt, found.prompt_fits(max_tokens)) == (window, prompt, fits)


def test_a_code_alone_says_that_the_request_is_too_long() -> None:
    """GitHub Models answers 413 in words that other servers use for the size of a body."""
    error = ApiError("Request body too large for gpt-4o model. Max size: 8000 tokens.", "tokens_limit_reached")
    assert window_refusal(413, error, 100) is not None


@pytest.mark.parametrize(
    ("status", "error"),
    [
        (400, ApiError("max_tokens: 100000 > 8192, which is the maximum allowed number of output tokens")),
        (400, ApiError("max_tokens is too large: 200000. This model supports at most 16384 completion tokens")),
        (400, ApiError("`max_tokens` must be <= `8192`: the maximum is less than the `context_window` for this model")),
        (400, ApiError("Range of max_tokens should be [1, 8192]")),
        (400, ApiError("Too many tokens, please wait before trying again.")),
        (413, ApiError("Request too large: Limit 6000, Requested 9000, reduce the length of the prompt", "tokens")),
        (400, ApiError("Invalid 'messages': array too long. Expected an array with maximum length 2048")),
        (429, ApiError("too many input tokens")),
        (500, ApiError("cannot allocate the context window")),
    ],
)
def test_other_limits_are_no_overflow(status: int, error: ApiError) -> None:
    """A limit of the answer, of the account or of a memory is no outcome of the episode."""
    assert window_refusal(status, error, 100_000) is None


def window_error(max_tokens: int, prompt: int) -> Response:
    """Returns the refusal of a server with a window of 8192 tokens."""
    text = f"'max_tokens' is too large: {max_tokens}. This model's maximum context length is 8192 tokens and your "
    return refused(400, f"{text}request has {prompt} input tokens ({max_tokens} > 8192 - {prompt}).")


UNCLEAR = refused(400, "This model's maximum context length is 8192 tokens.")


@pytest.mark.parametrize(
    ("max_tokens", "script", "sent", "ending"),
    [
        (8000, [window_error(8000, 600), completion("whole", "stop")], [8000, 7592], "stop"),
        (9000, [window_error(9000, 600), completion("cut", "length")], [9000, 7592], "length"),
        (800, [window_error(800, 9000)], [800], "context_overflow"),
        (800, [UNCLEAR, UNCLEAR], [800, 16], "context_overflow"),
        (None, [UNCLEAR], [None], "context_overflow"),
        (800, [UNCLEAR, completion("a few words", "length")], [800, 16], ModelFailure),
        (8192, [UNCLEAR], [8192], ModelFailure),
        (8000, [window_error(8000, 600), window_error(7592, 600)], [8000, 7592], ModelFailure),
    ],
)
def test_max_tokens_beyond_the_window(
    max_tokens: int | None, script: list[Response], sent: list[int | None], ending: str | type[ModelFailure]
) -> None:
    """An overflow is a prompt that alone does not fit; otherwise max_tokens shrinks to what the server says is left.

    When the server does not say, a request with a few tokens finds out, and its text is no reply.
    """
    with Provider(script=script) as provider:
        model = model_for(spec_for(provider.base_url, Sampling(max_tokens=max_tokens)))
        if isinstance(ending, str):
            reply = with_model(model, lambda model: ask(model.agent(request())))
            assert (call_of(reply).finish_reason, call_of(reply).retries) == (ending, len(sent) - 1)
        else:
            with pytest.raises(ModelFailure, match=r"internal: .*set a smaller sampling\.max_tokens") as caught:
                with_model(model, lambda model: ask(model.agent(request())))
            assert caught.value.ends_model == (max_tokens == 8192)
    assert [received.document.get("max_tokens") for received in provider.completions] == sent


# --- finish reasons --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reported", "read"),
    [
        *((word, "stop") for word in ("stop", "STOP", "eos", "eos_token", "end_turn", "COMPLETE", "stop_sequence")),
        *((word, "length") for word in ("length", "MAX_TOKENS", "model_length", "max_output_tokens", "pause_turn")),
        *((word, "length") for word in ("abort", "FinishReason.MAX_TOKENS", "ERROR_LIMIT", "FINISH_REASON_MAX_TOKENS")),
        *((word, "content_filter") for word in ("content_filter: PROHIBITED_CONTENT", "SAFETY", "RECITATION")),
        *((word, "content_filter") for word in ("refusal", "sensitive", "guardrail_intervened", "content-filter")),
        *((word, "tool_calls") for word in ("tool_calls", "function_call", "tool_use", "MALFORMED_FUNCTION_CALL")),
        *((word, "unknown") for word in (None, "", 2, ["stop"])),
        ("of a new kind", "of a new kind"),
    ],
)
def test_finish_reasons_of_all_providers(reported: object, read: str) -> None:
    """Cut-off and filtered replies are recognised in the words of each provider, whatever the case."""
    assert finish_reason(reported) == read


@pytest.mark.parametrize("reported", ["error", "ERROR", "network_error", "insufficient_system_resource"])
def test_a_server_that_failed_in_the_middle_gave_no_reply(reported: str) -> None:
    with pytest.raises(NoCompletionError, match="finish_reason is"):
        finish_reason(reported)


@pytest.mark.parametrize(
    ("choice", "text", "reason"),
    [
        ({"finish_reason": "length"}, "", "length"),
        ({"finish_reason": "stop", "message": None}, "", "stop"),
        ({"finish_reason": "stop", "delta": {"content": "hi"}}, "hi", "stop"),
        ({"finish_reason": "stop", "text": "hi"}, "hi", "stop"),
        ({"finish_reason": "stop", "message": {"content": {"type": "text", "text": "hi"}}}, "hi", "stop"),
        ({"finish_reason": "tool_calls", "message": {"content": None, "tool_calls": []}}, "", "tool_calls"),
    ],
)
def test_a_choice_in_an_odd_form_is_a_reply(choice: dict[str, object], text: str, reason: str) -> None:
    """A choice that has ended without a message is an empty reply; a text is found where servers put it."""
    found = make_adapter("openai").completion({"choices": [choice]})
    assert (found.text, found.finish_reason) == (text, reason)


@pytest.mark.parametrize(
    "message",
    [
        {"content": None, "reasoning_content": "thought"},
        {"content": "", "reasoning": "thought"},
        {"thinking": "thought"},
        {"content": [{"type": "thinking", "thinking": [{"type": "text", "text": "thought"}]}]},
        {"content": None, "reasoning_details": [{"type": "reasoning.text", "text": "thought"}, {"data": "encrypted"}]},
    ],
)
def test_reasoning_alone_is_an_empty_reply(message: dict[str, object]) -> None:
    """The reasoning is kept apart from the text, wherever a server puts it."""
    found = make_adapter("openai").completion({"choices": [{"message": message, "finish_reason": "stop"}]})
    assert (found.text, found.reasoning, found.finish_reason) == ("", "thought", "stop")


@pytest.mark.parametrize(
    ("body", "content_type"),
    [
        (b': PROCESSING\n\n: PROCESSING\n\n{"choices": [{"message": {"content": "hi"}}]}', "application/json"),
        (b'\n   \n{"choices": [{"message": {"content": "hi"}}]}\n', "application/json"),
        (b': PROCESSING\n\ndata: {"choices": [{"delta": {"content": "hi"}}]}\n\ndata: [DONE]\n\n', "application/json"),
        (b'data: {"choices": [{"delta": {"content": "hi"}}]}\n\ndata: [DONE]\n\n', "text/plain"),
    ],
)
def test_a_gateway_that_keeps_the_connection_open(body: bytes, content_type: str) -> None:
    """Comments and spaces before a response are passed over, and a stream is known by its body, too."""
    with Provider(script=[Response(body=body, headers={"Content-Type": content_type, "Policy": "x" * 20_000})]) as it:
        reply = with_model(model_for(spec_for(it.base_url, max_retries=0)), lambda model: ask(model.agent(request())))
    assert reply.text == "hi"


def test_text_in_another_character_set_is_read() -> None:
    """A server that does not send UTF-8 names its character set."""
    body = json.dumps({"choices": [{"message": {"content": "café"}}]}, ensure_ascii=False).encode("latin-1")
    named = Response(body=body, headers={"Content-Type": "application/json; charset=ISO-8859-1"})
    with Provider(script=[named]) as provider:
        reply = with_model(model_for(spec_for(provider.base_url)), lambda model: ask(model.agent(request())))
    assert reply.text == "café"


# --- errors ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        ([{"error": {"code": 400, "message": "m", "status": "INVALID_ARGUMENT", "details": [{"reason": "R"}]}}],
         ApiError("m", "R", 400)),
        ([{"error": {"code": 429, "message": "m", "details": [{"retryDelay": "3.5s"}]}}],
         ApiError("m", "", 429, retry_after_s=3.5)),
        ({"message": "Input is too long."}, ApiError("Input is too long.")),
        ({"code": 20015, "message": "m", "data": None}, ApiError("m")),
        ({"code": "Throttling", "message": "m"}, ApiError("m", "Throttling")),
        ({"code": "a sentence", "error": "m"}, ApiError("m", "a sentence")),
        ({"error": "m", "error_type": "validation"}, ApiError("m", "validation")),
        ({"errors": [{"message": "m", "code": 7003}], "success": False}, ApiError("m")),
        ({"error": {"message": "m", "code": "429"}}, ApiError("m", "", 429)),
        ({"detail": {"error": {"message": "m", "type": "t"}}}, ApiError("m", "t")),
        ({"error": {"message": "m", "code": 400, "metadata": {"raw": '{"error": {"message": "raw", "code": "c"}}'}}},
         ApiError("m: raw", "c", 400)),
        ({"error": {"message": "m", "code": 400, "metadata": {"raw": "raw text"}}}, ApiError("m: raw text", "", 400)),
        ({"id": "x", "choices": [], "usage": None}, None),
        ({"type": "message_start", "message": {"content": []}}, None),
        ([], None),
    ],
)  # fmt: skip
def test_errors_in_the_shapes_of_servers(document: object, expected: ApiError | None) -> None:
    """The message, the code and the status are found in the shape of each server, gateways included."""
    assert parse_error(document) == expected


KEYLESS = "API key not valid. Please pass a valid API key."


@pytest.mark.parametrize(
    ("status", "error", "kind", "retryable", "ends_after"),
    [
        (400, ApiError(KEYLESS, "API_KEY_INVALID"), "auth", False, 1),
        (400, ApiError(KEYLESS, "INVALID_ARGUMENT"), "auth", False, 1),
        (400, ApiError("Model Not Exist"), "internal", False, 1),
        (404, ApiError("model 'qwen3' not found, try pulling it first"), "internal", False, 1),
        (404, ApiError("Resource not found"), "internal", False, 2),
        (404, ApiError("an HTML page", from_api=False), "internal", False, 5),
        (308, ApiError("an empty body", from_api=False), "internal", False, 2),
        (402, ApiError("Insufficient credits."), "auth", False, 1),
        (409, ApiError("Conflict, try again"), "server", True, None),
        (425, ApiError("too early"), "server", True, None),
        (498, ApiError("no capacity"), "rate_limit", True, None),
        (499, ApiError("client closed"), "server", True, None),
        (529, ApiError("Overloaded", "overloaded_error"), "rate_limit", True, None),
        (500, ApiError("Overloaded", "overloaded_error"), "rate_limit", True, None),
        (503, ApiError("Loading model", "unavailable_error"), "rate_limit", True, None),
        (503, ApiError("an HTML page", from_api=False), "server", True, None),
        (413, ApiError("Request too large for model x: Limit 6000, Requested 9000"), "rate_limit", False, None),
        (422, ApiError("seed: extra inputs are not permitted"), "internal", False, None),
    ],
)
def test_the_class_of_an_error(
    status: int, error: ApiError, kind: FailureKind, ends_after: int | None, *, retryable: bool
) -> None:
    """Refusals for load are retried like rate limits; what no retry can change ends the model or the call."""
    found = classify(status, error)
    assert (found.kind, found.retryable, found.ends_after) == (kind, retryable, ends_after)
    assert not filtered(status, error)


@pytest.mark.parametrize(
    "error",
    [
        ApiError("the prompt triggered Azure OpenAI's content management policy", "content_filter"),
        ApiError("Input data may contain inappropriate content.", "data_inspection_failed"),
        ApiError("Content Exists Risk", "invalid_request_error"),
    ],
)
def test_a_filtered_prompt_is_an_outcome(error: ApiError) -> None:
    assert filtered(400, error)
    assert not filtered(500, error)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"retry-after": "2s"}, 2.0),
        ({"retry-after": "1m2.5s"}, 62.5),
        ({"x-ratelimit-reset-requests": "250ms", "x-ratelimit-remaining-requests": "0"}, 0.25),
        ({"x-ratelimit-reset-tokens": "6m0s", "x-ratelimit-remaining-tokens": "12"}, None),
        ({"retry-after": "soon"}, None),
    ],
)
def test_pauses_in_headers(headers: dict[str, str], seconds: float | None) -> None:
    assert retry_after(headers, 0.0) == seconds


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("Resource has been exhausted. Please retry in 3.5s.", 3.5),
        ("Rate limit reached. Please try again in 7m12s. Visit", 432.0),
        ("Please try again in 20ms.", 0.02),
        ("Please retry after 10 seconds.", 10.0),
        ("Please try again later.", None),
        ("Overloaded since 10 seconds.", None),
    ],
)
def test_pauses_in_texts(text: str, seconds: float | None) -> None:
    assert asked_pause(text) == seconds


@pytest.mark.parametrize(
    ("status", "text", "kind", "key_sent", "expected"),
    [
        (401, "bad key", "auth", False, "no key was sent"),
        (400, KEYLESS, "auth", False, "no key was sent"),
        (401, "bad key", "auth", True, "check the key"),
        (404, "not found", "internal", True, "check base_url"),
        (400, "This model only support stream mode", "internal", True, "set stream: true"),
        (400, "System role not supported", "internal", True, "set system_role: fold"),
        (400, "'temperature' does not support 0.5", "internal", True, "sampling.temperature"),
        (422, "[{'loc': ['body', 'seed']}]", "internal", True, "leave out sampling.seed"),
        (429, "slow down", "rate_limit", True, ""),
        (500, "the temperature of the machine", "server", True, ""),
    ],
)
def test_advice_fits_the_refusal(status: int, text: str, kind: FailureKind, expected: str, *, key_sent: bool) -> None:
    said = advice(status, ApiError(text), kind, key_sent=key_sent)
    assert expected in said
    assert bool(expected) == bool(said)


# --- refusals among answers ------------------------------------------------------------------------------------------


def outcomes(script: list[Response | None], calls: int, **endpoint: object) -> list[str]:
    """Returns the outcome of each call in a row: its text, or ``retry`` or ``end`` for the failure that it raises."""

    async def together(model: ChatApiModel) -> list[str]:
        found = []
        for _ in range(calls):
            try:
                found.append((await ask(model.agent(request()))).text)
            except ModelFailure as failure:
                found.append("end" if failure.ends_model else "retry")
        return found

    with Provider(script=script, reply=lambda _: "fine") as provider:
        return with_model(model_for(spec_for(provider.base_url, **endpoint)), together)  # type: ignore[arg-type]


ODD = refused(404, "not found")


@pytest.mark.parametrize("odd", [ODD, refused(403, "no"), refused(401, "who?"), failed(404), refused(409, "again")])
def test_one_odd_refusal_among_answers_costs_nothing(odd: Response) -> None:
    """A model that has answered is set up correctly: a single refusal is retried."""
    assert outcomes([None, odd, None, odd], 3) == ["fine"] * 3


@pytest.mark.parametrize(
    ("script", "found"),
    [
        ([None, *[ODD] * 5], ["fine", "end", "fine"]),
        ([None, *[ODD] * 4, None], ["fine", "fine", "fine"]),
        ([ODD, None], ["fine", "fine", "fine"]),
        ([ODD, ODD], ["end", "fine", "fine"]),
        ([refused(401, "bad key")], ["end", "fine", "fine"]),
        ([failed(404)] * 5, ["end", "fine", "fine"]),
    ],
)
def test_refusals_in_a_row_end_a_model(script: list[Response | None], found: list[str]) -> None:
    """Five end a model that has answered; before that, a wrong key is final at once and a bare 404 when repeated."""
    assert outcomes(script, 3) == found


def test_refusals_of_calls_that_are_in_flight_together_count_once() -> None:
    """Eight calls that meet one bad moment of a gateway are all retried, also before the first answer."""

    async def together(model: Model) -> list[Reply]:
        return await asyncio.gather(*(ask(model.agent(request())) for _ in range(8)))

    with Provider(script=[ODD] * 8, reply=lambda _: "fine", meet=8) as provider:
        replies = with_model(model_for(spec_for(provider.base_url)), together)
    assert [reply.text for reply in replies] == ["fine"] * 8


def test_refusals_count_over_all_calls() -> None:
    """Without retries, five calls in a row have to be refused."""
    assert outcomes([None, *[ODD] * 5], 6, max_retries=0) == ["fine", *["retry"] * 4, "end"]


WRONG = refused(400, "unknown option: top_k")


@pytest.mark.parametrize(
    ("script", "found"),
    [
        ([WRONG] * 26, [*["retry"] * 24, "end", "end", "fine"]),
        ([WRONG] * 24, [*["retry"] * 24, "fine", "fine", "fine"]),
        ([None, *[WRONG] * 26], ["fine", *["retry"] * 26]),
    ],
)
def test_a_server_that_refuses_every_request_ends_the_model(script: list[Response | None], found: list[str]) -> None:
    """The first 25 requests have to be refused without an answer: after one, such a refusal concerns one prompt."""
    assert outcomes(script, 27) == found


def test_quick_refusals_do_not_end_a_model_whose_answers_are_slow() -> None:
    refusal = ModelFailure("internal", "the prompt is odd", retryable=False)
    requests = RefusedRequests()
    slow, *quick = (requests.begin() for _ in range(31))
    for number in quick:
        assert not requests.failed(number, refusal).ends_model
        requests.end(number)
    requests.end(slow)  # cut off
    assert requests.failed(requests.begin(), refusal).ends_model


@pytest.mark.parametrize("busy", [rate_limited(), failed(529), refused(503, "Loading model")])
def test_refusals_for_load_have_the_patience_of_a_rate_limit(busy: Response) -> None:
    """Twenty of them are waited out."""
    assert outcomes([busy] * 20, 1) == ["fine"]


@pytest.mark.parametrize("broken", [html(), as_json("overloaded"), as_json({"choices": []}), refused(524, "late")])
def test_broken_answers_are_retried(broken: Response) -> None:
    assert outcomes([broken] * 3, 1) == ["fine"]


# --- the shared collection of habits ---------------------------------------------------------------------------------

SERVER = Path(__file__).parents[3] / "shared/cases/oddserver.py"
_SAMPLINGS = {
    "ctx_maxtok": Sampling(max_tokens=8000),
    "ctx_mid": Sampling(max_tokens=6000),
    "temp_unsupported": Sampling(temperature=0.5),
    "an_temp_topp": Sampling(temperature=0.5, top_p=0.9),
    "mct": Sampling(max_tokens=64),
    "mct422": Sampling(max_tokens=64),
    "mct_other": Sampling(max_tokens=64),
}
_ENDINGS = {
    "length": {"reasoninglen", "nomessage_len", "finish_MAX", "an_thinking", "an_pause"},
    "content_filter": {"finish_filter", "repeatable_cf", "azure_cf", "an_refusal"},
    "context_overflow": {"errmsg_toplevel", "ctx_bedrock", "ctx_gemini", "ctx_sglang", "ctx_openrouter"}
    | {"ctx_wrapped_litellm", "ctx_mistral", "ctx_500"},
    "unknown": {"finish_null", "an_nullstop"},
    "ends the model": {"err200_auth", "azure_404", "azure_dep404", "an_notfound", "gemini_badkey", "openrouter402"}
    | {"openrouter404", "ollama404", "cf403", "redirect", "redirect308"},
    "internal": {"streamonly", "s413", "s422", "temp_unsupported", "nosystem", "an_temp_topp", "ctx_maxtok"},
    "rate_limit": {"s413j", "gemini_429"},
    "server": {"choices_empty", "finish_error", "str200", "null200", "empty200", "html200", "err200str"},
    "not tried": {"br", "zstd", "slow"},
}
"""Habits by what becomes of their calls; all others give a whole reply."""
_WORDLESS = {"reasoningonly", "reasoninglen", "nomessage_len", "finish_filter", "repeatable_cf", "azure_cf"}
_WORDLESS |= {"an_empty", "an_thinking", "an_refusal"} | _ENDINGS["context_overflow"]


@pytest.mark.skipif(not SERVER.is_file(), reason=f"{SERVER} is not there")
def test_every_habit_of_the_shared_server() -> None:
    """A valid text is a reply, a broken answer fails the call, and a refusal by configuration ends with its reason."""
    expected = {habit: ending for ending, habits in _ENDINGS.items() for habit in habits}
    habits = dict.fromkeys(re.findall(r'h == "(\w+)"', SERVER.read_text(encoding="utf-8")))
    tried = [habit for habit in habits if expected.get(habit) != "not tried"]
    found = asyncio.run(_habits(tried))
    assert {habit: ending for habit, (ending, _) in found.items()} == {
        habit: expected.get(habit, "stop") for habit in tried
    }
    assert {habit for habit, (ending, text) in found.items() if ending in _REPLIES and not text} == _WORDLESS


_REPLIES = {"stop", "length", "content_filter", "context_overflow", "unknown"}


async def _habits(habits: list[str]) -> dict[str, tuple[str, str]]:
    """Returns the finish reason and the text of each habit's reply, or the kind and the text of the failure."""
    from aiohttp import web

    spec = importlib.util.spec_from_file_location("oddserver", SERVER)
    assert spec is not None
    assert spec.loader is not None
    server = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(server)
    runner = web.AppRunner(server.app)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    port = runner.addresses[0][1]
    try:
        return {habit: await _habit(habit, f"http://127.0.0.1:{port}/{habit}/v1") for habit in habits}
    finally:
        await runner.cleanup()


async def _habit(habit: str, base_url: str) -> tuple[str, str]:
    provider = "anthropic" if habit.startswith("an_") else "openai"
    endpoint = Endpoint((base_url,), max_retries=4, timeout_s=20.0)
    spec = ModelSpec("m", provider, "m", _SAMPLINGS.get(habit, Sampling()), endpoint)
    connection = ModelConnection(make_adapter(provider), ConcurrencyLimit(4))
    model = ChatApiModel(spec, endpoint, connection, Effects(random.Random(1), Naps()))
    messages = [{"role": "system", "content": "be brief"}, {"role": "user", "content": "hello"}]
    try:
        reply = await model.complete(messages, model.options(NO_OVERRIDES, 0))
        return call_of(reply).finish_reason, reply.text
    except ModelFailure as failure:
        return "ends the model" if failure.ends_model else failure.kind, failure.problem
    finally:
        await model.close()
