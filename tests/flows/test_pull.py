"""``muses data pull``: files and texts are complete and verified, or the command says what to do."""

import json
import random
import re
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from hashlib import sha1, sha256
from http.server import BaseHTTPRequestHandler, SimpleHTTPRequestHandler, ThreadingHTTPServer
from itertools import count
from pathlib import Path
from typing import Any, Self

import pytest
from muses_eval.flows.cli import main
from muses_eval.flows.cli.data.pull import pull_and_report
from muses_eval.flows.data.checksum import Checksum
from muses_eval.flows.data.download import DownloadPolicy
from muses_eval.flows.data.official import OfficialFile, Release, TextSource, pull, read_release
from muses_eval.pipeline.datasets.dataset import generate_rows
from muses_eval.pipeline.errors import ConfigError, DatasetError
from muses_eval.pipeline.protocols.released_texts import FILE_NAME, TEXT_NAMES, from_json
from muses_eval.storage.objects.dataset_files import read_rows

from tests.released import shared_protocol
from tests.s3_server import free_ports
from tests.shared import SHARED, needs_shared


@pytest.fixture(autouse=True)
def _no_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    """Bypasses the developer's proxy for the loopback servers of these tests."""
    for name in ("no_proxy", "NO_PROXY"):
        monkeypatch.setenv(name, "127.0.0.1")


def contents(folder: Path) -> dict[str, bytes]:
    """Returns path -> content of every file below a folder, including hidden ones."""
    return {str(file.relative_to(folder)): file.read_bytes() for file in folder.rglob("*") if file.is_file()}


@dataclass
class Reply:
    """One response of the mirror in place of a file."""

    status: int = 200
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)
    sent: int | None = None
    """Number of bytes of the body to send before the connection closes; None for all."""
    silent: bool = False
    """True to send nothing until the mirror is closed."""


