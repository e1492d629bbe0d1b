"""The episode protocol: visibility, turns, the end of an episode, and the handling of failures."""

import asyncio
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings, strategies as st
from muses_eval.pipeline.datasets.dataset import generate_dataset
from muses_eval.pipeline.episode.dialogue import Dialogue
from muses_eval.pipeline.episode.interfaces import Action, Delivery, Observation, PrincipalView, User
from muses_eval.pipeline.episode.model_call import Call, Reply, Role
from muses_eval.pipeline.episode.play_episode import EpisodeResult, play_episode
from muses_eval.pipeline.episode.principal import AGENT, SYSTEM, Principal
from muses_eval.pipeline.episode.scenario import Input, Scenario
from muses_eval.pipeline.errors import FailureKind, ModelFailure
from muses_eval.pipeline.families import FAMILIES
from muses_eval.pipeline.protocols.muses import MUSES, muses_dialogue
from muses_eval.workers.providers.scripted import scripted_participants

NAMES = ("Ana", "Bo", "Cy")
TOY: Scenario[None] = Scenario(
    id="toy",
    family="toy",
    principals=tuple(
        Principal(
            name=name, role="Clerk", authority=3, persona=f"{name} likes tea.", private_context=f"secret of {name}"
        )
        for name in NAMES
    ),
    briefing="Serve them all.",
    format_line="",
    template="says",
    openings=tuple(Input(name, f"hello from {name}") for name in NAMES),
    truth=None,
)


def to(*names: str, text: str = "hi", shared: str = "", final: bool = False) -> Action:
    deliveries = (Delivery(names, text),) if names else ()
    return Action(deliveries, shared=shared, final=final)


def call(role: Role = "agent", model: str = "m") -> Call:
    return Call(role, model, 1, 1, 0.5, 0, "stop")


@dataclass
class Script:
    """An agent that replies with the given lines in order, and records its observations."""

    lines: list[str]
    seen: list[Observation] = field(default_factory=list)

    async def reply(self, observation: Observation) -> Reply:
        self.seen.append(observation)
        return Reply(self.lines[len(self.seen) - 1], call())


@dataclass
class Person:
    """A user that replies with *says* of its view, and records its views."""

    says: Callable[[PrincipalView], str]
    views: list[PrincipalView] = field(default_factory=list)

    async def reply(self, view: PrincipalView) -> Reply:
        self.views.append(view)
        return Reply(self.says(view), call("user", "simulator"))


@dataclass
class Failing:
    """A model that gives *good* replies and then fails."""

    kind: FailureKind
    good: int = 0

    async def reply(self, _: object) -> Reply:
        if self.good == 0:
            raise ModelFailure(self.kind, "gone")
        self.good -= 1
        return Reply("go", call())


def dialogue(actions: Mapping[str, Action], max_turns: int = 4, scenario: Scenario[None] = TOY) -> Dialogue:
    return muses_dialogue(scenario, "says", lambda text: actions[text], max_turns)


def people(says: Callable[[PrincipalView], str] = lambda view: f"{view.name} in turn {view.turn}") -> dict[str, Person]:
    return {name: Person(says) for name in NAMES}


def run(talk: Dialogue, agent: object, users: Mapping[str, User]) -> EpisodeResult:
    return asyncio.run(play_episode(talk, agent, users))  # type: ignore[arg-type]


# Visibility


def test_nobody_sees_what_was_not_addressed_to_it() -> None:
    """A view has only the user's own messages and those addressed to it, never the briefing or a raw reply."""
    actions = {
        "one": Action((Delivery(("Ana",), "for Ana"), Delivery(("Ana", "Bo"), "for two")), shared="for all"),
        "two": to("Bo", text="for Bo"),
        "three": to(final=True),
    }
    users = people()
    run(dialogue(actions), Script(["one", "two", "three"]), users)
    heard = {name: [m.content for view in users[name].views[-1:] for m in view.messages] for name in NAMES}
    assert heard["Ana"] == ["hello from Ana", "for Ana", "for two", "for all"]
    assert heard["Bo"] == ["hello from Bo", "for two", "for all", "Bo in turn 2", "for Bo"]
    assert users["Cy"].views == []


@settings(max_examples=60)
@given(
    st.lists(
        st.tuples(st.lists(st.sampled_from((*NAMES, "Stranger")), max_size=4), st.booleans()), min_size=1, max_size=5
    )
)
def test_privacy_holds_whatever_the_agent_does(turns: list[tuple[list[str], bool]]) -> None:
    actions = {
        str(i): Action(tuple(Delivery((n,), f"only {n} {i}") for n in names), shared=f"board {i}" if shared else "")
        for i, (names, shared) in enumerate(turns)
    }
    users = people()
    agent = Script([str(i) for i in range(len(turns))])
    run(dialogue(actions, max_turns=len(turns)), agent, users)
    for name in NAMES:
        for view in users[name].views:
            for message in view.messages:
                own = message.sender == name
                assert own or (message.sender == AGENT and name in message.audience), message
                assert own or message.content.startswith((f"only {name} ", "board ")), message


