"""Separates the reasoning in a reply from the answer.

Models put their reasoning into tags (``<think>``, ``<seed:think>``, ``[THINK]``, ``◁think▷``), between special tokens
(``<|begin_of_thought|>``), into a code fence (```` ```thinking ````), or into the channels of the harmony format.  The
users do not see it.
"""

import re
from dataclasses import dataclass

_WORD = (
    r"(?:\w{1,20}[:_-]|ant)?(?:think|thinking|thoughts?|reasoning|reflection|scratchpad|(?:inner|internal)_monologue"
    r"|chain[-_]of[-_]thought|cot|reasoning_content)(?:[:_-]\w{1,20})?"
)
_TAG = re.compile(
    rf"""
      <(?P<shut_tag>/)?(?P<tag>{_WORD})(?:\s[^<>]{{0,200}}+)?>
    | (?-i:\[(?P<shut_caps>/)?(?P<caps>THINK|THINKING|THOUGHT|REASONING)\])
    | [◁⊲](?P<shut_wedge>/)?(?P<wedge>think|thinking)[▷⊳]
    | <\|(?:(?P<shut_token>end_of|end|/)|begin_of|start_of|start|(?=think))_?(?P<token>thoughts?|thinking|think)\|>
    | <\|inner_(?:(?P<shut_inner>suffix)|prefix)\|>(?P<inner>)
    | (?:<unused94>|<\|channel>)(?:thought\n)?(?P<gemma>) | (?P<shut_gemma><unused95>|<channel\|>)
    | <(?P<details>details)\s+type="reasoning"[^<>]{{0,200}}+> | <(?P<shut_details>/)details>
    | ^[ ]{{0,3}}(?P<fence>```+|~~~+)(?:think|thinking|thoughts?|reasoning)[ \t]{{0,20}}$
    | ^[ ]{{0,3}}(?P<shut_fence>```+|~~~+)[ \t]{{0,20}}$\n?
    """,
    re.VERBOSE | re.IGNORECASE | re.MULTILINE,
)
_ALWAYS_CLOSED = frozenset({"fence", "details", "caps:reasoning", "caps:thought"})
"""Kinds of blocks that are text without their closing tag; a closing one alone means nothing, too."""
_QUOTES = frozenset("`'\"“‘«")
_NEW_BLOCK = re.compile(r"(?:\A|[\n.!?:}\])>\"*`。！？])\s{0,100}\Z")
_CHANNEL = re.compile(
    r"<\|channel\|>\s{0,20}(?P<name>\w{1,40}+)[^<]{0,200}+(?:<\|constrain\|>[^<]{0,60}+)?<\|message\|>"
)
_CHANNEL_END = re.compile(r"<\|(?:end|return|call|start|channel)\|>|\Z")
_BARE_CHANNELS = re.compile(r"\s{0,20}analysis(?=[A-Z\s\W])(?P<reasoning>.*)assistant\s{0,5}final", re.DOTALL)
_TEMPLATE_TOKENS = re.compile(
    r"<\|(?:begin_of_solution|end_of_solution|start_response|end_response|im_end|endoftext|eot_id|return|end)\|>",
    re.IGNORECASE,
)
_ANSWER_TAGS = r"<(?P<tag>answer|final|final_answer|response|output|solution)>"
_ANSWER_OPENS = re.compile(_ANSWER_TAGS, re.IGNORECASE)
_ANSWER = re.compile(rf"\s*+{_ANSWER_TAGS}(?P<body>.*)</(?P=tag)>\s*+", re.DOTALL | re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Reply:
    """A reply in two parts."""

    reasoning: str
    """The content of all reasoning blocks, one below the other, without their tags."""
    answer: str
    """The rest of the reply, which is what the users see."""


def split_reasoning(text: str) -> Reply:
    """Separates the reasoning in *text* from the answer, wherever it is.

    A block that is never closed extends to the end.  A closing tag without an opening one ends reasoning that began
    before the reply: some chat templates put the opening tag into the prompt.  A tag in quotes or in code is text.
    """
    if "<|channel|>" in text:
        return _split_channels(text)
    if bare := _BARE_CHANNELS.match(text):  # decoded without the special tokens
        return Reply(bare["reasoning"].strip(), text[bare.end() :])
    reasoning, answer = _split_tags(text)
    if "<|" in answer:
        answer = _TEMPLATE_TOKENS.sub("", answer)
    wrapped = _ANSWER.fullmatch(answer)
    return Reply(_joined(reasoning), wrapped["body"] if wrapped else answer)


def strip_reasoning(text: str) -> str:
    """Returns the answer in *text*; see :func:`split_reasoning`."""
    return split_reasoning(text).answer


def _split_channels(text: str) -> Reply:
    """Splits the harmony format: the answer is in ``final``, or else in ``commentary``, the channel of tool calls."""
    said: dict[str, list[str]] = {}
    outside, position = "", 0
    while opener := _CHANNEL.search(text, position):
        end = _CHANNEL_END.search(text, opener.end())
        position = end.start() if end else len(text)
        said.setdefault(opener["name"].casefold(), []).append(text[opener.end() : position])
        outside = outside or text[: opener.start()].removesuffix("<|start|>assistant")
    if "final" not in said and "commentary" not in said:
        said["final"] = [outside]
    answer = said.pop("final", None) or said.pop("commentary")
    return Reply(_joined([part for parts in said.values() for part in parts]), "\n".join(answer))


@dataclass(frozen=True, slots=True)
class _Tag:
    kind: str
    closes: bool
    start: int
    end: int


def _split_tags(text: str) -> tuple[list[str], str]:
    tags = [_tag(match) for match in _TAG.finditer(text) if not _is_quoted(text, match)]
    reasoning: list[str] = []
    answer: list[str] = []
    position = len(text) - len(text.lstrip()) if tags else 0
    for tag, closing in zip(tags, _closings(tags), strict=True):
        if tag.start < position:
            continue
        before = text[position : tag.start]
        if tag.closes:
            if tag.kind not in _ALWAYS_CLOSED:
                reasoning += [*answer, before]
                answer, position = [], tag.end
        elif closing is not None:
            reasoning.append(text[tag.end : closing.start])
            answer += [before] if answer or before.strip() else []
            position = closing.end
        elif tag.kind not in _ALWAYS_CLOSED and _NEW_BLOCK.search(text[max(0, tag.start - 101) : tag.start]):
            resumes = _ANSWER_OPENS.search(text, tag.end)
            end = resumes.start() if resumes else len(text)
            reasoning.append(text[tag.end : end])
            answer.append(before)
            position = end
    return reasoning, "".join(answer) + text[position:]


def _is_quoted(text: str, match: re.Match[str]) -> bool:
    return {text[match.start() - 1 : match.start()], text[match.end() : match.end() + 1]} <= _QUOTES


def _tag(match: re.Match[str]) -> _Tag:
    group = match.lastgroup or ""
    name = group.removeprefix("shut_")
    kind = f"{name}:{match[name].casefold()}" if name in ("tag", "caps", "wedge", "token") else name
    closes = group.startswith("shut_") or bool(match.groupdict().get(f"shut_{name}"))
    return _Tag(kind, closes, match.start(), match.end())


def _closings(tags: list[_Tag]) -> list[_Tag | None]:
    """Returns the next closing tag of the same kind for each tag."""
    following: dict[str, _Tag] = {}
    found: list[_Tag | None] = []
    for tag in reversed(tags):
        found.append(following.get(tag.kind))
        if tag.closes:
            following[tag.kind] = tag
    return found[::-1]


def _joined(parts: list[str]) -> str:
    return "\n".join(filter(None, map(str.strip, parts)))
