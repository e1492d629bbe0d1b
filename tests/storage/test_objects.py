"""Object stores: whole objects, one winner per key, and errors that name a remedy."""

import os
import pickle
import subprocess
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from types import SimpleNamespace

import boto3
import pytest
from muses_eval.pipeline.errors import ConfigError, StoreError
from muses_eval.storage.objects.folder_store import FolderStore
from muses_eval.storage.objects.object_store import MissingObjectError, ObjectStore, store_time
from muses_eval.storage.objects.open_store import open_store
from muses_eval.storage.objects.s3_store import S3Store

from tests.s3_server import KEY_ID, SECRET, S3Server, free_ports

USES: dict[str, Callable[[ObjectStore], object]] = {
    "check": lambda store: store.check(),
    "get": lambda store: store.get("a"),
    "list": lambda store: list(store.list("")),
    "put": lambda store: store.put_if_absent("a", b""),
    "replace": lambda store: store.replace("a", b"", "tag"),
    "delete": lambda store: store.delete("a"),
}
every_use = pytest.mark.parametrize("use", USES.values(), ids=list(USES))


def test_what_was_put_is_got(store: ObjectStore) -> None:
    """Any bytes are read back unchanged, an empty object included."""
    for key, data in {"runs/a.json": b"{}", "deep/down/here": bytes(range(256)) * 1000, "empty": b""}.items():
        assert store.put_if_absent(key, data)
        assert store.get(key) == data


def test_a_taken_key_stays_as_it_is(store: ObjectStore) -> None:
    """The second write returns False and changes nothing."""
    assert store.put_if_absent("runs/a.json", b"first")
    assert not store.put_if_absent("runs/a.json", b"second")
    assert store.get("runs/a.json") == b"first"


def test_exactly_one_of_many_writers_wins(store: ObjectStore) -> None:
    """When many threads write one key at once, exactly one write returns True, and its bytes are stored."""
    for turn in range(5):
        key, bodies = f"race/{turn}", [f"writer {number}".encode() * 1000 for number in range(8)]
        with ThreadPoolExecutor(len(bodies)) as threads:
            won = list(threads.map(store.put_if_absent, [key] * len(bodies), bodies))
        assert won.count(True) == 1
        assert store.get(key) == bodies[won.index(True)]


def test_nothing_under_a_key(store: ObjectStore) -> None:
    """A missing object raises MissingObjectError, which can be pickled."""
    store.put_if_absent("a", b"")
    with pytest.raises(MissingObjectError, match="there is no object 'b/c'") as caught:
        store.get("b/c")
    assert caught.value.key == "b/c"
    assert str(pickle.loads(pickle.dumps(caught.value))) == str(caught.value)


def test_listing(store: ObjectStore) -> None:
    """Keys below a prefix are listed with their sizes, sorted as text, whatever their folders."""
    assert list(store.list("")) == []
    for key in ("a/b", "a.txt", "a/d/c", "b", "a/z", "a-1"):
        store.put_if_absent(key, key.encode())
    everything = list(store.list(""))
    assert [info.key for info in everything] == sorted(info.key for info in everything)
    assert {info.key: info.size for info in everything}["a.txt"] == len("a.txt")
    assert len(everything) == 6
    assert [info.key for info in store.list("a")] == [info.key for info in everything if info.key.startswith("a")]
    assert [info.key for info in store.list("a/z")] == ["a/z"]
    assert list(store.list("nowhere/")) == []


def test_listing_over_many_pages(store: ObjectStore) -> None:
    """A listing on S3 may have more objects than one page."""
    keys = [f"many/{number:04d}" for number in range(1100)]
    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(lambda key: store.put_if_absent(key, b"x"), keys))
    assert [info.key for info in store.list("many/")] == keys


def test_check_leaves_nothing_behind(store: ObjectStore) -> None:
    """The check of a usable store passes and leaves no object."""
    store.check()
    assert list(store.list("")) == []
    store.put_if_absent("a", b"")
    store.check()
    assert [info.key for info in store.list("")] == ["a"]


