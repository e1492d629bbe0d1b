"""Reading a store leaves no thread behind that reads the environment.

C's getenv and setenv are not synchronised, so such a thread crashes the process when other code (Ray's start or a test)
changes the environment at the wrong moment.  From their first scan of S3 on, Polars 1.42 to 2.1 run a thread that reads
it ten times a second until the process ends.
"""

import subprocess
import sys

from muses_eval.storage.objects.object_keys import ShardKey
from muses_eval.storage.objects.open_store import open_store
from muses_eval.storage.runs.manifest import create_or_check
from muses_eval.storage.runs.shards import write_shard

from tests.storage.samples import MANIFEST, episode

_READ_AND_WATCH = """
import re, sys, time
from pathlib import Path
from muses_eval import storage

def woken():
    found = 0
    for task in Path("/proc/self/task").iterdir():
        if (task / "comm").read_text().startswith("tokio"):
            found += int(re.search(r"^voluntary_ctxt_switches:\\s*([0-9]+)", (task / "status").read_text(), re.M)[1])
    return found

assert storage.scan(sys.argv[1]).collect().height == 1
time.sleep(1)
before = woken()
assert before > 0, "Polars reads S3 with other threads than those that are watched here"
time.sleep(3)
print(woken() - before)
"""


def test_polars_sleeps_after_a_scan(s3_url: str) -> None:
    store = open_store(s3_url)
    create_or_check(store, MANIFEST)
    write_shard(store, ShardKey("run-a", "model-a", "queue", 0, 1), [episode(1)])
    watched = subprocess.run(
        [sys.executable, "-c", _READ_AND_WATCH, store.url], check=True, stdout=subprocess.PIPE, text=True
    )
    assert int(watched.stdout) < 10
