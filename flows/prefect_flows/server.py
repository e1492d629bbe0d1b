"""Connection to the Prefect server, and its errors."""

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager

from httpx import HTTPError, HTTPStatusError
from muses_eval.flows.job.signals import shielded_children
from muses_eval.pipeline.errors import ConfigError, MusesError
from muses_eval.pipeline.proxy import malformed_proxy
from prefect.client.orchestration import get_client

_REASON_CHARS = 300
_LOG = logging.getLogger(__name__)


def reach_server() -> str:
    """Returns the address of the Prefect server that flows use; starts an embedded server when none is configured.

    The embedded server ends with this process unless the process is killed.  Ctrl-C does not reach it, so that the
    final state of the flow is recorded.

    Raises:
        MusesError: the server does not respond, or Prefect's client would fail at a proxy of the environment.
    """
    if name := malformed_proxy(os.environ):  # Prefect's client reads all of them, even where it uses none
        raise ConfigError(
            f"{name} in the environment is no address of a proxy, such as http://proxy.example:3128 or "
            "socks5://proxy.example:1080; correct it, or unset it"
        )
    try:
        with shielded_children(), get_client(sync_client=True) as client:
            url, problem = str(client.api_url).rstrip("/"), client.api_healthcheck()
    except RuntimeError as error:
        raise MusesError(f"Prefect's embedded server did not start: {error}") from error
    if problem is not None:
        raise MusesError(
            f"no Prefect server answers at {url} ({problem}); start one with `prefect server start`, "
            "correct PREFECT_API_URL, or unset it to use an embedded one"
        )
    return url


@contextmanager
def translate_server_errors() -> Iterator[None]:
    """Translates errors of the connection to the Prefect server.

    Raises:
        MusesError: the server rejected a request, or did not respond, or responded with errors until Prefect gave up.
    """
    try:
        yield
    except HTTPStatusError as error:
        if not error.response.is_client_error:
            raise _lost(error) from error
        answer, text = error.response, " ".join(error.response.text.split())[:_REASON_CHARS]
        raise MusesError(
            f"the Prefect server refused {answer.url} ({answer.status_code} {answer.reason_phrase}: {text}); "
            f"what was finished is stored. {_refusal_advice(answer.status_code)}"
        ) from error
    except HTTPError as error:
        raise _lost(error) from error


def _refusal_advice(status: int) -> str:
    """Returns what to change; the same request would be refused again."""
    if status in (401, 403):
        return "Set PREFECT_API_AUTH_STRING or PREFECT_API_KEY; then start the same command again"
    if status in (404, 405, 422):
        return "`muses doctor` compares the server's version with Prefect's here; PREFECT_API_URL ends in /api"
    return "The server's log has the reason"


def _lost(error: HTTPError) -> MusesError:
    return MusesError(
        f"the Prefect server was lost ({type(error).__name__}: {error}); what was finished is stored. "
        "When it answers again, start the same command again"
    )


@contextmanager
def suppress_display_errors() -> Iterator[None]:
    """Logs errors of its block instead of raising them: the display of a run must never end the run."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - any error of Prefect's client
        _LOG.warning("the status of the run was not sent to Prefect: %s: %s", type(error).__name__, error)
