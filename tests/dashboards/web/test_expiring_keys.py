"""Keys of a role expire while the pages are served: the cached connection gets the new ones, once."""

import datetime as dt
import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from urllib.parse import parse_qs, unquote, urlsplit

import pytest
from muses_eval.dashboards.web.store_cache import StoreCache
from muses_eval.storage.objects.object_keys import ShardKey
from muses_eval.storage.objects.open_store import open_store
from muses_eval.storage.query.find_episode import find_episode
from muses_eval.storage.runs.manifest import create_or_check
from muses_eval.storage.runs.shards import write_shard

from tests.storage.samples import MANIFEST, episode


class ExpiringS3:
    """Serves the folders of *root* as buckets, to be read with the newest keys only."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self.requests = self.refused = self._issued = 0

    def issue_keys(self) -> None:
        """Makes new keys, with which boto3 finds them, and refuses all earlier ones."""
        self._issued += 1
        soon = dt.datetime.now(dt.UTC) + dt.timedelta(minutes=5)  # boto3 renews keys that expire within ten minutes
        keys = {"Version": 1, "AccessKeyId": f"K{self._issued}", "SecretAccessKey": "s", "SessionToken": "t"}
        self._root.joinpath("keys.json").write_text(json.dumps({**keys, "Expiration": soon.isoformat()}))

    def answer(self, path: str, credential: str, asked: str) -> tuple[int, bytes, dict[str, str]]:
        """Returns the status, the body and the headers for a request of the range *asked*."""
        self.requests += 1
        if f"Credential=K{self._issued}/" not in credential:
            self.refused += 1
            return 400, b"<Error><Code>ExpiredToken</Code></Error>", {}
        url = urlsplit(path)
        file = self._root / unquote(url.path).lstrip("/")
        if "list-type" in url.query:
            prefix = parse_qs(url.query)["prefix"][0]
            found = {each.relative_to(file).as_posix(): each.stat().st_size for each in file.rglob("*.*")}
            date = "<LastModified>2026-01-01T00:00:00.000Z</LastModified>"
            listed = "".join(
                f"<Contents><Key>{key}</Key><Size>{size}</Size>{date}</Contents>"
                for key, size in sorted(found.items())
                if key.startswith(prefix)
            )
            return 200, f"<ListBucketResult>{listed}</ListBucketResult>".encode(), {}
        data, headers = file.read_bytes(), {"ETag": '"1"', "Accept-Ranges": "bytes"}
        if part := re.match(r"bytes=(\d+)-(\d+)", asked):
            start, end = int(part[1]), int(part[2])
            return 206, data[start : end + 1], {**headers, "Content-Range": f"bytes {start}-{end}/{len(data)}"}
        return 200, data, headers


@contextmanager
def served(store: ExpiringS3) -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        wbufsize = 2**16  # headers and body in one packet

        def do_GET(self) -> None:
            credential, asked = (self.headers.get(name, "") for name in ("Authorization", "Range"))
            status, body, headers = store.answer(self.path, credential, asked)
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(body))}.items():
                self.send_header(name, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(body)

        def do_HEAD(self) -> None:
            self.do_GET()

        def log_message(self, *args: object) -> None:
            """Logs nothing."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        server.daemon_threads = True
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def test_a_page_after_the_expiry_costs_as_many_requests_as_before(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Only the first page meets a refusal, and the store is not listed again for it."""
    folder = open_store(str(tmp_path / "bucket" / "x"))
    create_or_check(folder, MANIFEST)
    episodes = [episode(number) for number in range(4)]
    write_shard(folder, ShardKey("run-a", "model-a", "queue", 0, 1), episodes)
    (tmp_path / "config").write_text(f"[default]\ncredential_process = cat {tmp_path}/keys.json\n")
    monkeypatch.setenv("AWS_CONFIG_FILE", str(tmp_path / "config"))
    monkeypatch.setenv("AWS_REGION", "us-east-1")
    server = ExpiringS3(tmp_path)
    server.issue_keys()
    with served(server) as url:
        monkeypatch.setenv("AWS_ENDPOINT_URL", url)
        cache = StoreCache("s3://bucket/x", lambda: 0.0)

        def page(number: int) -> tuple[int, int]:
            """Returns the number of requests of a page, and how many of them were refused."""
            before = server.requests, server.refused
            wanted = episodes[number].episode_id
            assert cache.query(lambda views: find_episode(views, wanted), None).episode_id == wanted
            return server.requests - before[0], server.refused - before[1]

        page(0)
        usual, refused = page(1)
        assert refused == 0
        server.issue_keys()
        first, refused = page(2)
        assert refused > 0
        assert first <= usual + refused
        assert page(3) == (usual, 0)
