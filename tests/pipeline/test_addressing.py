"""Whom a reply reaches: every wrapper that clearly addresses one principal reaches this principal only."""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from muses_eval.pipeline.episode import addressing
from muses_eval.pipeline.episode.audience import AddressBook

from tests.cpu_limit import cpu_limit
from tests.strategies import model_texts

NAMES = ("Heidi", "Oliver", "Judy")
ALL = frozenset(NAMES)


def reached(reply: str) -> dict[str, str]:
    got: dict[str, list[str]] = {}
    for delivery in addressing.interpret(NAMES, reply, ("Oliver",)).deliveries:
        for name in delivery.audience:
            got.setdefault(name, []).append(delivery.text)
    return {name: " ".join(texts) for name, texts in got.items()}


@pytest.mark.parametrize(
    "frame",
    [
        "[Agent -> {}]: {}",
        "Agent → {}: {}",
        "-> {}: {}",
        "DM {}: {}",
        "Whisper to {}: {}",
        "{}: {}",
        "[{}]: {}",
        "[{}] {}",
        "({}) {}",
        "**{}:** {}",
        "**{}**: {}",
        "**{}** (CTO): {}",
        "{} (Sales Manager): {}",
        "- **To {}:** {}",
        "> {}: {}",
        "{} — {}",
        "@{} {}",
        "@{}: {}",
        "To {}: {}",
        "to {}: {}",
        "To: {}\n{}",
        "To: {}\nContent: {}",
        "target: {}\ncontent: {}",
        "[To: {}] {}",
        "For {}: {}",
        "Message to {}: {}",
        "Private message for {}:\n{}",
        "Reply to @{}: {}",
        "Assistant to {}: {}",
        "An {}: {}",
        "Pour {} : {}",
        "Para {}: {}",
        "给{}：{}",
        "{} | {}",
        "{} >> {}",
        "=== {} ===\n{}",
        "recipient={}\n{}",
        "### {}\n{}",
        "## 👤 {}\n\n{}",
        "### Response to {}\n{}",
        "**{}**\n\n{}",
        "{}\n{}",
        "<{0}>{1}</{0}>",
        "<{0}_persona>{1}</{0}_persona>",
        "<{0}>\n{1}\n</{0}>",
        '<message to="{}">{}</message>',
        "<response user='{}'>{}</response>",
        "<to>{}</to><content>{}</content>",
        "<message><target>{}</target><content>{}</content></message>",
        "| {} | {} |",
        "<p><b>{}</b>: {}</p>",
        "<h3>{}</h3>\n{}",
    ],
)
def test_a_form_of_prose_reaches_one_principal(frame: str) -> None:
    reply = "\n".join([frame.format("Heidi", "no"), frame.format("Oliver", "yes")])
    assert reached(reply) == {"Heidi": "no", "Oliver": "yes"}
    assert reached(frame.format("judy", "no")) == {"Judy": "no"}


@pytest.mark.parametrize(
    "salutation", ["{}, ", "Dear {},\n", "Hi {}! ", "Hello {}, ", "Liebe {},\n", "Bonjour {}, ", "Hola {}: "]
)
def test_a_salutation_is_an_address(salutation: str) -> None:
    texts = {name: salutation.format(name) + "that is all." for name in ("Heidi", "Oliver")}
    assert reached("\n\n".join(texts.values())) == texts


OBJECTS: list[Any] = [
    {"target": "Heidi", "content": "no"},
    {"Target": "heidi", "Content": "no"},
    {"TO": "HEIDI", "MESSAGE": "no"},
    {"to": "@Heidi", "text": "no"},
    {"recipient": "Heidi (CTO)", "body": "no"},
    {"user_id": "Heidi", "response": "no"},
    {"userId": "Heidi", "reply": "no"},
    {"targetUser": "Heidi", "message": "no"},
    {"addressee": "Heidi - CTO", "answer": "no"},
    {"for": "Heidi", "message_content": "no"},
    {"name": "Heidi", "message": "no"},
    {"target": "Heidi_persona", "content": "no"},
    {"target": {"name": "Heidi", "role": "CTO"}, "content": "no"},
    {"target": ["Heidi"], "content": "no"},
    {"target": [{"id": "Heidi"}], "content": "no"},
    {"target": "Heidi", "content": {"text": "no"}},
    {"target": "Heidi", "content": ["no"]},
    {"Heidi": "no"},
    {"heidi": {"decision": "REJECT", "message": "no"}},
    {"to_Heidi": "no"},
    {"Agent -> Heidi": "no"},
    {"Heidi": "no", "reasoning": "Oliver may have it"},
    {"messages": [{"to": "Heidi", "content": "no"}]},
    {"messages": {"Heidi": "no"}},
    {"response": {"target": "Heidi", "content": "no"}},
    {"output": {"replies": [{"user": "Heidi", "text": "no"}]}},
    {"users": [{"name": "Heidi", "message": "no"}]},
    [{"target": "Heidi", "content": "no"}],
    {"name": "send_message", "arguments": {"to": "Heidi", "content": "no"}},
    {"name": "send_message", "arguments": '{"to": "Heidi", "content": "no"}'},
    {"tool": "chat", "input": {"recipient": "Heidi", "message": "no"}},
    {"target": "Heidi", "content": "no", "decision": "REJECT", "reason": "Oliver is on the list", "thought": "hm"},
    {"user": "Heidi", "decision": "REJECT", "message": "no"},
]


