"""The parts of the fake provider that need no network: limits, request log, fault profile, replies."""

import random
import statistics
from pathlib import Path

import pytest
from hypothesis import given, settings, strategies as st
from muses_eval.pipeline.datasets.dataset import generate_dataset
from muses_eval.pipeline.episode.interfaces import PrincipalView
from muses_eval.pipeline.episode.principal import Principal
from muses_eval.pipeline.episode.scenario import Input
from muses_eval.pipeline.episode.serialization import TEMPLATES
from muses_eval.pipeline.episode.user_prompt import SILENCE, user_prompt
from muses_eval.pipeline.errors import ConfigError
from muses_eval.pipeline.families import FAMILIES
from muses_eval.pipeline.protocols.muses import MUSES
from muses_eval.workers.rehearsal.canned_replies import CannedModel, PrefixCache, count_tokens
from muses_eval.workers.rehearsal.fault_profile import (
    PRESETS,
    Distribution,
    Fault,
    FaultProfile,
    HardLimits,
    LimitChange,
    parse_fault_profile,
)
from muses_eval.workers.rehearsal.hard_limits import AccountUsage
from muses_eval.workers.rehearsal.request_log import (
    LoggedRequest,
    RequestLog,
    TokenUsage,
    largest_window_sum,
    peak_concurrency,
)
from muses_eval.workers.rehearsal.wire_format import CompletionRequest

TIMES = st.lists(st.integers(0, 40).map(lambda tenths: tenths / 10), max_size=30).map(sorted)


@settings(deadline=None)
@given(TIMES, st.integers(1, 5))
def test_the_largest_window_is_the_largest_of_all_windows(times: list[float], seconds: int) -> None:
    """The result equals the maximum over all half-open windows that end at an arrival."""
    brute = max((sum(end - seconds < at <= end for at in times) for end in times), default=0)
    assert largest_window_sum([(at, 1) for at in times], seconds) == brute


@settings(deadline=None)
@given(st.lists(st.tuples(st.integers(0, 20), st.integers(1, 9)), max_size=20))
def test_the_peak_is_the_most_that_overlap(spans: list[tuple[int, int]]) -> None:
    pairs = [(float(start), float(start + length)) for start, length in spans]
    brute = max((sum(start <= at < end for start, end in pairs) for at, _ in pairs), default=0)
    assert peak_concurrency(pairs) == brute


def test_what_has_not_ended_counts_to_the_end() -> None:
    assert peak_concurrency([(0.0, None), (5.0, 6.0), (7.0, None)]) == 2


@settings(deadline=None)
@given(TIMES, st.integers(1, 6), st.sampled_from([0.5, 1.0, 2.0]))
def test_no_window_ever_holds_more_than_the_limit(times: list[float], most: int, window_s: float) -> None:
    """No window exceeds the limit, and no request is refused that would have fit."""
    limits = HardLimits(requests_per_minute=most * 60 / window_s, window_s=window_s)
    use, let_in = AccountUsage(), list[tuple[float, int]]()
    for at in times:
        held = sum(at - window_s < earlier for earlier, _ in let_in)
        refusal = use.admit(limits, 1, at)
        assert (refusal is None) == (held < most)
        if refusal is None:
            let_in.append((at, 1))
        else:
            assert use.admit(limits, 1, at + refusal.wait_s - 1e-6) is not None or refusal.wait_s == 0
    assert largest_window_sum(let_in, window_s) <= most


def test_a_refused_request_is_admitted_at_the_reported_time() -> None:
    limits = HardLimits(tokens_per_minute=600, window_s=1)  # ten tokens within any second
    use = AccountUsage()
    assert use.admit(limits, 4, 0.0) is None
    assert use.admit(limits, 5, 0.3) is None
    refusal = use.admit(limits, 5, 0.5)
    assert refusal is not None
    assert (refusal.reason, refusal.wait_s) == ("tokens", 0.5)
    assert use.admit(limits, 5, 0.5 + refusal.wait_s) is None


def test_the_rest_of_each_limit_is_reported() -> None:
    use, limits = AccountUsage(), HardLimits(requests_per_minute=120, window_s=2)
    use.admit(limits, 7, 0.0)
    use.admit(limits, 7, 0.5)
    left = use.left(limits, 1.0)
    assert list(left) == ["requests"]
    assert (left["requests"].limit, left["requests"].remaining, left["requests"].reset_s) == (120, 2, 1.5)


