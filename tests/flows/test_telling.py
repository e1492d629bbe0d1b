"""A run tells with its claim how the accounts stand that it calls; with its end that ends."""

import threading
from pathlib import Path

import pytest
from muses_eval.storage.objects.object_keys import claim_key
from muses_eval.storage.objects.object_store import MissingObjectError
from muses_eval.storage.objects.open_store import open_store
from muses_eval.storage.runs.run_lock import Claim

from tests.conftest import Muses
from tests.provider import Provider


@pytest.mark.parametrize("command", [["run"], pytest.param(["flow", "evaluate"], marks=pytest.mark.slow)])
def test_a_run_tells_how_its_accounts_stand(muses: Muses, tmp_path: Path, command: list[str]) -> None:
    store, seen, done = open_store(str(tmp_path / "store")), list[Claim](), threading.Event()

    def look() -> None:
        while not done.wait(0.05):
            try:
                claim = Claim.from_json(store.get(claim_key("told")))
            except MissingObjectError:
                continue
            if claim:
                seen.append(claim)

    looking = threading.Thread(target=look)
    looking.start()
    with Provider(latency_s=4.0) as provider:
        options = ["--model", "openai:m", "--base-url", provider.base_url, "--family", "queue"]
        options += ["--dataset", "generated:12", "--executor", "inline"]
        ended = muses(*command, *options, "--store", store.url, "--run-id", "told")
    done.set()
    looking.join()
    assert ended.returncode == 0, ended.stderr
    told = [claim for claim in seen if claim.accounts]
    assert told
    assert max(account.in_flight for claim in told for account in claim.accounts) > 0
    assert not any(claim.links for claim in seen)  # an embedded server has no pages
    last = Claim.from_json(store.get(claim_key("told")))
    assert last
    assert (last.owner, last.accounts, last.links) == (None, (), {})
