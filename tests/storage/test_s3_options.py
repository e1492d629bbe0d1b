"""Stores on S3: encryption, the bucket's owner, private authorities, proxies, and plain prefixes."""

from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from muses_eval.pipeline.errors import ConfigError, StoreError
from muses_eval.pipeline.loopback import LOOPBACK
from muses_eval.storage.objects.object_keys import ShardKey
from muses_eval.storage.objects.object_store import CHECK_PREFIX
from muses_eval.storage.objects.open_store import open_store
from muses_eval.storage.objects.s3_options import S3Options, ca_bundle
from muses_eval.storage.query.duckdb_connection import connect
from muses_eval.storage.query.polars_frames import scan
from muses_eval.storage.query.reader_check import check_readers, check_rerouted_readers
from muses_eval.storage.runs.manifest import create_or_check
from muses_eval.storage.runs.shards import write_shard

from tests.s3_server import S3Server
from tests.storage.samples import MANIFEST, episode
from tests.tls_front import tls_front

OWNER = "123456789012"


def is_written_and_read(url: str) -> bool:
    """Writes a run, and reads it with each of the three clients."""
    store = open_store(url)
    store.check()
    create_or_check(store, MANIFEST)
    write_shard(store, ShardKey("run-a", "model-a", "queue", 0, 1), [episode(1)])
    with connect(url) as connection:
        counted = connection.execute("SELECT count(*) FROM episodes").fetchall()
    return counted == [(1,)] and scan(url).collect().height == 1


@pytest.mark.parametrize(
    ("environ", "expected"),
    [
        ({}, S3Options()),
        ({"MUSES_S3_SSE": " AES256 ", "MUSES_S3_KMS_KEY_ID": ""}, S3Options("AES256")),
        ({"MUSES_S3_SSE": "aws:kms", "MUSES_S3_KMS_KEY_ID": "key"}, S3Options("aws:kms", "key")),
        ({"MUSES_S3_BUCKET_OWNER": OWNER}, S3Options(bucket_owner=OWNER)),
        ({"MUSES_S3_SSE": "aes256"}, "MUSES_S3_SSE='aes256'.*expected AES256, aws:kms"),
        ({"MUSES_S3_KMS_KEY_ID": "key"}, "needs MUSES_S3_SSE=aws:kms"),
        ({"MUSES_S3_SSE": "AES256", "MUSES_S3_KMS_KEY_ID": "key"}, "needs MUSES_S3_SSE=aws:kms"),
        ({"MUSES_S3_BUCKET_OWNER": "me"}, "MUSES_S3_BUCKET_OWNER='me'.*12 digits"),
    ],
)
def test_options_of_the_environment(environ: dict[str, str], expected: S3Options | str) -> None:
    if isinstance(expected, S3Options):
        assert S3Options.read(environ) == expected
    else:
        with pytest.raises(ConfigError, match=expected):
            S3Options.read(environ)


@pytest.mark.parametrize(
    ("prefix", "message"),
    [
        ("a//b", "write s3://muses-tests/a/b"),
        ("./c", "write s3://muses-tests/c"),
        ("a/../b", "write s3://muses-tests/a/b"),
        ("a/.", "write s3://muses-tests/a"),
        ("a*", "'\\*'"),
        ("a?b", "'\\?'"),
        ("a[b]", "'\\['"),
        ("a\\b", "wildcards or not at all"),
        ("a\nb", "'\\\\n'"),
    ],
)
def test_a_prefix_that_servers_or_readers_change_is_refused(prefix: str, message: str) -> None:
    """Wherever a store is opened, to be written or read."""
    with pytest.raises(ConfigError, match=message):
        open_store(f"s3://muses-tests/{prefix}")


@pytest.mark.slow
@pytest.mark.parametrize("prefix", ["a b/ü/日本", "a%20b%", "a+b=c", "/ends/", "{x,y}#'\";&", "..."])
def test_any_other_prefix_is_written_and_read(s3_url: str, prefix: str) -> None:
    assert is_written_and_read(f"{s3_url}/{prefix}" if not prefix.startswith("/") else f"{s3_url}{prefix}")