def test_opening_touches_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """No folder is created, and no request is sent."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:1")
    open_store(str(tmp_path / "store"))
    open_store("s3://bucket/prefix")
    assert not (tmp_path / "store").exists()
    with pytest.raises(StopIteration):
        next(open_store(str(tmp_path / "store")).list(""))
    assert not (tmp_path / "store").exists()


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("/data/results/", "/data/results"),
        ("~/results", f"{Path.home()}/results"),
        ("file:///data/my%20results", "/data/my results"),
        ("results", f"{Path.cwd()}/results"),
        ("s3://bucket", "s3://bucket"),
        ("s3://bucket/some/prefix/", "s3://bucket/some/prefix"),
    ],
)
def test_urls(url: str, expected: str) -> None:
    """The URL of a store opens the same store again."""
    store = open_store(url)
    assert store.url == expected
    assert open_store(store.url).url == expected
    assert store.uri("runs/a.json") == f"{expected}/runs/a.json"


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("gs://bucket/prefix", r"gs:// is not supported; write a folder .* or s3://bucket/prefix"),
        ("s3://", "names no bucket"),
        ("", "names no folder"),
        ("file://", "names no folder"),
        ("~no-such-user/results", "write the folder's whole path"),
    ],
)
def test_bad_urls(url: str, expected: str) -> None:
    """An invalid store URL is refused with the valid forms."""
    with pytest.raises(ConfigError, match=expected):
        open_store(url)


@every_use
def test_a_folder_below_a_file(tmp_path: Path, use: Callable[[ObjectStore], object]) -> None:
    """Writes fail with StoreError, and reads find nothing."""
    (tmp_path / "file").write_bytes(b"")
    store = open_store(str(tmp_path / "file" / "store"))
    if use in (USES["list"], USES["replace"], USES["delete"]):
        assert not use(store)
    else:
        with pytest.raises(StoreError, match=str(tmp_path)):
            use(store)


@pytest.mark.parametrize("url", ["/proc/muses-store", "/dev/null", "/dev/null/store", f"/tmp/{'x' * 300}"])
def test_a_folder_that_cannot_be_written(url: str) -> None:
    """The check fails and says what to do, also when run as root."""
    with pytest.raises(StoreError, match=r"name a folder|name another folder"):
        open_store(url).check()
    with pytest.raises(StoreError):
        open_store(url).put_if_absent("a", b"")


@pytest.mark.skipif(os.geteuid() == 0, reason="the superuser may write anywhere")
def test_a_folder_without_rights(tmp_path: Path) -> None:
    """The message names the missing permission."""
    tmp_path.chmod(0o500)
    with pytest.raises(StoreError, match="Permission denied"):
        open_store(str(tmp_path)).check()


def test_an_impossible_bucket() -> None:
    """An invalid bucket name is refused before a request is sent."""
    with pytest.raises(ConfigError, match="'Not A Bucket!' is not the name of a bucket"):
        open_store("s3://Not A Bucket!")


def test_an_unfinished_write_is_no_object(tmp_path: Path) -> None:
    """The leftovers of a killed writer are not listed and do not block other writers."""
    store = FolderStore(tmp_path)
    store.put_if_absent("a/b", b"whole")
    (tmp_path / "a" / ".put-0123456789abcdef").write_bytes(b"ha")
    assert [info.key for info in store.list("")] == ["a/b"]
    assert sorted(path.name for path in (tmp_path / "a").iterdir()) == [".put-0123456789abcdef", "b"]


@every_use
def test_a_missing_bucket(s3_environment: S3Server, use: Callable[[ObjectStore], object]) -> None:
    """A bucket is never created implicitly."""
    assert s3_environment
    if use is USES["replace"]:  # this server reports a missing object as a changed one
        assert use(open_store("s3://no-such-bucket/prefix")) is False
        return
    with pytest.raises(StoreError, match=r"there is no bucket 'no-such-bucket' \(NoSuchBucket.*\); create it"):
        use(open_store("s3://no-such-bucket/prefix"))


@every_use
@pytest.mark.parametrize("name", ["AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"])
def test_wrong_credentials(
    s3_url: str, monkeypatch: pytest.MonkeyPatch, use: Callable[[ObjectStore], object], name: str
) -> None:
    """The message names the environment variables, and contains no secret."""
    monkeypatch.setenv(name, "wrong")
    with pytest.raises(StoreError, match=r"refuses the credentials .* check AWS_ACCESS_KEY_ID") as caught:
        use(open_store(s3_url))
    assert SECRET not in str(caught.value)


@every_use
def test_no_credentials(s3_url: str, monkeypatch: pytest.MonkeyPatch, use: Callable[[ObjectStore], object]) -> None:
    """The message names the environment variables to set."""
    monkeypatch.delenv("AWS_ACCESS_KEY_ID")
    monkeypatch.delenv("AWS_SECRET_ACCESS_KEY")
    with pytest.raises(StoreError, match="no credentials found; set AWS_ACCESS_KEY_ID"):
        use(open_store(s3_url))


@every_use
def test_an_unreachable_server(
    s3_url: str, monkeypatch: pytest.MonkeyPatch, use: Callable[[ObjectStore], object]
) -> None:
    """The store gives up after a few attempts, and the message names the address."""
    endpoint = f"http://127.0.0.1:{free_ports(1)[0]}"
    monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
    pauses: list[float] = []
    monkeypatch.setattr("botocore.endpoint.time", SimpleNamespace(sleep=pauses.append))
    with pytest.raises(StoreError, match=f"cannot reach the server .*{endpoint}.*check AWS_ENDPOINT_URL"):
        use(open_store(s3_url))
    assert len(pauses) == 4


def test_access_is_what_boto3_found(s3_url: str, s3_environment: S3Server) -> None:
    """Other S3 clients get the same endpoint and keys; the repr contains no secret."""
    store = open_store(s3_url)
    assert isinstance(store, S3Store)
    access = store.client_settings()
    assert (access.endpoint, access.key_id, access.secret) == (s3_environment.endpoint, KEY_ID, SECRET)
    assert SECRET not in repr(access)


def test_objects_are_plain(s3_url: str, s3_environment: S3Server) -> None:
    """Any other S3 client reads the same bytes under the same key."""
    store = open_store(s3_url)
    store.put_if_absent("runs/a.json", b"{}")
    bucket, _, key = store.uri("runs/a.json").removeprefix("s3://").partition("/")
    client = boto3.client("s3", endpoint_url=s3_environment.endpoint)
    assert client.get_object(Bucket=bucket, Key=key)["Body"].read() == b"{}"


@contextmanager
def answering(*statuses: int, stored: bytes = b"") -> Iterator[str]:
    """Starts a server that responds to each PUT with the next status, and to each GET with *stored*."""
    left = list(statuses)
    codes = {409: "ConditionalRequestConflict", 412: "PreconditionFailed", 503: "SlowDown"}

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_PUT(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            status = left.pop(0)
            error = f"<Error><Code>{codes[status]}</Code><Message>as told</Message></Error>" if status in codes else ""
            self._answer(status, error.encode())

        def do_GET(self) -> None:
            self._answer(200, b"<ListBucketResult/>" if "list-type=2" in self.path else stored)

        def do_DELETE(self) -> None:
            self._answer(204, b"")

        def _answer(self, status: int, body: bytes) -> None:
            self.send_response(status)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("ETag", f'"{len(left)}"')
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Logs nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}"
        finally:
            server.shutdown()
            thread.join()
    assert not left, "fewer requests than expected"


def test_a_conflict_is_tried_again(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """After 409, a conflict of two writers, the write is retried after a pause."""
    assert s3_url
    for last, written in ((200, True), (412, False)):
        pauses: list[float] = []
        with answering(409, 409, last) as endpoint:
            monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
            assert S3Store("bucket", "", sleep=pauses.append).put_if_absent("a", b"mine") is written
        assert len(pauses) == 2
        assert pauses[0] < pauses[1]


def test_conflicts_without_end(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The retries end with an error that names the key."""
    assert s3_url
    with answering(*[409] * 6) as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        with pytest.raises(StoreError, match="other writers kept changing 'a'"):
            S3Store("bucket", "", sleep=lambda _: None).put_if_absent("a", b"mine")


