"""One driver a run: who comes second is told, who died keeps nobody out, and clocks are never compared."""

import json
import os
import subprocess
import sys
import threading
from dataclasses import replace
from pathlib import Path

import pytest
from muses_eval.pipeline.errors import StoreError
from muses_eval.storage.objects.object_keys import claim_key
from muses_eval.storage.objects.object_store import ObjectStore
from muses_eval.storage.objects.open_store import open_store
from muses_eval.storage.runs.run_lock import (
    PACE,
    Claim,
    ClaimLostError,
    HeldClaim,
    Pace,
    Process,
    RunHeldError,
    claimed,
    take,
)

ELSEWHERE = Process(host="elsewhere", pid=1, room="another machine", started="1")
NEVER = replace(PACE, beat_every_s=3600)
"""A holder that gives no sign of life."""


class Watch:
    """A watcher's clock: it jumps when the watcher sleeps, and *then* happens whatever is to happen meanwhile."""

    def __init__(self) -> None:
        self.now, self.then = 0.0, lambda: None

    def pace(self) -> Pace:
        return replace(NEVER, clock=lambda: self.now, sleep=self.sleep)

    def sleep(self, seconds: float) -> None:
        self.now += seconds
        self.then()


def stored(store: ObjectStore) -> Claim:
    claim = Claim.from_json(store.get(claim_key("run-a")))
    assert claim is not None
    return claim


def put(store: ObjectStore, claim: Claim) -> None:
    """Writes a claim as some other machine would."""
    if not store.put_if_absent(claim_key("run-a"), claim.to_json()):
        assert store.replace(claim_key("run-a"), claim.to_json(), store.read(claim_key("run-a")).tag)


def beating(claim: Claim) -> Claim:
    return replace(claim, beat=claim.beat + 1)


FOREIGN = Claim(owner="them", work="muses run", process=ELSEWHERE, since="2026-01-02T03:04:05+00:00", beat=7)


def test_one_after_the_other(store: ObjectStore) -> None:
    """A claim that was released is free at once."""
    with claimed(store, "run-a", "muses run"):
        assert stored(store).owner
    assert stored(store).owner is None
    with claimed(store, "run-a", "muses run"), claimed(store, "run-b", "muses run"):
        assert stored(store).owner


def test_a_living_holder_is_named(store: ObjectStore) -> None:
    """As soon as it has moved: where it runs, since when, and what it does."""
    put(store, FOREIGN)
    watch = Watch()
    watch.then = lambda: put(store, beating(stored(store)))
    expected = r"run 'run-a' is held by `muses run` on elsewhere \(process 1, since 2026-01-02T03:04:05"
    with pytest.raises(RunHeldError, match=expected):
        take(store, "run-a", "muses run", watch.pace())
    assert watch.now < PACE.dead_after_s
    assert stored(store).owner == "them"


def test_a_dead_holder_elsewhere(store: ObjectStore) -> None:
    """It has stood still for as long as it takes, by the watcher's own clock, whatever the time says there."""
    put(store, replace(FOREIGN, since="2999-01-01T00:00:00+00:00"))
    watch = Watch()
    held = take(store, "run-a", "muses run", watch.pace())
    assert PACE.dead_after_s <= watch.now < PACE.dead_after_s + 2
    assert stored(store).process == Process.this()
    held.release()


def test_two_watch_the_same_dead_holder(store: ObjectStore) -> None:
    """One of them gets it; the other finds that it has moved."""
    put(store, FOREIGN)
    first, second = Watch(), Watch()
    taken: list[HeldClaim] = []

    def meanwhile() -> None:
        if second.now >= 5 and not taken:
            taken.append(take(store, "run-a", "muses run", first.pace()))

    second.then = meanwhile
    with pytest.raises(RunHeldError, match=str(os.getpid())):
        take(store, "run-a", "muses run", second.pace())
    taken[0].release()


def test_a_holder_that_goes_while_we_watch(store: ObjectStore) -> None:
    """Released in that moment, it is ours."""
    put(store, FOREIGN)
    watch = Watch()
    watch.then = lambda: put(store, replace(FOREIGN, owner=None))
    take(store, "run-a", "muses run", watch.pace()).release()
    assert watch.now < PACE.dead_after_s


def ended() -> Process:
    """A process of this machine that was there a moment ago."""
    code = "from muses_eval.storage.runs.run_lock import Process; from dataclasses import asdict; import json;"
    code += "print(json.dumps(asdict(Process.this())))"
    root = Path(__file__).parents[2]
    done = subprocess.run([sys.executable, "-c", code], cwd=root, capture_output=True, text=True, check=True)
    return Process(**json.loads(done.stdout))


