"""Dataset files: JSON Lines, one scenario per line; a file that ends in ``.gz`` is compressed with gzip."""

import gzip
import json
import math
import os
import re
import zlib
from collections import Counter
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NoReturn

from muses_eval.pipeline.datasets.dataset import SourceRow
from muses_eval.pipeline.errors import DatasetError

_BOM = b"\xef\xbb\xbf"
_OTHER_FORMATS = {
    b"\xff\xfe": "UTF-16 or UTF-32; save it as UTF-8",
    b"\xfe\xff": "UTF-16; save it as UTF-8",
    b"\x1f\x8b": "compressed with gzip; let its name end in .jsonl.gz",
    b"PK\x03\x04": "a zip archive; unpack it",
    b"PAR1": "Parquet; write its rows as JSON Lines",
}
"""First bytes -> what the file is, and what to do."""
_SURROGATE = re.compile("[\ud800-\udfff]")


def read_rows(path: str) -> Iterator[SourceRow]:
    """Returns the rows of a file, or of all ``*.jsonl`` and ``*.jsonl.gz`` files below a folder, sorted by path.

    Blank lines, and hidden files and folders, are skipped.

    Raises:
        DatasetError: at once when there is no file; during iteration when a line is not a JSON object.
    """
    return (row for file in _files(path) for row in _read(file))


def _files(path: str) -> list[Path]:
    try:
        root = Path(path).expanduser()
        kind = _kind_of(root)
        found = sorted(files_below(root)) if kind == "folder" else []
    except (RuntimeError, ValueError, OSError) as error:  # no such user, a NUL in the path, or a path that is too long
        raise DatasetError(path, f"{getattr(error, 'strerror', None) or error}; write the whole path") from error
    if kind == "folder":
        if not found:
            raise DatasetError(path, "a folder without any *.jsonl file; expected the dataset's files in it or below")
        return found
    if kind == "missing":
        raise DatasetError(path, "no such file or folder; expected a .jsonl file, or a folder that holds some")
    return [root]


def _kind_of(root: Path) -> str:
    if root.is_dir():
        return "folder"
    return "file" if root.exists() else "missing"


def files_below(root: Path) -> Iterator[Path]:
    """Yields the dataset files of a folder and of its subfolders, links to folders included, each folder once.

    Raises:
        OSError: a folder cannot be listed.
    """
    seen: set[Path] = set()
    for folder, subfolders, names in os.walk(root, onerror=_raise, followlinks=True):
        place = Path(folder).resolve()
        if place in seen:
            subfolders.clear()
            continue
        seen.add(place)
        subfolders[:] = [name for name in subfolders if not name.startswith(".")]
        files = (Path(folder, name) for name in names if _is_dataset_file(name))
        yield from (file for file in files if file.is_file())


def _raise(error: OSError) -> NoReturn:
    raise error


def _is_dataset_file(name: str) -> bool:
    """Returns whether a file of a folder is read; hidden ones, such as ``._x.jsonl`` of macOS, are not."""
    return not name.startswith(".") and name.lower().endswith((".jsonl", ".jsonl.gz"))


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
        with gzip.open(file) if file.suffix.lower() == ".gz" else file.open("rb") as lines:
            for number, line in enumerate(lines, start=1):
                text = line.removeprefix(_BOM)
                if number == 1 and (problem := _other_format(text)):
                    yield DatasetError(source, problem, number)
                    return
                if text.strip():
                    yield _entry(text, source, number)
    except (OSError, EOFError, zlib.error) as error:  # the last two: a gzip file that is cut off or damaged
        yield DatasetError(source, f"cannot be read: {getattr(error, 'strerror', None) or error}")


def _other_format(first_line: bytes) -> str | None:
    """Returns what a file is instead of JSON Lines, judged by its first line; None when it may be JSON Lines."""
    for beginning, kind in _OTHER_FORMATS.items():
        if first_line.startswith(beginning):
            return f"the file is {kind}"
    if b"\x00" in first_line:
        return "the file has NUL bytes, as UTF-16 and binary files do; save it as UTF-8"
    if first_line.strip() in (b"{", b"["):
        return "the JSON of the file is spread over several lines; write each row in one line, as `jq -c` does"
    if b"\r" in first_line.strip():
        return "the file ends its lines with carriage returns (CR); save it with line feeds (LF)"
    return None


def _entry(line: bytes, source: str, number: int) -> SourceRow | DatasetError:
    try:
        return SourceRow(source, number, _row(line, source, number))
    except DatasetError as error:
        return error


def _row(line: bytes, source: str, number: int) -> Mapping[str, object]:
    try:
        value = _DECODER.decode(line.decode())
    except UnicodeDecodeError as error:
        problem = f"not UTF-8 (byte {error.start + 1} of the line is 0x{line[error.start]:02x}); save the file as UTF-8"
        raise DatasetError(source, problem, number) from error
    except json.JSONDecodeError as error:
        what = error.msg.removesuffix(" at")
        problem = f"not JSON ({what} at column {error.colno}); expected one JSON object a line"
        raise DatasetError(source, problem, number) from error
    except (ValueError, RecursionError) as error:
        raise DatasetError(source, f"not usable JSON ({error}); expected one JSON object a line", number) from error
    if not isinstance(value, dict):
        hint = (
            "; write each of its objects in a line of its own, as `jq -c '.[]'` does" if isinstance(value, list) else ""
        )
        raise DatasetError(source, f"expected a JSON object, got {_kind(value)}{hint}", number)
    if b"\\ud" in line.lower() and (field := _with_surrogate(value)) is not None:
        problem = "the text has half of a surrogate pair (\\ud800 to \\udfff), which is no character; remove it"
        raise DatasetError(source, problem, number, field or None)
    return value


def _unique(pairs: list[tuple[str, object]]) -> dict[str, object]:
    """Returns the fields of an object.

    Raises:
        ValueError: two of them have one name, so that the second would replace the first.
    """
    fields = dict(pairs)
    if len(fields) < len(pairs):
        twice = next(name for name, count in Counter(name for name, _ in pairs).items() if count > 1)
        raise ValueError(f"the field {twice!r} occurs twice in an object")
    return fields


def _no_number(name: str) -> NoReturn:
    raise ValueError(f"{name} is not a number in JSON")


def _finite(text: str) -> float:
    number = float(text)
    if math.isinf(number):
        raise ValueError(f"{text[:30]} is too large for a number")
    return number


_DECODER = json.JSONDecoder(object_pairs_hook=_unique, parse_float=_finite, parse_constant=_no_number)


def _with_surrogate(value: object, field: str = "") -> str | None:
    """Returns the first field whose text has half of a surrogate pair; None without one."""
    match value:
        case str():
            return field if _SURROGATE.search(value) else None
        case dict():
            parts = [(key, field) for key in value]
            parts += [(inner, f"{field}.{key}" if field else key) for key, inner in value.items()]
        case list():
            parts = [(inner, f"{field}[{index}]") for index, inner in enumerate(value)]
        case _:
            return None
    return next((found for inner, place in parts if (found := _with_surrogate(inner, place)) is not None), None)


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
