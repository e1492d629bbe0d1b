"""The Prefect server: its address, and what happens when it does not answer."""

import logging
from collections.abc import Iterator
from contextlib import contextmanager

from httpx import HTTPError, HTTPStatusError
from muses_eval.flows.job.signals import shielded_children
from muses_eval.pipeline.errors import MusesError
from prefect.client.orchestration import get_client

_REASON_CHARS = 300
_LOG = logging.getLogger(__name__)


def reach_server() -> str:
    """The address of the Prefect server that flows will use; where none is named, an embedded one is started.

    It ends with this process, unless that is killed; by Ctrl-C only after it has noted how the flow ended.

    Raises:
        MusesError: no server answers.
    """
    try:
        with shielded_children(), get_client(sync_client=True) as client:
            url, trouble = str(client.api_url).rstrip("/"), client.api_healthcheck()
    except RuntimeError as error:
        raise MusesError(f"Prefect's embedded server did not start: {error}") from error
    if trouble is not None:
        raise MusesError(
            f"no Prefect server answers at {url} ({trouble}); start one with `prefect server start`, "
            "correct PREFECT_API_URL, or unset it to use an embedded one"
        )
    return url


@contextmanager
def translate_server_errors() -> Iterator[None]:
    """A flow that needs its server until the end.

    Raises:
        MusesError: the server refuses a request, or it does not answer, or with errors, and Prefect has given up on it.
    """
    try:
        yield
    except HTTPStatusError as error:
        if not error.response.is_client_error:
            raise _lost(error) from error
        answer, text = error.response, " ".join(error.response.text.split())[:_REASON_CHARS]
        raise MusesError(
            f"the Prefect server refused {answer.url} ({answer.status_code} {answer.reason_phrase}: {text}); "
            "what was finished is stored. If it asks for a password or key, set PREFECT_API_AUTH_STRING or "
            "PREFECT_API_KEY; then start the same command again"
        ) from error
    except HTTPError as error:
        raise _lost(error) from error


def _lost(error: HTTPError) -> MusesError:
    return MusesError(
        f"the Prefect server was lost ({type(error).__name__}: {error}); what was finished is stored. "
        "When it answers again, start the same command again"
    )


@contextmanager
def suppress_display_errors() -> Iterator[None]:
    """What is done in here only shows a run; where Prefect has trouble with it, that costs no run."""
    try:
        yield
    except Exception as error:  # noqa: BLE001 - whatever Prefect's client raises
        _LOG.warning("the status of the run was not sent to Prefect: %s: %s", type(error).__name__, error)
