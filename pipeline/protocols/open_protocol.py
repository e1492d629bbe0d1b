"""Opens a protocol by its name."""

from muses_eval.pipeline.errors import MusesError
from muses_eval.pipeline.protocols import ProtocolName
from muses_eval.pipeline.protocols.muses import MUSES
from muses_eval.pipeline.protocols.protocol import EpisodeProtocol
from muses_eval.pipeline.protocols.released import ReleasedProtocol
from muses_eval.pipeline.protocols.released_texts import ReleasedTexts


def open_protocol(name: ProtocolName, texts: ReleasedTexts | None) -> EpisodeProtocol:
    """Returns a protocol.  *texts*: the texts of the released evaluator; None when they are not there.

    Raises:
        MusesError: ``released`` without its texts.
    """
    if name == "muses":
        return MUSES
    if texts is None:
        raise MusesError("protocol released needs the texts of the released evaluator: run `muses data pull`")
    return ReleasedProtocol(texts)