@contextmanager
def recording(status: int = 200) -> Iterator[tuple[str, list[tuple[str, dict[str, str]]]]]:
    """Starts a server that answers a PUT with *status*; yields its URL, and the method and headers of all requests."""
    seen: list[tuple[str, dict[str, str]]] = []

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            seen.append((self.command, {name.lower(): value for name, value in self.headers.items()}))
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            failed = self.command == "PUT" and status >= 400
            error = b"<Error><Code>AccessDenied</Code><Message>explicit deny: no encryption</Message></Error>"
            body = error if failed else b"<ListBucketResult/>" if "list-type" in self.path else b""
            self.send_response(status if failed else 200)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("ETag", '"tag"')
            self.end_headers()
            self.wfile.write(body)

        do_GET = do_PUT = do_DELETE = _answer  # noqa: N815 - names of the base class

        def log_message(self, *args: object) -> None:
            """Logs nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = Thread(target=server.serve_forever)
        thread.start()
        try:
            yield f"http://127.0.0.1:{server.server_port}", seen
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture
def _keys(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"):
        monkeypatch.setenv(name, "tests")


@pytest.mark.usefixtures("_keys")
def test_the_options_are_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """The owner with every request, the encryption with every write."""
    monkeypatch.setenv("MUSES_S3_SSE", "aws:kms")
    monkeypatch.setenv("MUSES_S3_KMS_KEY_ID", "arn:aws:kms:eu-west-1:1:key/k")
    monkeypatch.setenv("MUSES_S3_BUCKET_OWNER", OWNER)
    with recording() as (url, seen):
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        store = open_store("s3://bucket")
        store.put_if_absent("a", b"1")
        store.replace("a", b"2", store.read("a").tag)
        list(store.list(""))
        store.delete("a")
    assert [method for method, _ in seen] == ["PUT", "GET", "PUT", "GET", "DELETE"]
    for method, headers in seen:
        assert headers["x-amz-expected-bucket-owner"] == OWNER
        kind = headers.get("x-amz-server-side-encryption"), headers.get("x-amz-server-side-encryption-aws-kms-key-id")
        assert kind == (("aws:kms", "arn:aws:kms:eu-west-1:1:key/k") if method == "PUT" else (None, None))


@pytest.mark.usefixtures("_keys")
def test_the_reason_of_the_server_is_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    with recording(403) as (url, _):
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        with pytest.raises(StoreError, match=r"AccessDenied: explicit deny: no encryption.*MUSES_S3_SSE"):
            open_store("s3://bucket").put_if_absent("a", b"1")


@pytest.mark.parametrize("variable", ["AWS_CA_BUNDLE", "SSL_CERT_FILE"])
def test_a_private_authority_is_trusted_by_writer_and_readers(
    s3_url: str, s3_environment: S3Server, variable: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("AWS_CA_BUNDLE", "REQUESTS_CA_BUNDLE", "SSL_CERT_FILE"):
        monkeypatch.delenv(name, raising=False)
    with tls_front(s3_environment.endpoint, tmp_path) as (url, authority):
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        monkeypatch.setenv(variable, str(authority))
        assert is_written_and_read(s3_url)
        store = open_store(s3_url)
        check_readers(store)
        assert list(store.list(CHECK_PREFIX)) == []


@pytest.mark.slow
def test_a_run_that_polars_cannot_read_is_refused_before_it_is_played(
    s3_url: str, s3_environment: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Polars refuses a server's certificate that is its own authority; boto3 and DuckDB accept it."""
    with tls_front(s3_environment.endpoint, tmp_path, self_signed=True) as (url, authority):
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        monkeypatch.setenv("AWS_CA_BUNDLE", str(authority))
        open_store(s3_url).check()
        with pytest.raises(StoreError, match=r"but Polars does not: .* basicConstraints=CA:FALSE"):
            check_rerouted_readers(open_store(s3_url))


@pytest.mark.slow
def test_an_unknown_authority(s3_environment: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with tls_front(s3_environment.endpoint, tmp_path) as (url, _):
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        with pytest.raises(StoreError, match=r"certificate is not trusted.*AWS_CA_BUNDLE"):
            open_store("s3://muses-tests").check()


def test_an_authority_that_is_no_file(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no\.pem is no file.*AWS_CA_BUNDLE"):
        ca_bundle(str(tmp_path / "no.pem"), {})


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "ALL_PROXY"])
def test_all_requests_go_through_the_proxy(
    s3_url: str, s3_environment: S3Server, variable: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server also takes the requests that a proxy gets; the name of the endpoint exists nowhere else."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://s3.invalid")
    monkeypatch.setenv(variable, s3_environment.endpoint.replace("http://", "http://user:pass@"))
    assert is_written_and_read(s3_url)


def test_a_server_on_this_machine_needs_no_proxy(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("http_proxy", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    for name in ("no_proxy", "NO_PROXY"):  # as the import of the package sets them
        monkeypatch.setenv(name, ",".join(LOOPBACK))
    assert is_written_and_read(s3_url)
