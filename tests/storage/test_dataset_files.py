"""Dataset files are read as rows; errors name the line."""

from pathlib import Path

import pytest
from muses_eval.pipeline.datasets.dataset import SourceRow
from muses_eval.pipeline.errors import DatasetError
from muses_eval.storage.objects.dataset_files import read_rows


def test_a_file(tmp_path: Path) -> None:
    """Each line is a row with its 1-based number; blank lines, all line endings and a byte-order mark are skipped."""
    file = tmp_path / "rows.jsonl"
    file.write_bytes(b'\xef\xbb\xbf{"id": 1}\r\n\n  \n{"id": "\xc3\xbc"}')
    assert list(read_rows(str(file))) == [SourceRow(str(file), 1, {"id": 1}), SourceRow(str(file), 4, {"id": "ü"})]


def test_a_folder(tmp_path: Path) -> None:
    """All *.jsonl files below a folder are read, sorted by path; other files are ignored."""
    for name in ("b.jsonl", "a/z.jsonl", "a/y.jsonl", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f'{{"file": "{name}"}}\n')
    assert [row["file"] for _, _, row in read_rows(str(tmp_path))] == ["a/y.jsonl", "a/z.jsonl", "b.jsonl"]


def test_a_relative_path_stays_relative(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Errors and episodes contain the path as it was given."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "data").mkdir()
    (tmp_path / "data" / "rows.jsonl").write_text("{}\n")
    assert [row.source for row in read_rows("data")] == ["data/rows.jsonl"]


def test_nothing_to_read(tmp_path: Path) -> None:
    """The error is raised at once, before the first row is read."""
    with pytest.raises(DatasetError, match=r"missing: no such file or folder; expected a \.jsonl file"):
        read_rows(str(tmp_path / "missing"))
    with pytest.raises(DatasetError, match="a folder without any"):
        read_rows(str(tmp_path))


@pytest.mark.parametrize(
    ("line", "problem"),
    [
        (b"{oops}", "not JSON"),
        (b"[1]", "expected a JSON object, got a list"),
        (b'"text"', "expected a JSON object, got a text"),
        (b"null", "expected a JSON object, got null"),
        (b"true", "expected a JSON object, got true"),
        (b"1.5", "expected a JSON object, got a number"),
        (b'{"a": "\xff"}', r"not UTF-8 \(byte 8 of the line is 0xff\)"),
        (b"[" * 100_000, "not usable JSON"),
        (b'{"a": ' + b"1" * 10_000 + b"}", "not usable JSON"),
    ],
)
def test_bad_lines(tmp_path: Path, line: bytes, problem: str) -> None:
    """The error has the file, the line and the expectation; the rows before it were read."""
    file = tmp_path / "rows.jsonl"
    file.write_bytes(b"{}\n" + line + b"\n")
    rows = read_rows(str(file))
    next(rows)
    with pytest.raises(DatasetError, match=problem) as caught:
        next(rows)
    assert (caught.value.source, caught.value.line) == (str(file), 2)


def test_an_unreadable_file(tmp_path: Path) -> None:
    """Errors of the file system become a DatasetError."""
    (tmp_path / "loop.jsonl").symlink_to(tmp_path / "loop.jsonl")
    with pytest.raises(DatasetError):
        list(read_rows(str(tmp_path / "loop.jsonl")))