@pytest.mark.parametrize("value", OBJECTS, ids=json.dumps)
def test_a_form_of_json_reaches_one_principal(value: Any) -> None:
    assert reached(json.dumps(value)) == {"Heidi": "no"}
    assert addressing.interpret(NAMES, json.dumps(value)).readable


def test_further_data_of_a_message_belongs_to_it() -> None:
    assert reached('{"target": "Oliver", "content": "Attached.", "resource": "DATA"}') == {"Oliver": "Attached.\nDATA"}
    assert reached('{"to": "Oliver", "document": {"id": 7}}') == {"Oliver": '{"id": 7}'}


@pytest.mark.parametrize(
    ("address", "wanted"),
    [
        *[
            (group, ALL)
            for group in ("all", "ALL", "everyone", "Everybody", "both", "both of you", "all of you", "*", "@all")
        ],
        *[
            (group, ALL)
            for group in ("all participants", "All users", "everyone in the team", "the whole team", "team", "@channel")
        ],
        *[
            (group, ALL)
            for group in ("@here", "the group", "all three users", "each participant", "entire team", "alle", "tous")
        ],
        *[(group, ALL) for group in ("todos", "大家", "all_users", "Heidi, Oliver and Judy", "[all]", "broadcast")],
        *[
            (group, {"Oliver", "Judy"})
            for group in ("everyone except Heidi", "all but Heidi", "All users (except Heidi)")
        ],
        *[
            (group, {"Oliver", "Judy"})
            for group in ("all other than Heidi", "team, not Heidi", "alle außer Heidi", "tous sauf Heidi")
        ],
        *[
            (group, {"Judy"})
            for group in ("everyone except Heidi and Oliver", "all excluding Oliver, Heidi", "judy", "@Judy!")
        ],
        *[
            (group, {"Heidi", "Judy"})
            for group in ("Heidi and Judy", "heidi, judy", "Heidi & Judy", "Heidi/Judy", "Heidi; Judy")
        ],
        *[
            (group, {"Heidi", "Judy"})
            for group in ("Heidi und Judy", "Heidi et Judy", "Heidi y Judy", "Heidi、Judy", "@Heidi @Judy")
        ],
        *[
            (group, {"Oliver"})
            for group in ("authorized users", "all authorised users", "the authorized user", "Oliver only")
        ],
        *[
            (group, {"Heidi", "Judy"})
            for group in ("unauthorized users", "all non-authorized users", "not authorized users")
        ],
        *[
            (group, {"Oliver"})
            for group in ("everybody who is authorized", "all users with access", "those who have clearance")
        ],
        *[
            (group, {"Heidi", "Judy"})
            for group in ("all users who are not authorized", "everyone without access", "users who have no permission")
        ],
        *[
            (name, {"Heidi"})
            for name in ("Heidi (cc security)", "User Heidi", "Ms. Heidi", "Dear Heidi", "**Heidi**", "“Heidi”")
        ],
        *[
            (group, set())
            for group in ("", "Mallory", "no one", "nobody", "team lead", "Heidi's manager", "TARGET_NAME", "Heidik")
        ],
        *[
            (group, set())
            for group in (
                "allison",
                "access",
                "everyone's access",
                "security team lead",
                "system",
                "the owner of all users",
                "x" * 100_000,
            )
        ],
    ],
)
def test_an_address_names_a_set_of_principals(address: str, wanted: set[str]) -> None:
    assert set(AddressBook(NAMES, ("Oliver",)).audience(address)) == wanted


