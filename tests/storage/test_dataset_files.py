"""Dataset files are read as rows; errors name the line."""

import gzip
from pathlib import Path

import pytest
from muses_eval.pipeline.datasets.dataset import SourceRow
from muses_eval.pipeline.errors import DatasetError
from muses_eval.storage.objects.dataset_files import inspect_rows, read_rows


def test_a_file(tmp_path: Path) -> None:
    """Each line is a row with its 1-based number; blank lines, all line endings and a byte-order mark are skipped."""
    file = tmp_path / "rows.jsonl"
    file.write_bytes(b'\xef\xbb\xbf{"id": 1}\r\n\n  \n{"id": "\xc3\xbc"}')
    assert list(read_rows(str(file))) == [SourceRow(str(file), 1, {"id": 1}), SourceRow(str(file), 4, {"id": "ü"})]


def test_a_folder(tmp_path: Path) -> None:
    """All *.jsonl files below a folder are read, sorted by path; other files are ignored."""
    for name in ("b.jsonl", "a/z.JSONL", "a/y.jsonl", "notes.txt"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_text(f'{{"file": "{name}"}}\n')
    assert [row["file"] for _, _, row in read_rows(str(tmp_path))] == ["a/y.jsonl", "a/z.JSONL", "b.jsonl"]


def test_what_other_programs_leave_in_a_folder(tmp_path: Path) -> None:
    """Hidden files and folders are passed over; compressed files and links to folders are read, each folder once."""
    folder = tmp_path / "data"
    folder.mkdir()
    (folder / "x.jsonl").write_text('{"id": 1}\n')
    (folder / "y.jsonl.gz").write_bytes(gzip.compress(b'{"id": 2}\n', mtime=0))
    (folder / "._x.jsonl").write_bytes(b"\x00\x05\x16\x07")
    (folder / ".ipynb_checkpoints").mkdir()
    (folder / ".ipynb_checkpoints" / "x-checkpoint.jsonl").write_text('{"id": 3}\n')
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "z.jsonl").write_text('{"id": 4}\n')
    (folder / "link").symlink_to(tmp_path / "elsewhere")
    (folder / "loop").symlink_to(folder)
    assert sorted(str(row["id"]) for _, _, row in read_rows(str(folder))) == ["1", "2", "4"]


ROW = b'{"id": "\xc3\xbc"}'


@pytest.mark.parametrize(
    "content",
    [
        ROW,
        ROW + b"\r\n",
        b"\xef\xbb\xbf" + ROW,
        b"\n \n" + ROW + b"\n\n",
        b'{"id": "\\u00fc"}',
        b'{"id": "\\ud83d\\ude00"}',
    ],
)
def test_tolerated_variants(tmp_path: Path, content: bytes) -> None:
    """Line ends, blank lines, byte-order marks, also of concatenated files, and escapes do not change the rows."""
    file = tmp_path / "rows.jsonl"
    file.write_bytes(b"{}\n" + content)
    value = "\N{GRINNING FACE}" if b"ud83d" in content else "ü"
    assert [row for _, _, row in read_rows(str(file))] == [{}, {"id": value}]


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (ROW.decode().encode("utf-16"), "the file is UTF-16 or UTF-32; save it as UTF-8"),
        (ROW.decode().encode("utf-16-be"), "the file has NUL bytes, as UTF-16 and binary files do; save it as UTF-8"),
        (gzip.compress(ROW, mtime=0), "the file is compressed with gzip; let its name end in .jsonl.gz"),
        (b"PK\x03\x04...", "the file is a zip archive; unpack it"),
        (ROW + b"\r" + ROW + b"\r", "the file ends its lines with carriage returns (CR); save it with line feeds (LF)"),
        (b'{\n  "id": 1\n}\n', "the JSON of the file is spread over several lines; write each row in one line"),
        (b'[\n{"id": 1}\n]\n', "the JSON of the file is spread over several lines"),
        (b'[{"id": 1}]', "got a list; write each of its objects in a line of its own, as `jq -c '.[]'` does"),
    ],
)
def test_files_of_another_format(tmp_path: Path, content: bytes, problem: str) -> None:
    """The file has one problem, which says what it is and what to do."""
    file = tmp_path / "rows.jsonl"
    file.write_bytes(content)
    (found,) = inspect_rows(str(file))
    assert isinstance(found, DatasetError)
    assert problem in found.problem


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
        (b'{"a": NaN}', "NaN is not a number in JSON"),
        (b'{"a": 1e400}', "1e400 is too large for a number"),
        (b'{"a": {"b": 1, "b": 2}}', "the field 'b' occurs twice in an object"),
        (b'{"a": [{"b": "x\\ud800"}]}', r"field 'a\[0\].b': the text has half of a surrogate pair"),
        (b"{} {}", "Extra data at column 4"),
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