@pytest.mark.parametrize(("stored", "written"), [(b"mine", True), (b"theirs", False)])
def test_a_lost_answer(s3_url: str, monkeypatch: pytest.MonkeyPatch, stored: bytes, *, written: bool) -> None:
    """When the response to a successful write is lost, the retry compares the stored bytes."""
    assert s3_url
    with answering(503, 412, stored=stored) as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        assert S3Store("bucket", "").put_if_absent("a", b"mine") is written


@pytest.mark.parametrize(
    ("answers", "ignored"),
    [
        ((200, 200, 200, 200), "If-None-Match and If-Match"),
        ((200, 412, 200, 200), "If-Match"),
        ((200, 412, 412), "If-Match"),
        ((200, 200, 200, 412), "If-None-Match"),
    ],
)
def test_a_server_that_overwrites(
    s3_url: str, monkeypatch: pytest.MonkeyPatch, answers: tuple[int, ...], ignored: str
) -> None:
    """The check fails for a server that supports no conditional writes, or only one kind."""
    assert s3_url
    with answering(*answers, stored=b"second") as endpoint:
        monkeypatch.setenv("AWS_ENDPOINT_URL", endpoint)
        with pytest.raises(StoreError, match=f"does not support {ignored}, so"):
            S3Store("bucket", "").check()