def test_concurrency_is_a_limit_too() -> None:
    use, limits = AccountUsage(), HardLimits(concurrency=2)
    assert use.admit(limits, 1, 0.0) is None
    assert use.admit(limits, 1, 0.0) is None
    refusal = use.admit(limits, 1, 0.0)
    assert refusal is not None
    assert refusal.reason == "concurrency"
    use.leave()
    assert use.admit(limits, 1, 0.0) is None


def test_sums_follow_from_the_entries() -> None:
    log = RequestLog()
    for outcome, reason in (("answered", ""), ("refused", "storm"), ("faulted", "html"), ("abandoned", "drip")):
        log.add(LoggedRequest(1.0, "a", "m", 10, 5, outcome=outcome, reason=reason, ended_s=2.0))  # type: ignore[arg-type]
    totals = log.totals()
    assert (totals.asked, totals.accepted, totals.answered, totals.abandoned) == (4, 3, 1, 1)
    assert totals.refused == {"storm": 1}
    assert totals.faulted == {"html": 1}
    assert totals.by_model == {"m": TokenUsage(1, 10, 5)}
    assert totals.peak == 3


@pytest.mark.parametrize(("median", "p95"), [(0.2, 0.9), (60.0, 61.0)])
def test_a_log_normal_spread_has_the_median_and_the_95th_percentile_it_says(median: float, p95: float) -> None:
    rng = random.Random(7)
    drawn = sorted(Distribution(median=median, p95=p95).draw(rng) for _ in range(20_000))
    assert statistics.median(drawn) == pytest.approx(median, rel=0.05)
    assert drawn[19_000] == pytest.approx(p95, rel=0.05)


def test_other_spreads() -> None:
    rng = random.Random(7)
    assert Distribution(median=3.0).draw(rng) == 3.0
    drawn = [Distribution(least=1.0, most=2.0).draw(rng) for _ in range(1000)]
    assert 1.0 <= min(drawn) < 1.02
    assert 1.98 < max(drawn) <= 2.0


def test_limits_change_at_their_times() -> None:
    first, later = HardLimits(requests_per_minute=60), HardLimits(requests_per_minute=6)
    weather = FaultProfile(limits=first, changes=(LimitChange(at_s=5, limits=later),))
    assert [weather.limits_at(at, None) for at in (0.0, 4.9, 5.0)] == [first, first, later]
    assert FaultProfile().limits_at(0.0, later) == later
    assert FaultProfile().limits_at(0.0, None) == HardLimits()


def test_a_fault_holds_in_its_time_and_for_its_share() -> None:
    weather = FaultProfile(faults=(Fault(kind="html", from_s=1, to_s=2), Fault(kind="reset", share=0.25)))
    rng = random.Random(3)
    assert {f.kind for at in (1.0, 1.5, 1.99) if (f := weather.fault_at(at, rng))} == {"html"}
    later = [weather.fault_at(2.0, rng) for _ in range(4000)]
    assert {fault.kind for fault in later if fault} == {"reset"}
    assert sum(fault is not None for fault in later) == pytest.approx(1000, rel=0.1)


@pytest.mark.parametrize(
    ("raw", "problem"),
    [
        ({"latencyy": 1}, "latencyy: unknown key"),
        ({"latency": {"base": {"median": 2, "p95": 1}}}, "latency.base: Value error, expected a median above 0"),
        ({"latency": {"base": {"median": 2, "most": 1}}}, "expected a number, {least, most} or {median, p95}"),
        ({"latency": {"base": {"least": 2, "most": 1}}}, "least (2) is more than most (1)"),
        ({"limits": {"requests_per_minute": 0}}, "limits.requests_per_minute: Input should be greater than 0"),
        ({"limits": {"concurrency": True}}, "limits.concurrency: Value error, expected a number, got true"),
        ({"seed": -1}, "seed: Input should be greater than or equal to 0"),
        ({"faults": [{"kind": "rain"}]}, "faults.0.kind: Input should be"),
        ({"faults": [{"kind": "html", "share": 1.5}]}, "faults.0.share: Input should be less than or equal to 1"),
        ({"changes": [{"at_s": 2, "limits": {}}, {"at_s": 1, "limits": {}}]}, "in the order of at_s"),
        ("storm", "expected keys and values"),
    ],
)
def test_a_bad_weather_is_refused_with_its_place(raw: object, problem: str) -> None:
    with pytest.raises(ConfigError) as error:
        parse_fault_profile(raw, "w.yaml")
    assert str(error.value).startswith("w.yaml: ")
    assert problem in str(error.value)


