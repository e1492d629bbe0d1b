"""Reads the decision in a reply: which instructions are accepted and which are rejected.

The briefing asks for an object with two lists.  Models also choose other keys, group the instructions by user, or give
one object for each user or instruction (:mod:`muses_eval.pipeline.families.queue.structured_decision`), or they write
lists, tables and sentences (:mod:`muses_eval.pipeline.families.queue.written_decision`).
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, replace

from muses_eval.pipeline.families.queue.decision_words import side_of_key, words_of
from muses_eval.pipeline.families.queue.references import References
from muses_eval.pipeline.families.queue.scenario import QueueTruth
from muses_eval.pipeline.families.queue.structured_decision import StructuredDecision
from muses_eval.pipeline.families.queue.written_decision import read_written_decision
from muses_eval.pipeline.text.illustration import is_condition, is_template
from muses_eval.pipeline.text.reasoning import strip_reasoning
from muses_eval.pipeline.text.reply_parsing import json_spans, without_spans

_INVISIBLE = dict.fromkeys(map(ord, "\u200b\u200c\u200d\u2060\ufeff\u00ad"))
_MAX_PARTS = 300
"""Objects that are read, the last ones of a reply."""


@dataclass(frozen=True, slots=True)
class Decision:
    """The ids of the accepted and the rejected instructions; a reference that no instruction has stands for itself."""

    accepted: frozenset[str] = frozenset()
    rejected: frozenset[str] = frozenset()

    @property
    def named(self) -> frozenset[str]:
        return self.accepted | self.rejected

    def __or__(self, other: "Decision") -> "Decision":
        return Decision(self.accepted | other.accepted, self.rejected | other.rejected)


def read_decision(truth: QueueTruth, reply: str) -> Decision | None:
    """Returns the decision in a reply; None when there is none.

    The last decision counts, because a draft may precede it.  Objects for different users or instructions are one
    decision.  Conditions, templates and summaries count only when there is nothing else.
    """
    references, text = References(truth), strip_reasoning(reply).translate(_INVISIBLE)
    parts = list(_parts(references, text))
    parts = [part for part in parts if not part.illustrates] or parts
    parts = [part for part in parts if part.decision.named] or parts
    if not parts:
        accepted, rejected = read_written_decision(references, _without_objects(text))
        return Decision(accepted, rejected) if accepted or rejected else None
    whole = parts[0]
    for part in parts[1:]:
        whole = part.after(whole)
    return whole.decision


@dataclass(frozen=True, slots=True)
class _Part:
    """The decision in one object or list of a reply."""

    decision: Decision
    listed: frozenset[bool]
    is_partial: bool
    illustrates: bool
    """Whether it is a condition, a template, or stands in a field beside the decision."""

    def after(self, before: "_Part") -> "_Part":
        """Returns this part together with the one before it, which it either continues or replaces."""
        if self.decision.named & before.decision.named or not (
            self.is_partial or self.listed.isdisjoint(before.listed)
        ):
            return self
        return replace(self, decision=before.decision | self.decision, listed=before.listed | self.listed)


def _parts(references: References, text: str) -> Iterator[_Part]:
    position = 0
    for span in deque(json_spans(text), maxlen=_MAX_PARTS):
        found = _read(references, span.value)
        if found.is_decision:
            is_cut = span.end == len(text) and text[-1] not in "}]),"
            introduction = text[position : span.start].casefold()
            decision = _decision(found, known_only=is_cut)
            if is_cut and not decision.named and not _rejects_last(span.value):
                continue
            yield _Part(
                decision=decision,
                listed=frozenset(found.listed),
                is_partial=found.is_partial or any(name in introduction for name in references.authors),
                illustrates=found.with_asides
                or is_condition(text, span.start, span.end)
                or is_template(text, span.start),
            )
        position = span.end


def _read(references: References, value: object) -> StructuredDecision:
    """Reads an object or list; what stands beside the decision is read only when there is nothing else."""
    found = StructuredDecision(references)
    found.read(value)
    if not found.is_decision:
        found = StructuredDecision(references, with_asides=True)
        found.read(value)
    return found


def _decision(found: StructuredDecision, *, known_only: bool) -> Decision:
    """Returns a decision; with *known_only*, without the last reference of a reply that was cut off."""
    ids = frozenset(found.references.truth.ids)
    accepted, rejected = frozenset(found.accepted), frozenset(found.rejected)
    if found.others == {True}:
        accepted |= ids - rejected
    elif found.others == {False}:
        rejected |= ids - accepted
    return Decision(accepted & ids, rejected & ids) if known_only else Decision(accepted, rejected)


def _rejects_last(value: object) -> bool:
    """Returns whether the last field of an object is the list of the rejected instructions."""
    return isinstance(value, dict) and bool(value) and side_of_key(words_of(list(value)[-1])) is False


def _without_objects(text: str) -> str:
    """Returns the text without the objects that decide nothing although they have the keys, such as counts."""
    undecided = (
        span
        for span in json_spans(text)
        if isinstance(span.value, dict) and any(side_of_key(words_of(key)) is not None for key in span.value)
    )
    return without_spans(text, undecided)
