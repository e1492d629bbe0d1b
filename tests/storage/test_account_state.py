"""What a holder tells with its claim reaches whoever looks, ends with it, and never decides who holds the run."""

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from muses_eval.storage.objects.object_keys import claim_key
from muses_eval.storage.objects.object_store import ObjectStore
from muses_eval.storage.objects.open_store import open_store
from muses_eval.storage.runs.account_state import AccountState
from muses_eval.storage.runs.run_lock import PACE, Claim, Process, claimed

FAST = replace(PACE, beat_every_s=0.005)
ACCOUNT = AccountState(
    name="api.example/v1",
    calls_per_s=12.5,
    tokens_per_s=900.0,
    refused_share=0.25,
    failed_share=0.0,
    requests_per_minute=1200.0,
    tokens_per_minute=None,
    concurrency=8.0,
    in_flight=7.0,
    waiting=3.0,
    paused_s=0.0,
    problem="429",
)
CLAIM = Claim(owner="them", work="muses run", process=Process("there", 1, None, None), since="", beat=0)


@pytest.fixture
def store(tmp_path: Path) -> ObjectStore:
    return open_store(str(tmp_path))


def stored(store: ObjectStore, wanted: Callable[[Claim], bool] = lambda _: True) -> Claim:
    """The claim, as soon as it is as *wanted*."""
    while True:
        claim = Claim.from_json(store.get(claim_key("r")))
        assert claim
        if wanted(claim):
            return claim


def test_it_is_there_with_the_next_beat_and_gone_with_the_claim(store: ObjectStore) -> None:
    with claimed(store, "r", "muses run", FAST) as held:
        held.tell((ACCOUNT,))
        held.link("Prefect", "http://127.0.0.1:4200/runs/flow-run/1")
        held.link("Ray", "http://127.0.0.1:8265")
        claim = stored(store, lambda claim: bool(claim.accounts) and len(claim.links) == 2)
        assert claim.accounts == (ACCOUNT,)
        assert claim.links["Ray"] == "http://127.0.0.1:8265"
    assert (stored(store).accounts, stored(store).links) == ((), {})


def test_what_is_not_said_anew_is_forgotten(store: ObjectStore) -> None:
    now = [0.0]
    with claimed(store, "r", "muses run", replace(FAST, clock=lambda: now[0])) as held:
        held.tell((ACCOUNT,))
        stored(store, lambda claim: bool(claim.accounts))
        now[0] = 60.0
        stored(store, lambda claim: not claim.accounts)
        held.tell((ACCOUNT,))
        stored(store, lambda claim: bool(claim.accounts))


@pytest.mark.parametrize(
    "told",
    [
        {"accounts": 5},
        {"accounts": [{"name": "x"}]},
        {"accounts": [{**json.loads(CLAIM.to_json()), "name": "x", "calls_per_s": "fast"}]},
        {"accounts": ["x"]},
        {"accounts": None, "links": ["x"]},
        {"links": {"x": 5}},
    ],
)
def test_a_claim_holds_whatever_is_said_with_it(told: dict[str, object]) -> None:
    data = json.dumps({**json.loads(CLAIM.to_json()), **told}).encode()
    assert Claim.from_json(data) == CLAIM


def test_a_claim_of_before_is_read() -> None:
    value = json.loads(CLAIM.to_json())
    del value["accounts"], value["links"]
    assert Claim.from_json(json.dumps(value).encode()) == CLAIM
