"""The oracle scores 1.0 on every leaderboard metric of every generated scenario, for all user counts and seeds."""

import pytest
from hypothesis import given, settings, strategies as st
from muses_eval.pipeline.datasets.dataset import generate_dataset
from muses_eval.pipeline.episode.play_episode import play_episode
from muses_eval.pipeline.episode.serialization import TEMPLATES
from muses_eval.pipeline.families import FAMILIES
from muses_eval.pipeline.leaderboard_columns import leaderboard_metrics
from muses_eval.pipeline.protocols.muses import MUSES
from muses_eval.workers.providers.scripted import play_scripted, scripted_participants


def run(coroutine):  # type: ignore[no-untyped-def]
    import asyncio

    return asyncio.run(coroutine)


@pytest.mark.parametrize("name", FAMILIES)
@given(seed=st.integers(0, 2**32), most=st.sampled_from([2, 5, 10, 20, 30]))
@settings(max_examples=12, deadline=None)
def test_columns_of_generated_scenarios(name: str, seed: int, most: int) -> None:
    family = FAMILIES[name]
    dataset = generate_dataset("3", seed, [name], most)
    for scenario in dataset.scenarios(name):
        assert len(scenario.principals) <= most
        played = run(play_scripted(family, scenario, "oracle", seed))
        finals = [s for s in family.score(scenario, played.transcript) if s.round is None]
        columns = [(s.scoring, s.metric, s.value) for s in finals if s.metric in leaderboard_metrics(name)]
        assert columns == [(scoring, metric, 1.0) for scoring, metric, _ in columns]
        assert {metric for _, metric, _ in columns} == set(leaderboard_metrics(name))
        assert {s.metric for s in finals} <= set(family.metrics)


@pytest.mark.parametrize("name", FAMILIES)
@pytest.mark.parametrize("template", TEMPLATES)
def test_every_serialization_carries_the_same_scenario(name: str, template: str) -> None:
    """A serialisation changes the prompt, and neither the content nor the scores."""
    family = FAMILIES[name]
    for scenario in generate_dataset("2", 1, [name]).scenarios(name):
        dialogue = MUSES.dialogue(family, scenario, template)  # type: ignore[arg-type]
        prompt = dialogue.observation.prompt
        for opening in scenario.openings:
            assert any(opening.text in message.content for message in prompt[1:])
        roles = {message.role for message in prompt[1:]}
        assert roles == ({opening.sender for opening in scenario.openings} if template == "native" else {"user"})
        played = run(play_episode(dialogue, *scripted_participants(family, scenario, "oracle", 1)))
        values = {s.metric: s.value for s in family.score(scenario, played.transcript) if s.round is None}
        assert all(values[column] == 1.0 for column in leaderboard_metrics(name))


def test_user_counts_are_spread_evenly() -> None:
    for name in FAMILIES:
        counts = [len(s.principals) for s in generate_dataset("58", 0, [name], 30).scenarios(name)]
        assert max(counts) > 20
        assert min(counts) < 6
