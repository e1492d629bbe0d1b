"""Seeds are stable numbers that a signed 64-bit column holds."""

from typing import Any

from hypothesis import given, strategies as st
from muses_eval.pipeline.seeds import UsersSeeds, agent_seed, principal_seed, request_seed_offset, seed_from

from tests.strategies import JSON_VALUES


def test_seeds_never_change() -> None:
    users_seed = UsersSeeds("v1", "queue", ("scripted",)).seed("q-1", "says", 0)
    assert seed_from("a") == 8835385903531772951
    assert agent_seed("f" * 32) == 2**60 - 1
    assert users_seed == 8864972636634641505
    assert principal_seed(users_seed, "Ann") == 7924101371118079739
    assert request_seed_offset(principal_seed(users_seed, "Ann")) == 497929979


@given(JSON_VALUES, st.text())
def test_seeds_fit_a_column_of_signed_64_bits(value: Any, name: str) -> None:
    assert 0 <= seed_from(value) < 2**63
    assert 0 <= UsersSeeds(None, "queue", (value,)).seed(name, "xml", 1) < 2**63
    assert 0 <= request_seed_offset(seed_from(value)) < 2**30
