"""A summary of a server's log for error messages: the errors it names, and its last lines."""

import re

_LAST_LINES = 12
_MOST_CAUSES = 4
_LINE_CHARS = 300
_CAUSE = re.compile(r"(?:^|\s)((?:\w+\.)*\w*(?:Error|Exception|Killed)\b:? .+)$")
_COLOUR = re.compile(r"\x1b\[[0-9;]*m")


def summarize_log(text: str) -> str:
    """Returns the last lines of a log, indented.

    Errors from earlier lines come first, because the end of a long traceback seldom names the cause.
    """
    lines = [line for line in (_COLOUR.sub("", line).rstrip() for line in text.splitlines()) if line.strip()]
    earlier = (found.group(1) for line in lines[:-_LAST_LINES] if (found := _CAUSE.search(line)))
    causes = list(dict.fromkeys(earlier))[:_MOST_CAUSES]
    shown = (*causes, *(["..."] if causes else []), *lines[-_LAST_LINES:])
    return "\n".join(f"  {line[:_LINE_CHARS]}" for line in shown)
