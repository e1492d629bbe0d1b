"""Incomplete stores: damaged and missing objects, runs without scores, a single model."""

import os
import shutil
from pathlib import Path

import pytest
from muses_eval.dashboards.web.store_cache import StoreCache

from tests.dashboards.web.site import client, store_of
from tests.storage.samples import failed, scored

OF_A_RUN = ("index.html", "corrected.html", "figures/index.html", "compare/index.html", "episodes/index.html")


def two_models(folder: Path) -> StoreCache:
    episodes = [
        scored((model, n), {"f1": 0.5 + n / 10}, model=model, scenario_id=f"q{n}")
        for model in ("model-a", "model-b")
        for n in range(4)
    ]
    return store_of(folder, episodes)


def damage(folder: Path, model: str) -> None:
    (path,) = (folder / "traces").rglob(f"{model}/**/*.parquet")
    path.write_bytes(path.read_bytes()[:-100])
    later = path.stat().st_mtime + 60  # within the same second, DuckDB would use its cached copy
    os.utime(path, (later, later))


def test_a_damaged_object_is_left_out_and_named(tmp_path: Path) -> None:
    two_models(tmp_path)
    damage(tmp_path, "model-b")
    browser = client(StoreCache(str(tmp_path)))
    for name in OF_A_RUN:
        answer = browser.get(f"/runs/run-a/{name}")
        assert answer.status_code == 200, name
    text = browser.get("/runs/run-a/").text
    assert "1 unreadable object left out" in text
    assert "model model-b, family queue is missing" in text
    assert "4 of 4" in text  # the other model is complete
    assert "unreadable object" not in browser.get("/sql.html").text


def test_an_object_that_is_damaged_while_serving_is_left_out(tmp_path: Path) -> None:
    cache = two_models(tmp_path)
    browser = client(cache)
    assert "damaged" not in browser.get("/runs/run-a/").text
    damage(tmp_path, "model-b")
    assert "1 unreadable object left out" in browser.get("/runs/run-a/figures/").text


def test_an_unreadable_manifest_is_named(tmp_path: Path) -> None:
    """The page names the unreadable manifest, and the other run still has its pages."""
    two_models(tmp_path)
    (tmp_path / "runs" / "other.json").write_text('{"manifest_version": 99}')
    browser = client(StoreCache(str(tmp_path)))
    for path in ("/", "/live.html", "/history.html", "/runs/run-a/", "/sql.html"):
        assert browser.get(path).status_code == 200, path
    text = browser.get("/").text
    assert "run-a" in text
    assert "all of run other is missing" in text


def test_a_store_that_disappears_while_serving_is_reported_and_comes_back(tmp_path: Path) -> None:
    now = 0.0
    folder, away = tmp_path / "store", tmp_path / "away"
    two_models(folder)
    cache = StoreCache(str(folder), lambda: now)
    browser = client(cache)
    assert "model-a" in browser.get("/runs/run-a/").text
    shutil.move(folder, away)
    assert browser.get("/runs/run-a/episodes/").status_code in (200, 404, 503)
    now += 60
    assert browser.get("/runs/run-a/").status_code == 404
    assert "no runs yet" in browser.get("/").text
    shutil.move(away, folder)
    now += 60
    assert "model-a" in browser.get("/runs/run-a/").text


@pytest.mark.parametrize("name", OF_A_RUN)
def test_a_run_without_a_score_has_its_pages(tmp_path: Path, name: str) -> None:
    cache = store_of(tmp_path, [failed((model, n), model=model) for model in ("model-a", "model-b") for n in range(2)])
    answer = client(cache).get(f"/runs/run-a/{name}")
    assert answer.status_code == 200
    says = {"figures": "No figures", "compare": "needs two models", "episodes": "infra failed"}
    assert says.get(name.partition("/")[0], "2 infra failed") in answer.text


@pytest.mark.parametrize("name", OF_A_RUN)
def test_a_single_model_has_its_pages(tmp_path: Path, name: str) -> None:
    cache = store_of(tmp_path, [scored(n, {"f1": n / 4}, scenario_id=f"q{n}") for n in range(4)])
    assert client(cache).get(f"/runs/run-a/{name}").status_code == 200


@pytest.mark.parametrize("path", ["index.html", "history.html", "live.html", "sql.html"])
def test_an_empty_store_has_its_pages(empty_cache: StoreCache, path: str) -> None:
    assert client(empty_cache).get(f"/{path}").status_code == 200
