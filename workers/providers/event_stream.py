"""Responses that arrive as a stream of server-sent events, read from the whole body.

A call needs the whole reply, so a stream is joined into the document that the server would have sent without
streaming.  This module splits the body into events; the adapter of a wire format joins them.
"""

import json
import re
from collections.abc import Iterator, Mapping

from muses_eval.workers.providers.adapter import NoCompletionError

END = "[DONE]"
"""Data of the event that ends a stream of chat completions."""

_LINE_END = re.compile(r"\r\n|\n|\r")


def is_event_stream(headers: Mapping[str, str]) -> bool:
    """Returns whether the headers of a response announce a stream of events; names are case-insensitive."""
    return headers.get("Content-Type", "").partition(";")[0].strip().lower() == "text/event-stream"


def read_events(body: bytes) -> Iterator[object]:
    """Yields the JSON of each event, and :data:`END`; comments and the names of events are skipped.

    Raises:
        NoCompletionError: the data of an event is not JSON, as in a stream that is cut off.
    """
    data: list[str] = []
    for line in (*_LINE_END.split(body.decode(errors="replace")), ""):
        if line.startswith("data:"):
            data.append(line.removeprefix("data:").removeprefix(" "))
        elif not line and data:
            yield _read("\n".join(data))
            data.clear()


def _read(data: str) -> object:
    if data.strip() == END:
        return END
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        raise NoCompletionError(f"expected JSON in each event of the stream, got {data or 'none'}") from None
