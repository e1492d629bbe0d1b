"""The texts of the provider's model: meaningless, but in the form that the system prompt requires.

A reply depends on the seed and the request alone, and not on time: a run with faults and one without get the same
replies.  The scores of such episodes are meaningless too.
"""

import json
import random
import re
from collections import Counter
from collections.abc import Callable, Sequence
from hashlib import blake2b

from muses_eval.pipeline.episode.user_prompt import SILENCE
from muses_eval.workers.rehearsal.fault_profile import Distribution
from muses_eval.workers.rehearsal.wire_format import CompletionReply, CompletionRequest

_CHARS_A_TOKEN = 4
_PERSONA = re.compile(r"<([^<>/\n]{1,80})_persona>")
_LISTED = re.compile(r"^- ([^:\n(]{1,80}?)(?:\s*\([^)\n]*\))?:", re.MULTILINE)
_REFERENCE = re.compile(r"\[ref: ?(\w+)\]")
_SLOT = re.compile(r"\b(Mon|Tue|Wed|Thu|Fri)\w* (\d{1,2}:\d{2})\b")
_USUAL_SLOT = "Wed 11:00"
_REASONS = ("harmful_to_global_objective", "conflict_with_higher_authority", "less_aligned_with_global_objective")
_SENTENCES = (
    "Thank you for the details, they help a good deal.",
    "There are two ways to go about this, and the shorter one should do.",
    "I have noted what you need and when you need it.",
    "Some of it depends on the others, so I shall ask them first.",
    "If anything changes on your side, a short word is enough.",
    "The next step is small and can be taken today.",
    "Nothing here has to be decided in a hurry.",
    "I shall come back to this as soon as the rest is clear.",
)
_SHORTEST_TALK = 2
_DONE_SHARE = 1 / 3
"""Share of later turns in which the speaker ends the conversation."""


def count_tokens(text: str) -> int:
    """Returns about the number of tokens that a tokenizer makes of English text."""
    return -(-len(text) // _CHARS_A_TOKEN)


class PrefixCache:
    """A simulation of prefix caching: remembers the beginnings of prompts, by whole messages."""

    def __init__(self) -> None:
        self._seen: set[int] = set()

    def add(self, request: CompletionRequest) -> int:
        """Adds a prompt; returns the tokens of its longest beginning that was cached already."""
        mark, tokens, cached = hash(request.model), 0, 0
        for message in request.messages:
            mark = hash((mark, message))
            tokens += count_tokens(message[1])
            if mark in self._seen:
                cached = tokens
            self._seen.add(mark)
        return cached


class CannedModel:
    """The provider's model.

    Args:
        lengths: distribution of the lengths of replies, in tokens; the form of a reply may need more.
        seed: seed of the texts.
    """

    def __init__(self, lengths: Distribution, seed: int = 0) -> None:
        self._lengths, self._seed = lengths, seed

    def reply(self, request: CompletionRequest, body: bytes) -> CompletionReply:
        """Returns the reply to a request; *body* is its raw body, which seeds the text."""
        rng = self._rng(body)
        text = _Reply(request, rng, round(self._lengths.draw(rng))).text()
        cut = request.most_tokens is not None and count_tokens(text) > request.most_tokens
        if cut:
            text = text[: _CHARS_A_TOKEN * (request.most_tokens or 0)]
        prompt = sum(count_tokens(message) for _, message in request.messages)
        return CompletionReply(text, cut, prompt, count_tokens(text), cached_tokens=0)

    def _rng(self, content: bytes) -> random.Random:
        key = self._seed.to_bytes(8, "big", signed=True)
        return random.Random(blake2b(content, digest_size=8, key=key).digest())


class _Reply:
    """One reply, in the form that the system prompt requires."""

    def __init__(self, request: CompletionRequest, rng: random.Random, tokens: int) -> None:
        self._briefing = "\n".join(text for role, text in request.messages if role in ("system", "developer"))
        self._said = [text for role, text in request.messages if role not in ("system", "developer", "assistant")]
        self._turn = 1 + sum(role == "assistant" for role, _ in request.messages)
        self._rng, self._tokens = rng, tokens
        self._done = self._turn > _SHORTEST_TALK and rng.random() < _DONE_SHARE

    def text(self) -> str:
        briefing = self._briefing
        if SILENCE in briefing:
            return SILENCE if self._done else self._prose(self._tokens)
        if "accepted_instructions" in briefing:
            return self._decisions()
        if "final_schedule" in briefing:
            return self._meeting()
        if "goal_achieved" in briefing:
            return self._report() if self._done else self._messages(self._prose)
        if '{"<user>"' in briefing:
            return self._answers()
        return self._prose(self._tokens)

    def _decisions(self) -> str:
        """Returns a reply of the family queue: every instruction in one of two lists."""
        references = _REFERENCE.findall("\n".join(self._said))
        accepted = [reference for reference in references if self._rng.random() < 0.6]
        rejected = [r for r in references if r not in accepted]
        reasons = [{"id": reference, "reason": self._rng.choice(_REASONS)} for reference in rejected]
        return json.dumps({"accepted_instructions": accepted, "rejected_instructions": reasons}, indent=2)

    def _answers(self) -> str:
        """Returns a reply of the family instruct: a text for each user."""
        names = self._names
        return json.dumps({name: self._prose(self._tokens // max(1, len(names))) for name in names}, ensure_ascii=False)

    def _meeting(self) -> str:
        slots = Counter(" ".join(slot) for slot in _SLOT.findall("\n".join(self._said)))
        slot = max(slots, key=lambda one: slots[one], default=_USUAL_SLOT)
        if not self._done:
            return self._messages(lambda tokens: f"Could you make {slot}? {self._prose(tokens)}", decision="propose")
        report = f"The meeting is on {slot}."
        final = {"goal_achieved": True, "final_schedule": slot, "attendees": self._names, "final_report": report}
        return json.dumps(final, ensure_ascii=False)

    def _report(self) -> str:
        """Returns the last reply of the family access."""
        return json.dumps({"goal_achieved": True, "final_report": self._prose(self._tokens)})

    def _messages(self, content: Callable[[int], str], **more: str) -> str:
        """Returns one JSON object for each principal."""
        names: Sequence[str] = self._names or ("all",)
        share = self._tokens // len(names)
        return "\n".join(
            json.dumps({"target": name, "content": content(share), **more}, ensure_ascii=False) for name in names
        )

    @property
    def _names(self) -> list[str]:
        return list(dict.fromkeys(_PERSONA.findall(self._briefing) or _LISTED.findall(self._briefing)))

    def _prose(self, tokens: int) -> str:
        """Returns sentences with at least this number of tokens."""
        sentences = [self._rng.choice(_SENTENCES)]
        length = len(sentences[0])
        while length < _CHARS_A_TOKEN * tokens:
            sentences.append(self._rng.choice(_SENTENCES))
            length += 1 + len(sentences[-1])
        return " ".join(sentences)
