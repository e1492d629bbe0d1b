"""``muses diff``: the differences between two runs as text and as JSON."""

import json
from pathlib import Path

import pytest
from muses_eval.flows.cli import main

ORACLE = ("--model=scripted/oracle", "--model=scripted/random", "--family=queue")


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> str:
    url = str(tmp_path_factory.mktemp("diff") / "store")
    common = ("run", "--dataset=generated:6", "--store", url)
    assert main([*common, *ORACLE, "--run-id=first"]) == 0
    assert main([*common, *ORACLE, "--run-id=again"]) == 0
    assert main([*common, *ORACLE, "--model=scripted/refuse", "--epochs=2", "--shard-size=4", "--run-id=other"]) == 0
    return url


def said(capsys: pytest.CaptureFixture[str], *arguments: str, code: int = 0) -> str:
    capsys.readouterr()
    assert main(["diff", *arguments]) == code
    out, err = capsys.readouterr()
    return err if code else out


def test_runs_that_were_made_alike(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert said(capsys, "first", "again", "--store", store).splitlines() == [
        "A  first",
        "B  again",
        "",
        "same configuration: none of the recorded facts has changed",
        "",
        "12 episodes are in both runs, with the same outcomes and the same scores",
    ]


def test_what_changed_is_told_in_words(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    lines = said(capsys, "first", "other", "--store", store).splitlines()
    assert lines[3:12] == [
        "what is played",
        "  episodes of scripted/oracle on queue: 6 → 12",
        "  episodes of scripted/random on queue: 6 → 12",
        "  epochs: 1 → 2",
        "models",
        "  scripted/refuse: missing → scripted:refuse",
        "execution",
        "  shard_size: 32 → 4",
        "",
    ]
    assert "A  scripted/random (run first)" in lines
    assert "A  scripted/oracle (run first)" not in lines  # perfect in both runs, so it has no differences


def test_the_same_as_json(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    record = json.loads(said(capsys, "first", "other", "--store", store, "--json"))
    assert (record["a"], record["b"], record["unknown"]) == ("first", "other", [])
    assert {"group": "plan", "what": "epochs", "a": 1, "b": 2} in record["changes"]
    assert [common["episodes"] for common in record["common_episodes"]] == [6, 6]
    assert [answer["a"]["model"] for answer in record["comparisons"]] == ["scripted/oracle", "scripted/random"]


@pytest.mark.parametrize(
    ("arguments", "mentions"),
    [
        (("frist", "other"), ("no run 'frist'", "it has again, first, other")),
        (("first", "zzz"), ("no run 'zzz'", "again, first, other")),
        (("first", "first"), ("'first' was named twice",)),
        (("a/b", "first"), ("run id 'a/b'",)),
    ],
)
def test_runs_that_are_not_there(
    store: str, capsys: pytest.CaptureFixture[str], arguments: tuple[str, ...], mentions: tuple[str, ...]
) -> None:
    told = said(capsys, *arguments, "--store", store, code=2)
    assert all(text in told for text in mentions), told


def test_an_empty_store(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert "there is no run in the store" in said(capsys, "a", "b", "--store", str(tmp_path), code=2)


def test_names_cannot_rule_the_terminal(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    """Control characters in a manifest, which may come from an untrusted source, do not reach the terminal."""
    path = Path(store, "runs", "first.json")
    value = json.loads(path.read_text())
    evil = value | {"run_id": "evil", "users": "x\x1b[2J\ny"}
    path.with_name("evil.json").write_text(json.dumps(evil))
    try:
        told = said(capsys, "evil", "again", "--store", store)
    finally:
        path.with_name("evil.json").unlink()
    assert "\x1b" not in told
    assert "  who: x\ufffd[2J y → scripted" in told.splitlines()


def test_what_is_damaged_is_named(store: str, capsys: pytest.CaptureFixture[str]) -> None:
    """A damaged shard is named, and the remaining episodes are compared."""
    shard = next(Path(store).rglob("traces/run=first/**/scripted-random/**/shard-00000.a1.parquet"))
    whole = shard.read_bytes()
    shard.write_bytes(whole[:-100])
    try:
        assert main(["diff", "first", "again", "--store", store]) == 0
    finally:
        shard.write_bytes(whole)
    out, err = capsys.readouterr()
    assert "shard-00000.a1.parquet" in err
    assert "6 episodes are in both runs" in out
