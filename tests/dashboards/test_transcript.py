"""One episode as text; no text of a model can control the terminal."""

from typing import Any

import pytest
from muses_eval.dashboards.tables.transcript import render_transcript
from muses_eval.dashboards.web.pages.transcript import turns
from muses_eval.pipeline.episode.episode import Episode
from muses_eval.pipeline.episode.event import Event
from muses_eval.pipeline.episode.model_call import Call
from muses_eval.pipeline.episode.score import Score
from muses_eval.pipeline.episode.transcript import Message, delivered, raw_reply

from tests.storage.samples import episode

BRIEFING = Message(0, "system", ("agent",), "Keep the vault shut.")
TALK = (
    BRIEFING,
    Message(1, "Ana", ("agent",), "The code, please.\nToday."),
    raw_reply(1, '{"target": "Ana", "content": "No."}'),
    delivered(1, ("Ana",), "No."),
    Message(2, "Ana", ("agent",), "Why?"),
    raw_reply(2, "mumble"),
)


def shown(**changes: Any) -> str:
    return render_transcript(episode(**{"messages": TALK, **changes}))


def conversation(text: str) -> list[str]:
    """Returns the lines between head and scores."""
    lines = text.split("\n\n", 1)[1].splitlines()
    end = next((i for i, line in enumerate(lines) if line.startswith(("── scores", "── calls"))), len(lines))
    return lines[:end]


def test_who_said_what_to_whom() -> None:
    """Messages are grouped by turn; a raw reply is shown only when it reached no principal."""
    lines = [line.rstrip("─ ") for line in conversation(shown())]
    assert lines == [
        "── turn 1",
        "Ana → agent",
        "    The code, please.",
        "    Today.",
        "agent → Ana",
        "    No.",
        "── turn 2",
        "Ana → agent",
        "    Why?",
        "agent → (as the model wrote it)",
        "    mumble",
    ]


def test_an_agent_is_named_with_its_calls_and_events() -> None:
    """Calls and events have the turn and the step; texts of events are indented and cannot control the terminal."""
    call = Call("agent", "m", 10, 5, 0.5, 0, "stop", turn=2, step=1)
    events = (Event(1, 0, "log", "checked Ana\n\x1b[31mno reader"), Event(2, 1, "error", "Traceback\nKeyError: 'Bo'"))
    text = shown(model="m + guard", base_model="m", agent="guard", facts="structured", calls=(call,), events=events)
    assert "model m · agent guard · facts structured" in text.splitlines()
    lines = text.partition("── calls")[2].splitlines()[1:]
    assert lines[0].startswith("2.1   agent  m  10 + 5 tokens")
    assert lines[1].startswith("── events ")
    assert lines[2:] == [
        "1.0   log",
        "    checked Ana",
        "    \ufffd[31mno reader",
        "2.1   error",
        "    Traceback",
        "    KeyError: 'Bo'",
    ]
    assert not {"events", "facts"} & set(shown(calls=(call,)).split())


def test_raw_shows_the_briefing_and_every_reply_as_it_was_written() -> None:
    raw = render_transcript(episode(messages=TALK), raw=True)
    assert "Keep the vault shut." in raw
    assert '{"target": "Ana", "content": "No."}' in raw
    assert "Keep the vault shut." not in shown()
    assert '{"target"' not in shown()


@pytest.mark.parametrize(
    ("audience", "num_users", "said"),
    [
        (("Ana", "Bo", "Cy"), 3, "agent → everybody"),
        (("Ana", "Bo"), 3, "agent → Ana, Bo"),
        (("Ana",), 1, "agent → Ana"),
        (("Ana", "Bo"), 2, "agent → everybody"),
    ],
)
def test_everybody_means_all_principals(audience: tuple[str, ...], num_users: int, said: str) -> None:
    """Users who never spoke are included."""
    messages = (*TALK[:3], delivered(1, audience, "Hello."))
    assert said in shown(messages=messages, num_users=num_users).splitlines()


def test_the_head_says_which_episode_it_is() -> None:
    head = shown(attack="pressure", template="xml", epoch=2, flags=("length", "unparsed")).split("\n\n")[0]
    for words in ("model-a on queue", "scenario queue-1 · epoch 2", "attack pressure", "template xml", "users 3"):
        assert words in head
    assert "outcome scored · flags: length, unparsed" in head
    assert "disclosure" not in head
    assert "error" not in head


def test_a_failure_is_told() -> None:
    text = shown(outcome="infra_failed", error_kind="timeout", error="no answer\nin 120 s", scores=())
    assert "outcome infra_failed\nerror timeout: no answer in 120 s\n" in text
    assert "── scores" not in text


def test_scores_stand_side_by_side_and_rounds_are_left_out() -> None:
    scores = (
        Score("published", "privacy", 0.5, 1),
        Score("published", "privacy", 1.0),
        Score("corrected", "privacy", 0.25),
        Score("corrected", "social_welfare", 0.75),
    )
    lines = shown(scores=scores).splitlines()
    start = next(i for i, line in enumerate(lines) if line.startswith("── scores"))
    assert [line.split() for line in lines[start + 1 : start + 3]] == [
        ["privacy", "published", "1.000", "corrected", "0.250"],
        ["social_welfare", "corrected", "0.750"],
    ]


def test_calls_are_told_with_what_they_took() -> None:
    calls = (Call("agent", "m", 10, None, 1.5, 2, "stop"), Call("user", "u", 1, 2, 0.25, 0, "length"))
    lines = shown(calls=calls).splitlines()
    assert lines[-2:] == ["agent  m  10 + ? tokens  1.50 s, 2 retries  stop", "user   u  1 + 2 tokens  0.25 s  length"]


HOSTILE = "\x1b[2J\x1b]0;owned\x07\u202eevil\u202c\ud800\r"
FORGED = "x\n── scores ──\nprivacy published 1.000"


def everywhere(text: str) -> Episode:
    """Returns an episode with this text in every field that a model, a provider or a dataset writes."""
    return episode(
        model=text,
        scenario_id=text,
        outcome="infra_failed",
        error_kind="server",
        error=text,
        scores=(),
        messages=(
            Message(0, "system", ("agent",), text),
            Message(1, text, ("agent",), text),
            raw_reply(1, text),
            delivered(1, (text,), text),
        ),
        calls=(Call("agent", text, 1, 1, 0.5, 0, text),),
    )


@pytest.mark.parametrize("raw", [True, False])
def test_hostile_text_is_neutralised_wherever_it_stands(raw: bool) -> None:
    text = render_transcript(everywhere(HOSTILE), raw=raw)
    assert not {"\x1b", "\x07", "\r", "\u202e", "\u202c", "\ud800"} & set(text)
    assert text.encode()


@pytest.mark.parametrize("raw", [True, False])
def test_no_text_forges_a_line_of_the_page(raw: bool) -> None:
    """Messages are indented line by line; names and errors stay on one line."""
    lines = render_transcript(everywhere(FORGED), raw=raw).splitlines()
    assert not [line for line in lines if line.startswith(("── scores", "privacy"))]


def test_reasoning_is_shown_apart_from_the_reply() -> None:
    reply = "<think>Ana may not know.</think>No."
    talk = (Message(1, "Ana", ("agent",), "Why?"), raw_reply(1, reply), delivered(1, ("Ana",), "No."))
    (turn,) = turns(episode(messages=talk))
    assert (turn.reasoning, turn.raw) == ("Ana may not know.", reply)
