"""Evidence of an episode with a masked credential keeps its words, but not the credential."""

from muses_eval.pipeline.episode.evidence import Evidence
from muses_eval.pipeline.episode.masked_evidence import mask_evidence
from muses_eval.pipeline.text.credential_masking import MASK, mask_credentials

PASSWORD = "hunter" + "2-and-more"


def test_a_span_that_was_masked_in_its_message_is_masked() -> None:
    message, _ = mask_credentials(f"Use https://root:{PASSWORD}@db.example/ for the report.")
    assert PASSWORD not in message
    found = [
        Evidence(scoring="corrected", metric="privacy", rule="code", verdict="fail", turn=1, span=span)
        for span in (PASSWORD, "for the report")
    ]
    assert [each.span for each in mask_evidence(found, [message])] == [MASK, "for the report"]


def test_the_expected_words_of_the_dataset_are_masked() -> None:
    """The ground truth may contain a credential that no message contains."""
    evidence = Evidence(scoring="published", metric="utility", rule="fact", expected=f"ftp://a:{PASSWORD}@b.example/")
    (masked,) = mask_evidence([evidence], ["hello"])
    assert PASSWORD not in masked.expected
    assert MASK in masked.expected
