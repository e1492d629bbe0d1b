"""Content hashes are equal for equal content on any machine and in any process."""

import re
from typing import Any

import pytest
from hypothesis import given, strategies as st
from muses_eval.pipeline.hashing import PrefixHasher, canonical, digest, slug

from tests.strategies import JSON_VALUES


def test_names_are_the_same_in_any_year() -> None:
    assert digest("a", 1, None, 0.5, True) == "bf7813ade7fb902b46a4a2dc6541dc8a"
    assert PrefixHasher("a", 1).digest("b") == "c866bdefbe75171bda75740ee6de972b"


@given(st.dictionaries(st.text(max_size=5), JSON_VALUES, max_size=5))
def test_the_order_of_keys_does_not_matter(value: dict[str, Any]) -> None:
    assert canonical(value) == canonical(dict(reversed(value.items())))


def test_parts_do_not_run_together() -> None:
    """The boundaries between parts affect the hash."""
    assert len({digest("ab", "c"), digest("a", "bc"), digest("abc"), digest(("ab", "c")), digest("c", "ab")}) == 5
    assert PrefixHasher("a").digest("b", "c") != PrefixHasher("a", "b").digest("c")
    assert len({digest(1), digest("1"), digest(True), digest(None), digest(1.0)}) == 5


def test_any_text_has_a_name() -> None:
    """Lone surrogates, which UTF-8 cannot encode, are hashed as well."""
    assert digest("\ud800") != digest("\ud801")


@given(st.text())
def test_a_slug_is_a_path_segment_and_stays_one(name: str) -> None:
    assert re.fullmatch(r"[A-Za-z0-9._-]+", slug(name))
    assert slug(name) not in (".", "..")
    assert slug(slug(name)) == slug(name)


@pytest.mark.parametrize(
    ("name", "expected"),
    [("scripted/oracle", "scripted-oracle"), ("../../etc", "etc"), ("Qwen2.5-7B", "Qwen2.5-7B"), ("模型", "unnamed")],
)
def test_slugs(name: str, expected: str) -> None:
    assert slug(name) == expected
