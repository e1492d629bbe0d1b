"""The server: every page responds, and no text of a model is executed."""

from pathlib import Path

import pytest
from muses_eval.dashboards.web.export import export
from muses_eval.dashboards.web.routes import ROUTES
from muses_eval.dashboards.web.store_cache import StoreCache
from muses_eval.storage.objects.object_keys import ShardKey
from muses_eval.storage.objects.open_store import open_store
from muses_eval.storage.runs.manifest import create_or_check
from muses_eval.storage.runs.shards import write_shard

from tests.dashboards.web.site import client
from tests.storage.samples import MANIFEST, scored

HOSTILE = '"><script>alert(1)</script><img src=x onerror=alert(2)>\u202etxt\x1b[31m'


def test_every_page_responds(cache: StoreCache) -> None:
    browser = client(cache)
    for route in ROUTES:
        for params in route.exported_params(cache):
            answer = browser.get(f"/{route.path(**params)}")
            assert answer.status_code == 200, route.path(**params)
            assert answer.headers["content-type"] == "text/html; charset=utf-8"


def test_a_folder_is_its_index(cache: StoreCache) -> None:
    browser = client(cache)
    assert browser.get("/").text == browser.get("/index.html").text
    assert browser.get("/runs/played/").text == browser.get("/runs/played/index.html").text


def test_the_leaderboard_has_the_numbers_of_the_command_line(cache: StoreCache) -> None:
    text = client(cache).get("/runs/played/").text
    assert text.index("scripted/oracle") < text.index("scripted/refuse")
    assert '<span class="tag">ceiling</span>' in text
    assert '<span class="mean">100.0</span> <span class="se">± 0.0</span>' in text
    assert "24 of 24" in text


@pytest.mark.parametrize(
    "path", ["nothing.html", "runs/unknown/index.html", "runs/played/guessed.html", "../etc/passwd"]
)
def test_an_unknown_page_is_a_404_with_a_message(cache: StoreCache, path: str) -> None:
    answer = client(cache).get(f"/{path}")
    assert answer.status_code == 404
    assert "<h1>Not found</h1>" in answer.text


def test_an_empty_store_explains_how_to_fill_it(empty_cache: StoreCache) -> None:
    answer = client(empty_cache).get("/")
    assert answer.status_code == 200
    assert "This store has no runs yet" in answer.text


def test_an_unreachable_store_is_an_error_page(s3_gone: StoreCache) -> None:
    answer = client(s3_gone).get("/")
    assert answer.status_code == 503
    assert "cannot reach the server" in answer.text


@pytest.fixture
def s3_gone(monkeypatch: pytest.MonkeyPatch) -> StoreCache:
    """Returns a cache over a store whose server is not reachable."""
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:9")
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "unused")
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "nothing")
    monkeypatch.setenv("AWS_MAX_ATTEMPTS", "1")
    return StoreCache("s3://bucket/prefix")


def test_names_of_models_are_text(tmp_path: Path) -> None:
    """Model names are shown as text, since a store may come from an untrusted source."""
    cache = StoreCache(str(tmp_path / "store"))
    store = open_store(cache.store_url)
    planned = {(HOSTILE, "queue"): 2}
    manifest = MANIFEST.__class__(
        **{name: getattr(MANIFEST, name) for name in MANIFEST.__dataclass_fields__}
        | {"planned": planned, "models": {HOSTILE: {"provider": "openai"}}, "dataset": HOSTILE}
    )
    create_or_check(store, manifest)
    episodes = [scored(n, {"f1": 0.5 + n / 10}, model=HOSTILE, scenario_id=f"q{n}") for n in range(2)]
    assert write_shard(store, ShardKey("run-a", "hostile", "queue", 0, 1), episodes)
    for path in ("/", "/runs/run-a/", "/runs/run-a/figures/"):
        text = client(cache).get(path).text
        assert "<script>alert" not in text
        assert "<img" not in text
        assert "\u202e" not in text
        assert "\x1b" not in text
    assert "alert(1)" in client(cache).get("/runs/run-a/").text  # printed as text


def test_the_content_security_policy_forbids_inline_scripts(cache: StoreCache) -> None:
    headers = client(cache).get("/").headers
    policy = dict(part.strip().split(" ", 1) for part in headers["content-security-policy"].split(";"))
    assert policy["default-src"] == "'none'"
    assert policy["script-src"] == "'self'"
    assert policy["style-src"] == "'self'"
    assert headers["x-content-type-options"] == "nosniff"
    assert headers["referrer-policy"] == "same-origin"


def test_pages_request_nothing_from_other_hosts(cache: StoreCache) -> None:
    """No page has a URL of another host, except the SVG namespace."""
    browser = client(cache)
    for route in ROUTES:
        for params in route.exported_params(cache):
            text = browser.get(f"/{route.path(**params)}").text
            assert "http" not in text.replace("http://www.w3.org/2000/svg", "")
            assert " style=" not in text
            assert "<script>" not in text


def test_the_export_writes_the_pages_that_the_server_shows(cache: StoreCache, tmp_path: Path) -> None:
    site = tmp_path / "site"
    count = export(cache, site)
    files = {path.relative_to(site).as_posix() for path in site.rglob("*") if path.is_file()}
    assert len(files) == count
    assert {"index.html", "static/style.css", "static/site.js", "runs/played/index.html"} <= files
    exported = (site / "runs/played/figures/index.html").read_text(encoding="utf-8")
    served = client(cache).get("/runs/played/figures/").text
    assert exported.partition("<main")[2] == served.partition("<main")[2]