class Mirror:
    """An HTTP server with files below ``/mirror/``; ``replies`` of a path are sent first."""

    def __init__(self, files: dict[str, bytes]) -> None:
        self.files, self.replies = files, {path: [] for path in files}
        self.requests: list[str] = []
        self._closing = threading.Event()
        mirror = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                path = self.path.removeprefix("/mirror/")
                mirror.requests.append(path)
                waiting = mirror.replies.get(path, [])
                missing = Reply(404, b"no such file")
                usual = Reply(body=mirror.files[path]) if path in mirror.files else missing
                reply = waiting.pop(0) if waiting else usual
                if reply.silent:
                    mirror._closing.wait()
                    return
                self.send_response(reply.status)
                for name, value in {"Content-Length": str(len(reply.body)), **reply.headers}.items():
                    self.send_header(name, value)
                self.end_headers()
                self.wfile.write(reply.body[: reply.sent])

            def log_message(self, *_: object) -> None:
                """Logs nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.01})

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._server.server_address[1]}/mirror/"

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()


FILES = {"data/a/first.jsonl": b'{"id": "one"}\n' * 9_000, "data/b/second file.jsonl": b'{"id": "two"}\n'}
FIRST, SECOND = FILES
SECOND_URL = SECOND.replace(" ", "%20")


@pytest.fixture
def mirror() -> Iterator[Mirror]:
    with Mirror({FIRST: FILES[FIRST], SECOND_URL: FILES[SECOND]}) as running:
        yield running


@pytest.fixture
def release() -> Release:
    return Release(
        repository="owner/name",
        commit="c" * 40,
        license="MIT",
        files=tuple(pinned(path, data) for path, data in FILES.items()),
        text_sources=(),
        text_digests={},
    )


def pinned(path: str, data: bytes) -> OfficialFile:
    """Returns a file as the manifest pins it."""
    return OfficialFile(path, Checksum("sha256", sha256(data).hexdigest()), len(data), 1)


class Waits(list[float]):
    """The delays of a pull, in seconds, which does not sleep."""

    def policy(
        self, tries: int = 4, timeout_s: float = 10.0, clock: Callable[[], float] = lambda: 0.0
    ) -> DownloadPolicy:
        return DownloadPolicy(tries=tries, timeout_s=timeout_s, clock=clock, sleep=self.append, rng=random.Random(1))


def test_files_are_downloaded_under_their_paths(tmp_path: Path, mirror: Mirror, release: Release) -> None:
    reported: list[str] = []
    done = pull(release, tmp_path, mirror.url, on_file=reported.append)
    assert contents(tmp_path) == FILES
    assert mirror.requests == [FIRST, SECOND_URL]
    assert (list(done.fetched), done.kept) == (reported, ())
    assert reported == list(FILES)


def test_a_base_url_needs_no_slash_at_its_end(tmp_path: Path, mirror: Mirror, release: Release) -> None:
    pull(release, tmp_path, mirror.url.rstrip("/"))
    assert contents(tmp_path) == FILES


@pytest.mark.parametrize(
    ("body", "got"),
    [
        (b"X" + FILES[FIRST][1:], f"got {len(FILES[FIRST])} bytes"),
        (FILES[FIRST] + b"more", f"got more than {len(FILES[FIRST])} bytes"),
        (b"<html>a portal's page</html>", "got 28 bytes"),
        (b"", "got 0 bytes"),
    ],
)
def test_other_content_is_refused_without_a_retry(
    tmp_path: Path, mirror: Mirror, release: Release, body: bytes, got: str
) -> None:
    """A complete response with other content is not retried, and nothing of it is written."""
    mirror.replies[FIRST] = [Reply(body=body)]
    with pytest.raises(DatasetError) as caught:
        pull(release, tmp_path, mirror.url, policy=Waits().policy())
    assert mirror.url + FIRST in str(caught.value)
    assert f"expected {len(FILES[FIRST])} bytes with SHA-256 {sha256(FILES[FIRST]).hexdigest()}" in str(caught.value)
    assert got in str(caught.value)
    assert mirror.requests == [FIRST]
    assert contents(tmp_path) == {}


def test_a_cut_off_file_is_retried(tmp_path: Path, mirror: Mirror, release: Release) -> None:
    waits = Waits()
    mirror.replies[FIRST] = [Reply(body=FILES[FIRST], sent=70_000), Reply(body=FILES[FIRST], sent=0)]
    pull(release, tmp_path, mirror.url, policy=waits.policy())
    assert contents(tmp_path) == FILES
    assert (mirror.requests.count(FIRST), len(waits)) == (3, 2)


def test_a_file_that_is_always_cut_off_is_not_written(tmp_path: Path, mirror: Mirror, release: Release) -> None:
    """A truncated download does not replace the file that was downloaded before."""
    waits = Waits()
    mirror.replies[SECOND_URL] = [Reply(body=FILES[SECOND], sent=5)] * 4
    with pytest.raises(DatasetError, match=r"cut off after 5 of 14 bytes \(4 tries\); pull again later"):
        pull(release, tmp_path, mirror.url, policy=waits.policy())
    assert contents(tmp_path) == {FIRST: FILES[FIRST]}
    assert len(waits) == 3  # no wait after the last attempt
    assert all(wait <= 2**exponent for exponent, wait in enumerate(waits))


@pytest.mark.parametrize("status", [401, 403, 404, 410])
def test_a_refusal_is_final(tmp_path: Path, mirror: Mirror, release: Release, status: int) -> None:
    mirror.replies[FIRST] = [Reply(status, b"no")]
    with pytest.raises(DatasetError, match=f"first.jsonl: the server responds {status} .*Correct --base-url"):
        pull(release, tmp_path, mirror.url, policy=Waits().policy())
    assert mirror.requests == [FIRST]
    assert contents(tmp_path) == {}


@pytest.mark.parametrize("status", [408, 429, 500, 502, 503, 504])
def test_a_transient_error_is_retried(tmp_path: Path, mirror: Mirror, release: Release, status: int) -> None:
    waits = Waits()
    mirror.replies[FIRST] = [Reply(status, b"<html>busy</html>")] * 2
    pull(release, tmp_path, mirror.url, policy=waits.policy())
    assert contents(tmp_path) == FILES
    assert (mirror.requests.count(FIRST), len(waits)) == (3, 2)


def test_retry_after_is_honoured(tmp_path: Path, mirror: Mirror, release: Release) -> None:
    """Retry-After is honoured up to 30 s; a date is ignored."""
    waits = Waits()
    mirror.replies[FIRST] = [
        Reply(429, headers={"Retry-After": asked}) for asked in ("7", "86400", "Wed, 21 Oct 2065 07:28:00 GMT")
    ]
    pull(release, tmp_path, mirror.url, policy=waits.policy())
    assert waits[:2] == [7, 30]
    assert 0 <= waits[2] <= 4


def test_a_correct_file_is_not_downloaded_again(tmp_path: Path, mirror: Mirror, release: Release) -> None:
    pull(release, tmp_path, mirror.url)
    (tmp_path / FIRST).unlink()
    mirror.requests.clear()
    done = pull(release, tmp_path, mirror.url)
    assert mirror.requests == [FIRST]
    assert (done.fetched, done.kept) == ((FIRST,), (SECOND,))
    pull(release, tmp_path, mirror.url)
    assert mirror.requests == [FIRST]


def test_an_existing_file_that_differs_stays(tmp_path: Path, mirror: Mirror, release: Release) -> None:
    """A file that differs is neither downloaded nor replaced without --force."""
    own = tmp_path / SECOND
    own.parent.mkdir(parents=True)
    own.write_bytes(b"my own notes")
    with pytest.raises(ConfigError, match=r"second file\.jsonl\n.*--force"):
        pull(release, tmp_path, mirror.url)
    assert (mirror.requests, contents(tmp_path)) == ([], {SECOND: b"my own notes"})
    pull(release, tmp_path, mirror.url, force=True)
    assert contents(tmp_path) == FILES


def test_an_interrupted_pull_resumes(tmp_path: Path, mirror: Mirror, release: Release) -> None:
    def interrupt(_: str) -> None:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        pull(release, tmp_path, mirror.url, on_file=interrupt)
    assert contents(tmp_path) == {FIRST: FILES[FIRST]}
    pull(release, tmp_path, mirror.url)
    assert mirror.requests == [FIRST, SECOND_URL]
    assert contents(tmp_path) == FILES


def test_a_server_that_is_not_reachable(tmp_path: Path, release: Release) -> None:
    waits = Waits()
    (port,) = free_ports(1)
    with pytest.raises(DatasetError, match=r"no complete response: .*refused.* \(4 tries\).*--base-url"):
        pull(release, tmp_path, f"http://127.0.0.1:{port}/", policy=waits.policy())
    assert len(waits) == 3
    assert contents(tmp_path) == {}


def test_a_server_that_does_not_respond(tmp_path: Path, mirror: Mirror, release: Release) -> None:
    mirror.replies[FIRST] = [Reply(silent=True)]
    with pytest.raises(DatasetError, match=r"no complete response: .*timed out"):
        pull(release, tmp_path, mirror.url, policy=Waits().policy(tries=1, timeout_s=0.1))


def test_a_slow_transfer_times_out(tmp_path: Path, mirror: Mirror, release: Release) -> None:
    """A transfer times out as a whole although each read is in time; the test's clock advances 400 s per call."""
    with pytest.raises(DatasetError, match=r"too slow: \d+ of at most 126000 bytes"):
        pull(release, tmp_path, mirror.url, policy=Waits().policy(clock=count(step=400).__next__))
    assert len(mirror.requests) == 4
    assert contents(tmp_path) == {}


