"""Commands in odd environments: closed and full streams, a deleted folder, no locale. One line, and no traceback."""

import subprocess
import sys
from pathlib import Path

import pytest

MUSES = f"{sys.executable} -m muses_eval"
RUN = f"{MUSES} run --model scripted/oracle --family queue --dataset generated:1 --store store"


@pytest.mark.parametrize(
    ("script", "code", "words"),
    [
        (f"{MUSES} --version >&-", 0, ""),
        (f"{RUN} 0<&- >&- 2>&- && ls store/traces", 0, "run="),
        (f"{MUSES} leaderboard --nope 2>&-", 2, ""),
        (f"{MUSES} --help >/dev/full", 2, "muses: No space left on device; free some space"),
        (f"{MUSES} --help | head -1", 0, "Usage"),
        (f"mkdir gone && cd gone && rmdir ../gone && {MUSES} store ls", 2, "muses: the working directory no longer"),
        (f"LC_ALL=C PYTHONUTF8=0 PYTHONCOERCECLOCALE=0 {RUN}", 0, "? published scoring ?"),
        (f"LC_ALL=C PYTHONUTF8=0 PYTHONCOERCECLOCALE=0 {MUSES} store ls --nöpe", 2, "Unknown option"),
        (f"env -u HOME {MUSES} store ls --store '~no-such-user/x'", 2, "no-such-user"),
    ],
)
def test_no_traceback(script: str, code: int, words: str, tmp_path: Path) -> None:
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, check=False)
    said = (done.stdout + done.stderr).decode(errors="replace")
    assert (done.returncode, "Traceback" in said, "Exception ignored" in said) == (code, False, False), said
    assert words in said
