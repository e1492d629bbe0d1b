"""Finds texts of known SHA-256 among the string literals of Python source.

The source is parsed as data and never executed.  An f-string is read as a template: a field such as ``{user.name}``
becomes ``{name}``.  For a function that builds a text from several strings (``text = "..."``, ``text += "..."``), the
concatenation of all strings of one variable, in the order of the source, is found as well.
"""

import ast
import hashlib
import warnings
from collections.abc import Iterator, Mapping

from muses_eval.pipeline.errors import DatasetError

MAX_BYTES = 2**16
"""Largest accepted source.  The released files have less than a third of it."""


def find_texts(source: str, content: bytes, pinned: Mapping[str, str]) -> dict[str, str]:
    """Returns name -> text for the pinned texts among the strings of one file.

    Args:
        source: name of the file, for messages.
        content: the file's content.
        pinned: name of a text -> SHA-256 of its UTF-8 bytes.

    Raises:
        DatasetError: the content is no Python source, or lacks a text.
    """
    names = {digest: name for name, digest in pinned.items()}
    found = {}
    try:
        for text in _texts(_parse(source, content)):
            digest = hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()
            if digest in names:
                found[names[digest]] = text
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        problem = f"not Python source ({str(error) or type(error).__name__}); expected the file of the pinned commit"
        raise DatasetError(source, problem) from error
    if missing := [name for name in pinned if name not in found]:
        raise DatasetError(
            source, f"no string has the pinned SHA-256 of {', '.join(missing)}; expected the file of the pinned commit"
        )
    return found


def _parse(source: str, content: bytes) -> ast.Module:
    if len(content) > MAX_BYTES:
        raise ValueError(f"more than {MAX_BYTES} bytes")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # about escapes in literals
        return ast.parse(content.decode("utf-8-sig"), filename=source)


def _texts(module: ast.Module) -> Iterator[str]:
    for node in ast.walk(module):
        if (text := _template(node)) is not None:
            yield text
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield from _built_texts(node)


def _built_texts(function: ast.FunctionDef | ast.AsyncFunctionDef) -> Iterator[str]:
    """Yields, for each variable of a function, the concatenation of the strings that it is assigned or extended by."""
    parts: list[tuple[int, int, str, str]] = []
    for node in ast.walk(function):
        match node:
            case (
                ast.Assign(targets=[ast.Name(id=variable)], value=value)
                | ast.AugAssign(target=ast.Name(id=variable), op=ast.Add(), value=value)
            ):
                if (text := _template(value)) is not None:
                    parts.append((node.lineno, node.col_offset, variable, text))
    texts: dict[str, list[str]] = {}
    for _, _, variable, text in sorted(parts):
        texts.setdefault(variable, []).append(text)
    yield from map("".join, texts.values())


def _template(node: ast.AST) -> str | None:
    """Returns the text of a literal or an f-string; None for any other expression."""
    match node:
        case ast.Constant(value=str(text)):
            return text
        case ast.JoinedStr(values=values):
            parts = [_template(value) for value in values]
            return None if None in parts else "".join(part for part in parts if part is not None)
        case ast.FormattedValue(value=ast.Name(id=name) | ast.Attribute(attr=name), conversion=-1, format_spec=None):
            return f"{{{name}}}"
        case _:
            return None