def test_redirects_within_the_scheme_are_followed(tmp_path: Path, mirror: Mirror, release: Release) -> None:
    mirror.files["moved"] = FILES[FIRST]
    mirror.replies[FIRST] = [Reply(302, headers={"Location": "/mirror/moved"})]
    pull(release, tmp_path, mirror.url)
    assert mirror.requests == [FIRST, "moved", SECOND_URL]
    assert contents(tmp_path) == FILES


@pytest.mark.parametrize("elsewhere", ["https://127.0.0.1:1/first", "ftp://127.0.0.1:1/first", "file:///etc/hostname"])
def test_redirects_to_another_scheme_are_refused(
    tmp_path: Path, mirror: Mirror, release: Release, elsewhere: str
) -> None:
    waits = Waits()
    mirror.replies[FIRST] = [Reply(301, headers={"Location": elsewhere})]
    with pytest.raises(DatasetError, match=r"redirected to|responds 301"):
        pull(release, tmp_path, mirror.url, policy=waits.policy())
    assert (waits, mirror.requests, contents(tmp_path)) == ([], [FIRST], {})


def test_a_redirect_loop_ends(tmp_path: Path, mirror: Mirror, release: Release) -> None:
    mirror.replies[FIRST] = [Reply(302, headers={"Location": f"/mirror/{FIRST}"})] * 50
    with pytest.raises(DatasetError, match="responds 302"):
        pull(release, tmp_path, mirror.url, policy=Waits().policy())
    assert len(mirror.requests) < 20


