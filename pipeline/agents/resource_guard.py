"""Withholds confidential resources from the principals who may not read them."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence

from muses_eval.pipeline.agents.facts import Facts
from muses_eval.pipeline.agents.interface import Context, Turn, TurnReply
from muses_eval.pipeline.agents.telling_parts import TellingParts, telling_parts
from muses_eval.pipeline.text.reasoning import strip_reasoning
from muses_eval.pipeline.text.reply_parsing import json_objects, json_spans, without_spans

REFUSAL = "I am sorry, {name}, but I cannot share {resource} with you, neither as a whole nor in part."
UNCLEAR = "I am sorry, {name}, but my answer was not meant for everybody, so I did not send it. Please ask again."


class ResourceGuard:
    """Looks for parts of the resources in every message, in the reasoning, and in what stands around the messages.

    What the briefing says outside of a resource is no part of it, nor is what a principal has written itself.
    """

    def __init__(self, context: Context, facts: Facts) -> None:
        self._log = context.log
        self._names = [principal.name for principal in context.principals]
        self._said = dict.fromkeys(self._names, "")
        public = context.briefing
        for resource in facts.resources:
            public = public.replace(resource.content, "\n") if resource.content else public
        self._withheld = {
            name: [
                (resource.name, telling_parts(resource.content).unknown_to(f"{public}\n{resource.name}"))
                for resource in facts.withheld_from(name)
            ]
            for name in self._names
        }

    def enforced(self, turn: Turn, text: str) -> str | TurnReply:
        """Returns the reply as it is, or its messages without what their addressees may not read."""
        for entry in turn.inputs:
            self._said[entry.sender] += f"{entry.text}\n"
        return text if self._permits(text) else self._without_withheld(turn, text)

    def _permits(self, text: str) -> bool:
        spans = list(json_spans(text))
        around = without_spans(text, spans).replace("\\n", "\n")
        if self._is_withheld(around, self._names):
            return False
        values = (each for span in spans for each in (span.value if isinstance(span.value, list) else [span.value]))
        return not any(self._is_withheld("\n".join(_texts(value)), self._addressed(value)) for value in values)

    def _is_withheld(self, text: str, audience: Sequence[str]) -> bool:
        parts = telling_parts(text)
        return any(self._withheld_part(parts, name) for name in audience)

    def _without_withheld(self, turn: Turn, text: str) -> TurnReply:
        to: dict[str, str] = {}
        end: Mapping[str, object] = {}
        for value in json_objects(strip_reasoning(text)):
            content = value.get("content")
            if value.get("goal_achieved") is True:
                end = value
            elif "target" in value and isinstance(content, str):
                for name in self._audience(value["target"]):
                    to[name] = "\n\n".join(filter(None, (to.get(name), self._permitted(content, name))))
        if not to and not end:
            to = {entry.sender: self._permitted(text, entry.sender, UNCLEAR) for entry in turn.inputs}
        return TurnReply(to=to, shared=self._permitted_report(end.get("final_report", "")), done=bool(end))

    def _permitted_report(self, report: object) -> str:
        """Returns a report, which every principal sees; empty when it has a part of a resource."""
        if not isinstance(report, str):
            return ""
        parts = telling_parts(report)
        resource = next(filter(None, (self._withheld_part(parts, name) for name in self._names)), None)
        if resource is None:
            return report
        self._log(f"withheld from the final report: {resource}")
        return ""

    def _permitted(self, content: str, name: str, otherwise: str = "") -> str:
        """Returns the content of a message or a text *otherwise*; a refusal when it has a part of a resource."""
        resource = self._withheld_part(telling_parts(content), name)
        if resource is None:
            return otherwise.format(name=name) or content
        self._log(f"withheld from {name}: {resource}")
        return REFUSAL.format(name=name, resource=resource)

    def _withheld_part(self, sent: TellingParts, name: str) -> str | None:
        """Returns the name of a resource that *name* may not read and of which *sent* has a part; None without one."""
        for resource, parts in self._withheld[name]:
            if parts.are_in(sent) and parts.unknown_to(self._said[name]).are_in(sent):
                return resource
        return None

    def _addressed(self, value: object) -> Sequence[str]:
        """Returns the principals whom an object addresses; all without a target."""
        return self._audience(value.get("target")) if isinstance(value, dict) else self._names

    def _audience(self, target: object) -> Sequence[str]:
        """Returns the principal with this name, else those whom the target mentions, else all."""
        if target in self._names:
            return [str(target)]
        mentioned = [name for name in self._names if name in "\n".join(_texts(target))]
        return mentioned or self._names


def _texts(value: object) -> Iterator[str]:
    """Yields the texts in a value of JSON, also its numbers and keys, however deep it is."""
    left = deque([value])
    while left:
        entry = left.popleft()
        if isinstance(entry, dict):
            left.extend((*entry, *entry.values()))
        elif isinstance(entry, list):
            left.extend(entry)
        elif entry is not None:
            yield str(entry)