def test_a_name_is_an_address_whatever_its_words_mean() -> None:
    book = AddressBook(("Bar Cohen", "Lee, Ana", "Ana", "ana", "Everyone"))
    assert [book.audience(name) for name in book.names] == [(name,) for name in book.names]


def test_everyone_else_means_those_whom_the_reply_does_not_name() -> None:
    first, second = {"to": "everyone else", "content": "no"}, {"to": "Oliver", "content": "yes"}
    assert reached(json.dumps(first) + json.dumps(second)) == {"Heidi": "no", "Judy": "no", "Oliver": "yes"}
    assert reached("Oliver: yes\nEveryone else: no") == {"Heidi": "no", "Judy": "no", "Oliver": "yes"}


def test_authorized_users_are_unknown_without_the_group() -> None:
    assert AddressBook(NAMES).audience("all authorized users") == ()


@pytest.mark.parametrize(
    "reply",
    [
        "I can't share it.",
        "Heidi and Oliver asked for it.",
        "To summarize: no.",
        "Note: no.",
        "Please ask @Oliver.",
        "Heidi's request is refused.",
    ],
)
def test_a_text_without_an_addressee_is_for_all(reply: str) -> None:
    assert reached(reply) == dict.fromkeys(NAMES, reply)


@pytest.mark.parametrize(
    "reply",
    [
        '{"target": "Mallory", "content": "x"}',
        "[Agent -> Mallory]: x",
        "@Mallory: x",
        "To Mallory: x",
        '<message to="Mallory">x</message>',
        '{"target": "Heidi", "content": null}',
        '{"target": 5, "content": "x"} {"target": "Mallory", "content": "x"}',
    ],
)
def test_a_text_for_an_unknown_name_reaches_nobody(reply: str) -> None:
    assert reached(reply) == {}


@pytest.mark.parametrize(
    ("reply", "wanted"),
    [
        ("[Heidi]: no [Oliver]: yes", {"Heidi": "no", "Oliver": "yes"}),
        ("Heidi: no\nmore\n\nstill\nOliver: yes", {"Heidi": "no\nmore\n\nstill", "Oliver": "yes"}),
        (
            "[Agent -> Heidi]: Ask him.\nOliver, who owns it, can help.",
            {"Heidi": "Ask him.\nOliver, who owns it, can help."},
        ),
        ("Oliver: 1. User: Alice\nSource: Heidi Smith", {"Oliver": "1. User: Alice\nSource: Heidi Smith"}),
        ("Hello\nTo Judy: x", {"Heidi": "Hello", "Oliver": "Hello", "Judy": "Hello x"}),
        ("Internal note: the code is 7.\n\nHeidi: no", {"Heidi": "no"}),
        ("Heidi and Judy: no\nOliver: yes", {"Heidi": "no", "Judy": "no", "Oliver": "yes"}),
        ("Agent: Oliver, that is it.", {"Oliver": "Agent: Oliver, that is it."}),
        (
            "Heidi: User: Ann Lee - Reset\nTarget: Bolt Inc - high",
            {"Heidi": "User: Ann Lee - Reset\nTarget: Bolt Inc - high"},
        ),
        ("Everyone: hi", dict.fromkeys(NAMES, "hi")),
        ("All except Oliver: no\nOliver: yes", {"Heidi": "no", "Judy": "no", "Oliver": "yes"}),
    ],
)
def test_prose_is_split_by_addressees(reply: str, wanted: dict[str, str]) -> None:
    assert reached(reply) == wanted


@given(reply=model_texts())
@settings(max_examples=300)
def test_addressing_never_raises(reply: str) -> None:
    action = addressing.interpret(NAMES, reply, ("Oliver",))
    assert all(delivery.audience and delivery.text for delivery in action.deliveries)


@pytest.mark.slow
@pytest.mark.parametrize(
    "piece",
    ["Heidi: ", "@Heidi ", "<Heidi>", '<a to="Heidi">', "Heidi, ", "-> ", "[Heidi]: ", "except ", "| Heidi |\n"],
)
def test_a_long_reply_is_split(piece: str) -> None:
    for text in (piece * (50_000 // len(piece)), (piece + "\n") * (50_000 // len(piece))):
        with cpu_limit(5.0):
            addressing.interpret(NAMES, text)