def test_a_target_that_cannot_be_written(tmp_path: Path, mirror: Mirror, release: Release) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "a").write_text("a file where a folder has to be")
    with pytest.raises(DatasetError, match=r"first\.jsonl: cannot be read"):
        pull(release, tmp_path, mirror.url)
    (tmp_path / "data" / "a").unlink()
    (tmp_path / FIRST).mkdir(parents=True)
    with pytest.raises(DatasetError, match=r"first\.jsonl: cannot be written"):
        pull(release, tmp_path, mirror.url, force=True)
    assert contents(tmp_path) == {}


@pytest.mark.parametrize(
    "url",
    [
        "mirror.example", "file:///srv/muses/", "ftp://mirror.example/", "https://", "http:///x", "http://a/?q=1",
        "http://a/#x", "http://[::1", "http://a:port/", "http://user:word@a/",
    ],
)  # fmt: skip
def test_an_invalid_base_url(tmp_path: Path, release: Release, url: str) -> None:
    with pytest.raises(ConfigError, match="expected http:// or https://"):
        pull(release, tmp_path, url)


def test_the_pinned_release() -> None:
    release = read_release()
    known = [file for file in release.files if file.rows is not None]
    assert len({file.path for file in release.files}) == len(release.files) == 19
    assert (len(known), sum(file.rows or 0 for file in known)) == (17, 1291)
    assert all(file.checksum.algorithm == "sha256" and file.bytes for file in known)
    assert all(
        len(file.checksum.hex) == {"sha256": 64, "git_blob": 40}[file.checksum.algorithm] for file in release.files
    )
    assert sorted(name for source in release.text_sources for name in source.texts) == sorted(TEXT_NAMES)
    assert len(release.commit) == 40
    assert release.base_url.endswith(f"/{release.repository}/{release.commit}/")
    assert release.license == "Apache-2.0"


def test_pull_from_the_command_line(tmp_path: Path, mirror: Mirror, capsys: pytest.CaptureFixture[str]) -> None:
    """With a mirror that lacks the files, the command exits with 2 and names the file and the action to take."""
    out = tmp_path / "official"
    assert main(["data", "pull", f"--out={out}", "--base-url", mirror.url]) == 2
    captured = capsys.readouterr()
    assert captured.out == ""
    assert read_release().files[0].path in captured.err
    assert "the server responds 404" in captured.err
    assert not out.exists()


