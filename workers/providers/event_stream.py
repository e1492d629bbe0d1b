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

_EVENT = re.compile(rb"(?:\s*+:[^\r\n]*+)*+\s*+(?:data|event):")
_LINE_END = re.compile(r"\r\n|\n|\r")


def is_event_stream(headers: Mapping[str, str], body: bytes) -> bool:
    """Returns whether a response is a stream of events: by its headers, whose names are case-insensitive, or its body.

    Some servers stream with another type, and some begin a whole response with the comments of a stream.
    """
    if headers.get("Content-Type", "").partition(";")[0].strip().lower() == "text/event-stream":
        return True
    return _EVENT.match(body) is not None


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
