"""A run stores the state of its accounts in its lock record; releasing the lock removes it."""

import threading
from pathlib import Path

import pytest
from muses_eval.storage.objects.object_keys import lock_key
from muses_eval.storage.objects.object_store import MissingObjectError
from muses_eval.storage.objects.open_store import open_store
from muses_eval.storage.runs.run_lock import LockRecord

from tests.conftest import Muses
from tests.prefect_server import PATIENCE_S
from tests.provider import Provider


@pytest.mark.parametrize(
    "command", [["run"], pytest.param(["flow", "evaluate"], marks=[pytest.mark.slow, pytest.mark.own_process])]
)
def test_a_run_reports_the_state_of_its_accounts(muses: Muses, tmp_path: Path, command: list[str]) -> None:
    store, seen, done = open_store(str(tmp_path / "store")), list[LockRecord](), threading.Event()
    reported = threading.Event()

    def look() -> None:
        while not done.wait(0.05):
            try:
                record = LockRecord.from_json(store.get(lock_key("told")))
            except MissingObjectError:
                continue
            if record:
                seen.append(record)
                if any(account.in_flight for account in record.accounts):
                    reported.set()

    def reply(_: object) -> str:
        assert reported.wait(PATIENCE_S), "no record has calls in flight"
        return "{}"

    looking = threading.Thread(target=look)
    looking.start()
    with Provider(reply=reply) as provider:
        options = ["--model", "openai:m", "--base-url", provider.base_url, "--family", "queue"]
        options += ["--dataset", "generated:12", "--executor", "inline", "--max-unusable=1"]
        ended = muses(*command, *options, "--store", store.url, "--run-id", "told")
    done.set()
    looking.join()
    assert ended.returncode == 0, ended.stderr
    assert reported.is_set()
    assert not any(record.links for record in seen)  # an embedded server has no web pages to link to
    last = LockRecord.from_json(store.get(lock_key("told")))
    assert last
    assert (last.owner, last.accounts, last.links) == (None, (), {})
