"""The two protocols of an episode: what reaches a model, whom a reply reaches, and when an episode ends.

``muses`` is this project's protocol.  ``released`` is that of the released evaluator (commit d14c759), to the letter,
so that results can stand beside the paper's table 2.  In reading order: ``protocol`` the interface · ``muses`` ·
``released`` · ``released_texts`` the wording that it needs.
"""

from typing import Literal, get_args

ProtocolName = Literal["muses", "released"]
PROTOCOLS: tuple[ProtocolName, ...] = get_args(ProtocolName)


def protocol_identity(protocol: ProtocolName) -> tuple[str, ...]:
    """Returns what ids of runs and episodes contain of a protocol: nothing of ``muses``, so older ids stay valid."""
    return () if protocol == "muses" else ("protocol", protocol)