@pytest.mark.parametrize("name", PRESETS)
def test_presets_can_be_written_as_yaml(name: str) -> None:
    assert parse_fault_profile(PRESETS[name].model_dump(mode="json"), name) == PRESETS[name]


def test_every_weather_is_explained() -> None:
    page = Path(__file__).parents[2].joinpath("docs", "rehearsal.md").read_text(encoding="utf-8")
    keys = {*FaultProfile.model_fields, *HardLimits.model_fields, *Fault.model_fields, *LimitChange.model_fields}
    kinds = Fault.model_fields["kind"].annotation.__args__  # type: ignore[union-attr]
    assert not [word for word in (*PRESETS, *keys, *kinds) if f"`{word}`" not in page]


@pytest.mark.parametrize("family", FAMILIES)
@pytest.mark.parametrize("template", TEMPLATES)
def test_replies_are_of_the_form_that_each_family_asks_for(family: str, template: str) -> None:
    """Every reply can be parsed; in families with turns, most episodes take several turns and end by themselves."""
    scenarios = generate_dataset("6", 1, (family,)).scenarios(family)
    turns = [_played(family, scenario, template) for scenario in scenarios]
    assert {unreadable for _, unreadable in turns} == {0}
    if FAMILIES[family].max_turns > 1:
        assert len({turn for turn, _ in turns}) > 1
        assert 2 < min(turns)[0] < FAMILIES[family].max_turns


def _played(family: str, scenario, template) -> tuple[int, int]:
    rules, model = FAMILIES[family], CannedModel(Distribution(median=40.0))
    dialogue = MUSES.dialogue(rules, scenario, template)
    users = {name: rules.scripted_user(scenario, name, random.Random(1)) for name in scenario.names}
    turns = 0
    while not dialogue.finished:
        messages = tuple((m.role, m.content) for m in dialogue.observation.prompt)
        dialogue.add_reply(model.reply(CompletionRequest("m", messages, None), repr(messages).encode()).text)
        dialogue.add_inputs(tuple(Input(view.name, users[view.name].speak(view)) for view in dialogue.next_views))
        turns += 1
    return turns, dialogue.unreadable


def test_a_users_model_speaks_and_falls_silent() -> None:
    principal = Principal(name="Ann", role="analyst", authority=3, persona="calm", private_context="wants a slot")
    model = CannedModel(Distribution(median=10.0))
    messages = tuple((message.role, message.content) for message in user_prompt(principal, PrincipalView("Ann", 1, ())))
    said = []
    while SILENCE not in said:
        said.append(model.reply(CompletionRequest("m", messages, None), repr(messages).encode()).text)
        messages = (*messages, ("assistant", said[-1]), ("user", "No."))
    assert len(said) > 2


def test_replies_follow_from_seed_and_request_alone() -> None:
    asked, bodies = CompletionRequest("m", (("user", "Hello."),), None), [b"one", b"two"]
    first, again, other = (
        CannedModel(Distribution(median=50.0), 1),
        CannedModel(Distribution(median=50.0), 1),
        CannedModel(Distribution(median=50.0), 2),
    )
    said = [first.reply(asked, body).text for body in bodies]
    assert said == [again.reply(asked, body).text for body in reversed(bodies)][::-1]
    assert said[0] != said[1]
    assert said != [other.reply(asked, body).text for body in bodies]


def test_replies_are_as_long_as_was_drawn_and_no_longer_than_was_asked_for() -> None:
    model = CannedModel(Distribution(median=100.0))
    whole = model.reply(CompletionRequest("m", (("user", "Hello."),), None), b"x")
    cut = model.reply(CompletionRequest("m", (("user", "Hello."),), 30), b"x")
    assert not whole.cut
    assert 100 <= whole.completion_tokens == count_tokens(whole.text) <= 120
    assert cut.cut
    assert cut.completion_tokens == 30
    assert whole.text.startswith(cut.text)


def test_a_prompts_beginning_is_cached_once_it_was_seen() -> None:
    cache, first = PrefixCache(), (("system", "a" * 40), ("user", "b" * 40))
    longer = (*first, ("assistant", "c" * 40), ("user", "d" * 40))
    assert [cache.add(CompletionRequest("m", messages, None)) for messages in (first, longer, longer)] == [0, 20, 40]
    assert cache.add(CompletionRequest("another", first, None)) == 0
    assert cache.add(CompletionRequest("m", (("system", "a" * 40), ("user", "else")), None)) == 10