def test_what_was_read_is_replaced(store: ObjectStore) -> None:
    """A write with an old tag, or for a missing object, returns False."""
    store.put_if_absent("runs/a.json", b"first")
    data, tag = store.read("runs/a.json")
    assert data == b"first"
    assert store.replace("runs/a.json", b"second", tag)
    assert not store.replace("runs/a.json", b"third", tag)
    assert store.get("runs/a.json") == b"second"
    assert not store.replace("runs/none.json", b"x", tag)
    assert [info.key for info in store.list("")] == ["runs/a.json"]


def test_no_update_is_lost(store: ObjectStore) -> None:
    """When many writers increment one counter, no increment is lost."""
    store.put_if_absent("number", b"0")

    def count_up(_: int) -> None:
        while True:
            data, tag = store.read("number")
            if store.replace("number", str(int(data) + 1).encode(), tag):
                return

    with ThreadPoolExecutor(8) as threads:
        list(threads.map(count_up, range(40)))
    assert store.get("number") == b"40"


def test_processes_exclude_each_other(tmp_path: Path) -> None:
    """In a folder, the lock works between processes, and the lock of a killed process is released."""
    store = open_store(str(tmp_path))
    store.put_if_absent("number", b"0")
    code = (
        "import sys; from muses_eval.storage.objects.open_store import open_store; store = open_store(sys.argv[1])\n"
        "for _ in range(50):\n"
        "    while not store.replace('number', str(int((v := store.read('number')).data) + 1).encode(), v.tag): pass\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    running = [subprocess.Popen(command, cwd=Path(__file__).parents[2]) for _ in range(3)]
    assert [each.wait(60) for each in running] == [0, 0, 0]
    assert store.get("number") == b"150"
    holder = "import fcntl, sys, time; f = open(sys.argv[1], 'w'); fcntl.flock(f, 2); print(flush=True); time.sleep(60)"
    with subprocess.Popen([sys.executable, "-c", holder, str(tmp_path / ".lock")], stdout=subprocess.PIPE) as process:
        assert process.stdout
        process.stdout.readline()
        process.kill()
    assert store.replace("number", b"0", store.read("number").tag)


def test_deleting(store: ObjectStore) -> None:
    """Only the named object is deleted; deleting a missing object does nothing."""
    for key in ("a/b/c", "a/d"):
        store.put_if_absent(key, b"x")
    store.delete("a/b/c")
    store.delete("a/b/c")
    assert [info.key for info in store.list("")] == ["a/d"]
    assert store.put_if_absent("a/b/c", b"again")


def test_an_empty_folder_goes_with_its_last_object(tmp_path: Path) -> None:
    """Empty folders are removed, except the root of the store."""
    store = FolderStore(tmp_path)
    store.put_if_absent("a/b/c", b"x")
    store.delete("a/b/c")
    assert tmp_path.is_dir()
    assert list(tmp_path.iterdir()) == []


def test_times_are_those_of_the_store(store: ObjectStore) -> None:
    """An object written earlier is not newer than now, apart from the second to which S3 rounds."""
    store.put_if_absent("a", b"x")
    (info,) = store.list("a")
    assert 0 <= store_time(store) - info.modified + 1 < 600
    assert [info.key for info in store.list("")] == ["a"]


def test_two_buckets(s3_environment: S3Server) -> None:
    """Stores in two buckets share only the server."""
    s3_environment.create_bucket("muses-others")
    ours, others = open_store("s3://muses-tests/two"), open_store("s3://muses-others/two")
    assert ours.put_if_absent("a", b"ours")
    assert others.put_if_absent("a", b"theirs")
    assert (ours.get("a"), others.get("a")) == (b"ours", b"theirs")
    ours.delete("a")
    assert [info.key for info in others.list("")] == ["a"]


FULL = """
import resource, sys
from muses_eval.storage.objects.open_store import open_store
resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))
store = open_store(sys.argv[1])
store.put_if_absent("small", b"x" * 100)
try:
    store.put_if_absent("large", b"x" * 100_000)
except Exception as error:
    print(type(error).__name__, error)
print([info.key for info in store.list("")], [info.key for info in store.temporary_objects()])
"""


def test_a_file_that_does_not_fit(tmp_path: Path) -> None:
    """The message says what to do; existing objects are intact, and no partial object is left."""
    root = Path(__file__).parents[2]
    command = [sys.executable, "-c", FULL, str(tmp_path)]
    done = subprocess.run(command, cwd=root, capture_output=True, text=True, check=True)
    first, second = done.stdout.splitlines()
    assert first.startswith("StoreError store ")
    assert "free disk space and start the same command again" in first
    assert second == "['small'] []"
