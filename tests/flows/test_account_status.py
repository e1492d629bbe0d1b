"""A run stores the state of its accounts in its lock record; releasing the lock removes it."""

import threading
from pathlib import Path

import pytest
from muses_eval.storage.objects.object_keys import lock_key
from muses_eval.storage.objects.object_store import MissingObjectError
from muses_eval.storage.objects.open_store import open_store
from muses_eval.storage.runs.run_lock import LockRecord

from tests.conftest import Muses
from tests.provider import Provider

pytestmark = pytest.mark.own_process


@pytest.mark.parametrize("command", [["run"], pytest.param(["flow", "evaluate"], marks=pytest.mark.slow)])
def test_a_run_reports_the_state_of_its_accounts(muses: Muses, tmp_path: Path, command: list[str]) -> None:
    store, seen, done = open_store(str(tmp_path / "store")), list[LockRecord](), threading.Event()

    def look() -> None:
        while not done.wait(0.05):
            try:
                record = LockRecord.from_json(store.get(lock_key("told")))
            except MissingObjectError:
                continue
            if record:
                seen.append(record)

    looking = threading.Thread(target=look)
    looking.start()
    with Provider(latency_s=4.0) as provider:
        options = ["--model", "openai:m", "--base-url", provider.base_url, "--family", "queue"]
        options += ["--dataset", "generated:12", "--executor", "inline"]
        ended = muses(*command, *options, "--store", store.url, "--run-id", "told")
    done.set()
    looking.join()
    assert ended.returncode == 0, ended.stderr
    reported = [record for record in seen if record.accounts]
    assert reported
    assert max(account.in_flight for record in reported for account in record.accounts) > 0
    assert not any(record.links for record in seen)  # an embedded server has no web pages to link to
    last = LockRecord.from_json(store.get(lock_key("told")))
    assert last
    assert (last.owner, last.accounts, last.links) == (None, (), {})