@pytest.mark.skipif(not Path("/proc/self/stat").exists(), reason="the system does not tell of other processes")
def test_a_dead_process_of_this_machine(store: ObjectStore) -> None:
    """Nobody waits for it, also when its number has been given to another process."""
    gone, watch = ended(), Watch()
    for process in (gone, replace(Process.this(), started="1")):
        put(store, replace(FOREIGN, process=process))
        take(store, "run-a", "muses run", watch.pace()).release()
    assert watch.now == 0


def test_a_process_that_is_hidden_may_live(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """With hidepid, /proc shows a user no process of another one."""
    here, gone = Process.this(), ended()
    monkeypatch.setattr("muses_eval.storage.runs.run_lock._PROC", tmp_path)
    assert not here.has_ended(here.room)
    assert gone.has_ended(gone.room)


def test_a_process_of_another_room_may_live() -> None:
    """The same number in another container, or before the machine was started again, says nothing."""
    here = Process.this()
    assert not here.has_ended(here.room)
    assert not replace(here, pid=2**22 + 1, room="another boot").has_ended(here.room)
    assert not replace(here, pid=2**22 + 1, room=None).has_ended(None)


@pytest.mark.parametrize("data", [b"", b"\xff", b"[]", b"{}", b'{"owner": 1, "process": []}'])
def test_what_is_no_claim_holds_nothing(store: ObjectStore, data: bytes) -> None:
    """It is written over."""
    store.put_if_absent(claim_key("run-a"), data)
    take(store, "run-a", "muses run", Watch().pace()).release()
    assert stored(store).work == "muses run"


def test_many_at_once(store: ObjectStore) -> None:
    """Exactly one gets it."""
    results: list[object] = []

    def attempt() -> None:
        try:
            results.append(take(store, "run-a", "muses run", replace(PACE, beat_every_s=0.02)))
        except RunHeldError as error:
            results.append(error)

    threads = [threading.Thread(target=attempt) for _ in range(6)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    held = [result for result in results if isinstance(result, HeldClaim)]
    assert (len(held), len(results)) == (1, 6)
    held[0].release()


def test_it_beats_until_it_is_released(store: ObjectStore) -> None:
    """Then it stands still."""
    with claimed(store, "run-a", "muses run", replace(PACE, beat_every_s=0.01)):
        while stored(store).beat < 3:
            pass
    last = store.get(claim_key("run-a"))
    assert not any(thread.name == "claim of run-a" for thread in threading.enumerate())
    assert store.get(claim_key("run-a")) == last


def test_who_has_lost_it_is_told(store: ObjectStore) -> None:
    """And leaves the new holder's claim as it is."""
    lost = threading.Event()
    held = take(store, "run-a", "muses run", replace(PACE, beat_every_s=0.01))
    held.when_lost(lost.set)
    held.check()
    while not lost.is_set():
        put_over(store)
    with pytest.raises(ClaimLostError, match="has taken the run 'run-a' over"):
        held.check()
    held.release()
    assert stored(store).owner == "them"
    told = threading.Event()
    held.when_lost(told.set)
    assert told.is_set()


def put_over(store: ObjectStore) -> None:
    store.replace(claim_key("run-a"), FOREIGN.to_json(), store.read(claim_key("run-a")).tag)


def test_a_deleted_claim_is_written_anew(store: ObjectStore) -> None:
    """Who holds it still holds it."""
    with claimed(store, "run-a", "muses run", replace(PACE, beat_every_s=0.01)) as held:
        store.delete(claim_key("run-a"))
        while not list(store.list(claim_key("run-a"))):
            pass
        assert not held.is_lost


def test_a_store_out_of_reach_is_no_loss(tmp_path: Path) -> None:
    """The claim is kept on, and holds again when the store is back."""
    folder = tmp_path / "store"
    store = open_store(str(folder))
    with claimed(store, "run-a", "muses run", replace(PACE, beat_every_s=0.01)) as held:
        (folder / "claims").rename(tmp_path / "away")
        (folder / "claims").write_bytes(b"a file where the folder was")
        with pytest.raises(StoreError):
            store.put_if_absent("claims/x", b"")
        (folder / "claims").unlink()
        (tmp_path / "away").rename(folder / "claims")
        before = stored(store).beat
        while stored(store).beat == before:
            pass
        assert not held.is_lost
