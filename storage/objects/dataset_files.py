"""Dataset files: JSON Lines, one scenario per line; a single file may be compressed with gzip."""

import gzip
import json
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path

from muses_eval.pipeline.datasets.dataset import SourceRow
from muses_eval.pipeline.errors import DatasetError

_BOM = b"\xef\xbb\xbf"


def read_rows(path: str) -> Iterator[SourceRow]:
    """Returns the rows of a file, or of all ``*.jsonl`` files below a folder, sorted by path.  Blank lines are skipped.

    Raises:
        DatasetError: at once when there is no file; during iteration when a line is not a JSON object.
    """
    return (row for file in _files(path) for row in _read(file))


def _files(path: str) -> list[Path]:
    try:
        root = Path(path).expanduser()
    except RuntimeError as error:
        raise DatasetError(path, f"{error}; write the whole path") from error
    if root.is_dir():
        found = sorted(file for file in root.rglob("*.jsonl") if file.is_file())
        if not found:
            raise DatasetError(path, "a folder without any *.jsonl file; expected the dataset's files in it or below")
        return found
    if not root.exists():
        raise DatasetError(path, "no such file or folder; expected a .jsonl file, or a folder that holds some")
    return [root]


def inspect_rows(path: str) -> Iterator[SourceRow | DatasetError]:
    """Yields the rows as :func:`read_rows` does, and yields errors in their place instead of raising the first."""
    for file in _files(path):
        yield from _inspect(file)


def _read(file: Path) -> Iterator[SourceRow]:
    for entry in _inspect(file):
        if isinstance(entry, DatasetError):
            raise entry
        yield entry


def _inspect(file: Path) -> Iterator[SourceRow | DatasetError]:
    source = str(file)
    try:
        with gzip.open(file) if file.suffix == ".gz" else file.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                text = line.removeprefix(_BOM) if number == 1 else line
                if text.strip():
                    yield _entry(text, source, number)
    except (OSError, EOFError, zlib.error) as error:  # the last two: a gzip file that is cut off or damaged
        yield DatasetError(source, f"cannot be read: {getattr(error, 'strerror', None) or error}")


def _entry(line: bytes, source: str, number: int) -> SourceRow | DatasetError:
    try:
        return SourceRow(source, number, _row(line, source, number))
    except DatasetError as error:
        return error


def _row(line: bytes, source: str, number: int) -> Mapping[str, object]:
    try:
        value = json.loads(line.decode())
    except UnicodeDecodeError as error:
        problem = f"not UTF-8 (byte {error.start + 1} of the line is 0x{line[error.start]:02x}); save the file as UTF-8"
        raise DatasetError(source, problem, number) from error
    except json.JSONDecodeError as error:
        problem = f"not JSON ({error.msg} at column {error.colno}); expected one JSON object a line"
        raise DatasetError(source, problem, number) from error
    except (ValueError, RecursionError) as error:
        raise DatasetError(source, f"not usable JSON ({error}); expected one JSON object a line", number) from error
    if not isinstance(value, dict):
        raise DatasetError(source, f"expected a JSON object, got {_kind(value)}", number)
    return value


def _kind(value: object) -> str:
    match value:
        case list():
            return "a list"
        case str():
            return "a text"
        case bool() | None:
            return json.dumps(value)
        case _:
            return "a number"
