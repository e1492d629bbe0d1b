"""Evidence without the credentials that were masked in the messages of its episode."""

from collections.abc import Sequence
from dataclasses import replace

from muses_eval.pipeline.episode.evidence import Evidence
from muses_eval.pipeline.text.credential_masking import MASK, mask_credentials


def mask_evidence(evidence: Sequence[Evidence], masked_texts: Sequence[str]) -> tuple[Evidence, ...]:
    """Returns the evidence of an episode without its credentials.

    A span may be a password without the words by which it was recognised.  A span that stands in no message after they
    were masked is therefore replaced whole.

    Args:
        evidence: the evidence of an episode with a masked credential.
        masked_texts: its messages, masked.
    """

    def shown(span: str) -> str:
        return span if any(span in text for text in masked_texts) else MASK

    return tuple(
        replace(
            each,
            span=shown(each.span),
            expected=mask_credentials(each.expected)[0],
            found=mask_credentials(each.found)[0],
        )
        for each in evidence
    )