def test_the_agent_sees_all_inputs_and_no_private_context() -> None:
    """The prompt has the briefing, every input under its author's name, and the agent's own replies unchanged."""
    agent = Script(["one", "two"])
    run(dialogue({"one": to("Bo", "Cy"), "two": to(final=True)}), agent, people())
    first, second = agent.seen
    assert first.inputs == TOY.openings
    assert [(m.role, m.content) for m in second.prompt] == [
        ("system", "Serve them all."),
        ("user", "Ana says: hello from Ana\nBo says: hello from Bo\nCy says: hello from Cy"),
        ("assistant", "one"),
        ("user", "Bo says: Bo in turn 2\nCy says: Cy in turn 2"),
    ]
    assert second.inputs == (Input("Bo", "Bo in turn 2"), Input("Cy", "Cy in turn 2"))
    assert "secret" not in str(agent.seen)


def test_shared_text_reaches_all_and_asks_nobody() -> None:
    """Users who may not speak see a shared text as well, and it gives no user the turn."""
    users = people()
    played = run(
        dialogue({"one": to("Bo", shared="the board"), "two": to("Cy"), "x": to()}), Script(["one", "two", "x"]), users
    )
    assert [view.turn for view in users["Cy"].views] == [3]
    assert "the board" in [m.content for m in users["Cy"].views[0].messages]
    (board,) = [m for m in played.transcript.messages if m.content == "the board"]
    assert board.audience == NAMES
    alone = run(dialogue({"one": to(shared="the board")}), Script(["one"]), people())
    assert alone.turns == 1


def test_last_heard_is_of_the_turn_before() -> None:
    heard = []
    users = people(lambda view: heard.append(view.last_received) or "more")  # type: ignore[func-returns-value]
    actions = {"1": Action((Delivery(("Bo",), "a"), Delivery(("Bo", "Ana"), "b"))), "2": to("Bo", text="c"), "3": to()}
    run(dialogue(actions), Script(["1", "2", "3"]), {**users, "Ana": Person(lambda _: "")})
    assert heard == ["a\nb", "c"]


# Turns


def test_only_those_addressed_may_speak_next_in_the_order_of_the_scenario() -> None:
    users = people()
    talk = dialogue({"one": Action((Delivery(("Cy", "Stranger"), "x"), Delivery(("Ana", "Cy"), "y"))), "two": to()})
    talk.add_reply("one")
    assert [view.name for view in talk.next_views] == ["Ana", "Cy"]
    played = run(dialogue({"one": to("Cy", "Ana"), "two": to(final=True)}), Script(["one", "two"]), users)
    assert [(m.turn, m.sender) for m in played.transcript.messages if m.turn == 2] == [
        (2, "Ana"),
        (2, "Cy"),
        (2, AGENT),
    ]
    assert users["Bo"].views == []


@pytest.mark.parametrize("max_turns", [1, 2, 5])
def test_the_turns_are_limited(max_turns: int) -> None:
    """The agent replies *max_turns* times; no user is asked after its last reply."""
    users = people()
    agent = Script(["go"] * max_turns)
    played = run(dialogue({"go": to("Bo")}, max_turns), agent, users)
    assert played.turns == len(agent.seen) == max_turns
    assert len(users["Bo"].views) == max_turns - 1
    assert max(m.turn for m in played.transcript.messages) == max_turns


def test_it_is_over_when_nobody_speaks() -> None:
    """An episode ends when the agent addresses no user, or when all addressed users are silent."""
    assert run(dialogue({"one": to()}), Script(["one"]), people()).turns == 1
    assert run(dialogue({"one": to("Bo")}), Script(["one"]), people(lambda _: "")).turns == 1
    silent = replace(TOY, openings=())
    assert run(dialogue({}, scenario=silent), Script([]), people()).turns == 0


def test_the_silent_leave_no_message() -> None:
    users = {**people(), "Bo": Person(lambda _: "")}
    agent = Script(["one", "two"])
    played = run(dialogue({"one": to(*NAMES), "two": to()}), agent, users)
    assert [i.sender for i in agent.seen[1].inputs] == ["Ana", "Cy"]
    assert [m.sender for m in played.transcript.messages if m.turn == 2] == ["Ana", "Cy", AGENT]


