"""Texts are found among the strings of Python source, which is data: nothing of it is executed."""

from hashlib import sha256
from pathlib import Path
from textwrap import dedent

import pytest
from hypothesis import given, strategies as st
from muses_eval.flows.data.released_source import MAX_BYTES, find_texts
from muses_eval.pipeline.errors import DatasetError


def found(source: str | bytes, text: str) -> bool:
    """Returns whether *text* is found in *source*."""
    content = source if isinstance(source, bytes) else dedent(source).encode()
    try:
        texts = find_texts("source.py", content, {"wanted": sha256(text.encode()).hexdigest()})
    except DatasetError as error:
        assert str(error).startswith("source.py: no string has the pinned SHA-256 of wanted; expected")  # noqa: PT017
        return False
    assert texts == {"wanted": text}
    return True


BUILDER = '''
    class Prompt:
        def build(self, name, town):
            """Returns a letter."""
            letter = "Dear "
            letter += f"{name},"
            other = "P.S."
            if town:
                letter += f" of {self.town}"
            for _ in town:
                letter += "!"
            letter -= "not added"
            letter += 3
            letter += name
            letter += "".join(town)
            return letter + other
    '''


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ('x = "plain"', "plain"),
        ('call({"key": ["nested"]})', "nested"),
        ('x = """two\nlines"""', "two\nlines"),
        (r'x = "escapes: \n \" \u00e9 \\n"', 'escapes: \n " é \\n'),
        (r'x = r"raw \n"', r"raw \n"),
        ('x = ("one, "\n     "two, "\n     f"{three}")', "one, two, {three}"),
        ('x = f"{base}\\n\\n" "{}" "{literal}"', "{base}\n\n{}{literal}"),
        ('x = f"{{braces}} and {user.name}"', "{braces} and {name}"),
        ("x = 'Grüße, 世界 \U0001f600'", "Grüße, 世界 \U0001f600"),
        ('\ufeffx = "after a byte-order mark"', "after a byte-order mark"),
        ('x = "a"\r\ny = "b"', "b"),
        ("def f():\n    async def g():\n        x = 'a'\n        x += 'b'", "ab"),
        (BUILDER, "Dear {name}, of {town}!"),
        (BUILDER, "P.S."),
    ],
)
def test_texts_that_are_found(source: str, text: str) -> None:
    assert found(source, text)


@pytest.mark.parametrize(
    ("source", "text"),
    [
        ("# a comment", "a comment"),
        ("name = 1", "name"),
        ("x = b'bytes'", "bytes"),
        ('x = f"{name!r}"', "{name}"),
        ('x = f"{name:>3}"', "{name}"),
        ('x = f"{user.get(1)} there"', "{get} there"),
        ('x = "a" + "b"', "ab"),
        ("x = 'a'\nx += 'b'", "ab"),
        (BUILDER, "Returns a letter.Dear {name}, of {town}!"),
        (BUILDER, "Dear {name},P.S. of {town}!"),
        (BUILDER, "Dear {name}, of {town}!not added"),
    ],
)
def test_texts_that_are_not_found(source: str, text: str) -> None:
    assert not found(source, text)


def test_a_text_at_the_end_of_a_function_that_is_one_letter_off() -> None:
    """A changed text is missing, and only it is named."""
    digests = {name: sha256(name.encode()).hexdigest() for name in ("first", "second", "third")}
    with pytest.raises(DatasetError, match=r"pinned SHA-256 of second, third; expected the file of the pinned commit"):
        find_texts("source.py", b"x = ['first', 'Second', 'thirds']", digests)


def test_nothing_is_executed(tmp_path: Path) -> None:
    touched = tmp_path / "touched"
    source = f"""
        import missing_module
        open({str(touched)!r}, "w")
        x = f"{{open({str(touched)!r}, 'w')}}"
        raise SystemExit("executed")
        y = "after"
        """
    assert found(source, "after")
    assert not touched.exists()


HALF = MAX_BYTES // 2
HOSTILE = {
    "brackets": b"(" * MAX_BYTES,
    "signs": b"-" * (MAX_BYTES - 1) + b"1",
    "attributes": b"a" + b".a" * (HALF - 1),
    "sums": b"a" + b"+a" * (HALF - 1),
    "calls": b"a" + b"()" * (HALF - 1),
    "subscripts": b"a" + b"[0]" * (MAX_BYTES // 3 - 1),
    "lambdas": b"lambda:" * (MAX_BYTES // 7) + b"1",
    "blocks": b"".join(b" " * depth + b"if 1:\n" for depth in range(300)),
    "fields": b'f"' + b"{" * 200,
    "digits": b"9" * MAX_BYTES,
    "NUL": b"x = 'a'\0",
    "not UTF-8": b"x = '\xff'",
    "another encoding": "# -*- coding: utf-16 -*-\nx = 'a'".encode("utf-16"),
    "a syntax error": b"def (",
    "too long": b"#" * 5_000_000,
}


@pytest.mark.parametrize("source", HOSTILE.values(), ids=HOSTILE)
def test_hostile_source_is_refused(source: bytes) -> None:
    with pytest.raises(DatasetError, match=r"^source.py: not Python source \(.+\); expected the file of the pinned"):
        find_texts("source.py", source, {"wanted": "0" * 64})


@given(st.binary(max_size=300) | st.text("fF\"'{}():=+\n \\\\#abdef\t", max_size=300).map(str.encode))
def test_any_source_is_read_or_refused(source: bytes) -> None:
    with pytest.raises(DatasetError, match=r"source\.py: "):
        find_texts("source.py", source, {"wanted": "0" * 64})


@pytest.mark.parametrize(
    "source",
    [
        b"",
        b"x = '\\ud800'",
        b"# -*- coding: no-such-codec -*-\nx = 'a'",
        b"def f():\n" + b" x += 'a'\n" * 6_000,
        b"".join(b" " * depth + b"def f():\n" for depth in range(90)) + b" " * 90 + b"x = 'a'\n",
    ],
)
def test_unusual_source_is_read(source: bytes) -> None:
    assert not found(source, "not there")