@needs_shared
def test_the_official_files_are_pulled(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The files with known sizes are pulled once, with the pinned numbers of rows; a second pull sends no request."""
    requests: list[str] = []

    class Handler(SimpleHTTPRequestHandler):
        def __init__(self, *arguments: Any) -> None:
            super().__init__(*arguments, directory=str(SHARED / "muses-bench" / "official"))

        def log_message(self, *_: object) -> None:
            requests.append(self.path)

    official = read_release()
    release = replace(official, files=tuple(file for file in official.files if file.bytes), text_sources=())
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    url = f"http://127.0.0.1:{server.server_address[1]}"
    out = tmp_path / "here"
    try:
        assert pull_and_report(release, out, url, force=False, as_json=True) == 0
        report = json.loads(capsys.readouterr().out)
        assert pull_and_report(release, out, url, force=False, as_json=False) == 0
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
    paths = [file.path for file in release.files]
    assert (report["fetched"], report["kept"], report["rows"], report["problems"]) == (paths, [], 1291, [])
    printed = capsys.readouterr()
    assert printed.out.startswith(f"{out}: 0 files downloaded, 17 already correct · 1,291 scenarios\n")
    assert printed.err == ""
    assert len(requests) == 17
    assert sorted(contents(out)) == sorted(paths)
    for file in release.files:
        assert sum(1 for _ in read_rows(str(out / file.path))) == file.rows


# texts of the released evaluator


WORDING = {name: f"wording of {name}, with {{user_id}}\nand a second line" for name in TEXT_NAMES}
TEXTS = "src/texts.py"
SOURCE = "".join(f"def {name}(user_id):\n    return f{text!r}\n" for name, text in WORDING.items()).encode()


@pytest.fixture
def release_with_texts(release: Release, mirror: Mirror) -> Release:
    """Returns a release with texts of this test, which the mirror has."""
    mirror.files[TEXTS] = SOURCE
    digests = {name: sha256(text.encode()).hexdigest() for name, text in WORDING.items()}
    return replace(release, text_sources=(TextSource(TEXTS, TEXT_NAMES),), text_digests=digests)


def texts_in(folder: Path, release: Release) -> dict[str, str]:
    texts = from_json(FILE_NAME, (folder / FILE_NAME).read_text(encoding="utf-8"), release.text_digests)
    return {name: getattr(texts, name) for name in TEXT_NAMES}


def test_texts_are_stored_beside_the_files(tmp_path: Path, mirror: Mirror, release_with_texts: Release) -> None:
    """One file has all texts and names their origin and licence; a second pull sends no request."""
    done = pull(release_with_texts, tmp_path, mirror.url)
    assert done.fetched == (FIRST, SECOND, FILE_NAME)
    assert sorted(contents(tmp_path)) == sorted([FIRST, SECOND, FILE_NAME])
    assert texts_in(tmp_path, release_with_texts) == WORDING
    stored = json.loads((tmp_path / FILE_NAME).read_text(encoding="utf-8"))
    assert (stored["repository"], stored["commit"], stored["license"]) == ("owner/name", "c" * 40, "MIT")
    mirror.requests.clear()
    assert pull(release_with_texts, tmp_path, mirror.url).kept == (FIRST, SECOND, FILE_NAME)
    assert mirror.requests == []


def test_missing_texts_alone_are_pulled(tmp_path: Path, mirror: Mirror, release_with_texts: Release) -> None:
    pull(replace(release_with_texts, text_sources=()), tmp_path, mirror.url)
    mirror.requests.clear()
    assert pull(release_with_texts, tmp_path, mirror.url).fetched == (FILE_NAME,)
    assert mirror.requests == [TEXTS]


@pytest.mark.parametrize("content", [b"{}", b"my notes", b"\xff", b'{"texts": []}'])
def test_an_existing_file_of_texts_that_differs_stays(
    tmp_path: Path, mirror: Mirror, release_with_texts: Release, content: bytes
) -> None:
    (tmp_path / FILE_NAME).write_bytes(content)
    with pytest.raises(ConfigError, match=rf"{FILE_NAME}\n.*--force"):
        pull(release_with_texts, tmp_path, mirror.url)
    assert (mirror.requests, contents(tmp_path)) == ([], {FILE_NAME: content})
    pull(release_with_texts, tmp_path, mirror.url, force=True)
    assert texts_in(tmp_path, release_with_texts) == WORDING


@pytest.mark.parametrize(
    ("source", "said"),
    [
        (
            SOURCE.replace(b"second line", b"second  line"),
            r"no string has the pinned SHA-256 of instruct_system, access_",
        ),
        (
            SOURCE.split(b"def user_behaviour")[0],
            r"no string has the pinned SHA-256 of user_behaviour; expected the file",
        ),
        (b"<html>a portal's page</html>", r"not Python source \(unterminated string"),
        (b"#" * 70_000, r"not Python source \(more than 65536 bytes\)"),
    ],
)
def test_a_source_without_the_texts_is_refused(
    tmp_path: Path, mirror: Mirror, release_with_texts: Release, source: bytes, said: str
) -> None:
    """The message names the texts and the file; the scenario files stay, and no file of texts is written."""
    mirror.files[TEXTS] = source
    with pytest.raises(DatasetError, match=rf"{TEXTS}: {said}"):
        pull(release_with_texts, tmp_path, mirror.url)
    assert contents(tmp_path) == FILES


def test_texts_are_downloaded_with_retries(tmp_path: Path, mirror: Mirror, release_with_texts: Release) -> None:
    waits = Waits()
    mirror.replies[TEXTS] = [Reply(503), Reply(body=SOURCE, sent=10)]
    pull(release_with_texts, tmp_path, mirror.url, policy=waits.policy())
    assert (texts_in(tmp_path, release_with_texts), len(waits)) == (WORDING, 2)


def test_the_command_names_the_file_of_texts(
    tmp_path: Path, mirror: Mirror, release_with_texts: Release, capsys: pytest.CaptureFixture[str]
) -> None:
    assert pull_and_report(release_with_texts, tmp_path, mirror.url, force=False, as_json=False) == 0
    assert f"texts of the released evaluator: {tmp_path / FILE_NAME}" in capsys.readouterr().out.splitlines()


def builder_of(name: str, text: str) -> str:
    """Returns a function that builds a text line by line, with the background under a condition."""
    source = [f"def {name}(background, **user):", '    """Returns a prompt."""', '    text = ""']
    for line in text.splitlines(keepends=True):
        statement = f"text += {'f' if re.search(r'[{][a-z_]+[}]', line) else ''}{line!r}"
        source.append(f"    if background:\n        {statement}" if "{background}" in line else f"    {statement}")
    return "\n".join([*source, "    return text", ""])


@needs_shared
def test_the_released_texts_are_pulled(tmp_path: Path, mirror: Mirror) -> None:
    """The texts with the pinned SHA-256 are found at the pinned paths, in functions that build them."""
    texts = shared_protocol().texts
    release = replace(read_release(), files=())
    for source in release.text_sources:
        builders = [builder_of(name, getattr(texts, name)) for name in source.texts]
        mirror.files[source.path] = "\n\n".join(builders).encode()
    assert pull(release, tmp_path, mirror.url).fetched == (FILE_NAME,)
    assert mirror.requests == [source.path for source in release.text_sources]
    assert from_json(FILE_NAME, (tmp_path / FILE_NAME).read_text(encoding="utf-8")) == texts


# files that are pinned by a git blob id


def blob(path: str, data: bytes) -> OfficialFile:
    return OfficialFile(path, Checksum("git_blob", sha1(b"blob %d\0" % len(data) + data).hexdigest()))


def test_a_blob_id_is_that_of_git() -> None:
    """``echo test content | git hash-object --stdin``."""
    assert Checksum("git_blob", "d670460b4b4aece5915caf5c68d12f560a9fe3e4").matches(b"test content\n")
    assert not Checksum("git_blob", "d670460b4b4aece5915caf5c68d12f560a9fe3e4").matches(b"test content")


def test_a_file_of_unknown_size(tmp_path: Path, mirror: Mirror, release: Release) -> None:
    """It is verified, kept when correct, and refused when it differs."""
    release = replace(release, files=(blob(FIRST, FILES[FIRST]),))
    mirror.replies[FIRST] = [Reply(body=FILES[FIRST][:-1])]
    expected = sha1(b"blob 126000\0" + FILES[FIRST]).hexdigest()
    with pytest.raises(DatasetError, match=f"expected git blob id {expected}, got 125999 bytes with git blob id "):
        pull(release, tmp_path, mirror.url)
    assert contents(tmp_path) == {}
    pull(release, tmp_path, mirror.url)
    assert pull(release, tmp_path, mirror.url).kept == (FIRST,)
    assert contents(tmp_path) == {FIRST: FILES[FIRST]}


def test_a_file_of_unknown_size_comes_last(tmp_path: Path, mirror: Mirror, release_with_texts: Release) -> None:
    """When such a file is not the pinned one, everything else is there, the texts included."""
    release = replace(release_with_texts, files=(blob(FIRST, b"other"), *release_with_texts.files[1:]))
    with pytest.raises(DatasetError, match="git blob id"):
        pull(release, tmp_path, mirror.url)
    assert sorted(contents(tmp_path)) == sorted([SECOND, FILE_NAME])


def test_rows_that_are_not_understood_are_listed(
    tmp_path: Path, mirror: Mirror, release: Release, capsys: pytest.CaptureFixture[str]
) -> None:
    """The pull succeeds, names each row, and does so again when nothing is left to download."""
    good, bad = generate_rows("2", 0, ["meeting"])
    bad = {**bad, "disclosure_mode": "none"}
    data = b"".join(json.dumps(row).encode() + b"\n" for row in (good, bad)) + b"{\n"
    mirror.files[FIRST] = data
    release = replace(release, files=(blob(FIRST, data),))
    file = tmp_path / FIRST
    for fetched in (1, 0):
        assert pull_and_report(release, tmp_path, mirror.url, force=False, as_json=False) == 0
        lines = capsys.readouterr().out.splitlines()
        files = ("0 files", "1 file")[fetched]
        assert lines[0] == f"{tmp_path}: {files} downloaded, {1 - fetched} already correct · 1 scenario"
        assert lines[2] == "2 of 3 rows are not scenarios and cannot be played:"
        assert lines[3].startswith(f"  {file}, line 2, id {bad['id']!r}, field 'disclosure_mode': ")
        assert "expected one of full, partial; got 'none'" in lines[3]
        assert lines[4].startswith(f"  {file}, line 3: not JSON")
    assert pull_and_report(release, tmp_path, mirror.url, force=False, as_json=True) == 0
    report = json.loads(capsys.readouterr().out)
    assert (report["rows"], report["bytes"], report["kept"]) == (3, len(data), [FIRST])
    places = [(p["file"], p["line"], p["id"], p["field"]) for p in report["problems"]]
    assert places == [(str(file), 2, bad["id"], "disclosure_mode"), (str(file), 3, None, None)]