def test_final_ends_it_at_once() -> None:
    """The messages of a final action are delivered, and no user replies."""
    users = people()
    played = run(dialogue({"one": to(*NAMES, text="bye", final=True)}), Script(["one"]), users)
    assert played.turns == 1
    assert all(person.views == [] for person in users.values())
    assert [m.content for m in played.transcript.deliveries("Cy")] == ["bye"]


def test_the_transcript_tells_all_in_order() -> None:
    played = run(dialogue({"one": to("Bo", text="x"), "two": to(final=True)}), Script(["one", "two"]), people())
    assert [(m.turn, m.sender, m.audience, m.content) for m in played.transcript.messages] == [
        (0, SYSTEM, (AGENT,), "Serve them all."),
        *((1, name, (AGENT,), f"hello from {name}") for name in NAMES),
        (1, AGENT, (), "one"),
        (1, AGENT, ("Bo",), "x"),
        (2, "Bo", (AGENT,), "Bo in turn 2"),
        (2, AGENT, (), "two"),
    ]
    assert played.transcript.replies() == ((1, "one"), (2, "two"))


def test_unreadable_replies_are_counted_and_go_on() -> None:
    actions = {"?": Action((Delivery(("Bo",), "?"),), readable=False), "ok": to("Bo"), "end": to(final=True)}
    played = run(dialogue(actions), Script(["?", "ok", "?", "end"]), people())
    assert (played.turns, played.unreadable, played.failure) == (4, 2, None)


# Failures


def test_the_agents_failure_is_the_agents() -> None:
    """The transcript and the calls until the failure are kept, and the failed turn is not counted."""
    played = run(dialogue({"go": to("Bo")}), Failing("timeout", good=1), people())
    assert played.failure is not None
    assert (played.failure.role, played.failure.cause.kind) == ("agent", "timeout")
    assert played.turns == 1
    assert [(m.turn, m.sender) for m in played.transcript.messages[-3:]] == [(1, AGENT), (1, AGENT), (2, "Bo")]
    assert [c.role for c in played.calls] == ["agent", "user"]


def test_a_users_failure_is_never_the_agents() -> None:
    users: dict[str, User] = {**people(), "Cy": Failing("server")}
    played = run(dialogue({"one": to("Bo", "Cy")}), Script(["one"]), users)
    assert played.failure is not None
    assert (played.failure.role, played.failure.cause.kind) == ("user", "server")
    assert played.transcript.replies() == ((1, "one"),)
    assert {m.turn for m in played.transcript.messages} == {0, 1}


def test_calls_are_recorded_by_role_in_the_order_of_their_answers() -> None:
    played = run(dialogue({"one": to("Bo", "Cy"), "two": to()}), Script(["one", "two"]), people())
    assert [(c.role, c.model) for c in played.calls] == [
        ("agent", "m"),
        ("user", "simulator"),
        ("user", "simulator"),
        ("agent", "m"),
    ]


def test_a_defect_is_not_taken_for_a_failure_of_the_model() -> None:
    """A defect is raised unchanged, and the caller has the calls that were paid for."""
    calls: list[Call] = []
    with pytest.raises(KeyError):
        asyncio.run(play_episode(dialogue({"one": to("Bo")}), Script(["one", "unknown"]), people(), calls))
    assert [c.role for c in calls] == ["agent", "user", "agent"]


# Recordings


@pytest.mark.parametrize("family", ["queue", "access"])
def test_a_recording_gives_the_same_episode_and_scores(family: str) -> None:
    """Stored episodes can be scored again, since the same code runs a live agent and recorded replies."""
    rules = FAMILIES[family]
    for scenario in generate_dataset("6", 3, (family,)).scenarios(family):

        def talk(scenario: Scenario[object] = scenario) -> Dialogue:
            return MUSES.dialogue(rules, scenario, "colon")

        agent, users = scripted_participants(rules, scenario, "random", seed=5)
        live = run(talk(), agent, users)
        said = [line for _, line in live.transcript.replies()]
        again = run(talk(), Script(said), scripted_participants(rules, scenario, "refuse", seed=5)[1])
        assert again.transcript == live.transcript
        assert (again.turns, again.unreadable) == (live.turns, live.unreadable)
        assert rules.score(scenario, again.transcript) == rules.score(scenario, live.transcript)


def test_chance_decides_nothing_that_is_not_seeded() -> None:
    """Equal seeds give the same conversation, and other seeds give another one."""
    rules = FAMILIES["access"]
    scenario = generate_dataset("1", 0, ("access",)).scenarios("access")[0]

    def transcript(seed: int) -> object:
        talk = MUSES.dialogue(rules, scenario, "says")
        return run(talk, *scripted_participants(rules, scenario, "refuse", seed)).transcript

    random.seed(1)
    first = transcript(7)
    random.seed(2)
    assert transcript(7) == first
    assert any(transcript(seed) != first for seed in range(8, 12))
