"""Names round-trip through path segments, and relative links lead from any page to any other."""

import posixpath
from urllib.parse import unquote, urljoin

import pytest
from hypothesis import given, strategies as st
from muses_eval.dashboards.web.page import NoSuchPageError, relative, segment, unsegment

SEGMENTS = st.text(min_size=1).map(segment)


@given(st.text())
def test_every_name_round_trips_through_a_segment(name: str) -> None:
    part = segment(name)
    assert unsegment(part) == name
    assert "/" not in part
    assert not part.startswith(".")
    assert part.isascii()
    assert posixpath.normpath(f"a/{part}") == f"a/{part}" or not part


@given(st.text(), st.text())
def test_different_names_have_different_segments(one: str, other: str) -> None:
    assert (segment(one) == segment(other)) == (one == other)


@pytest.mark.parametrize("part", ["_", "_z1", "_2", "a_2e_zz", "ä", "_41", "a/b", "_ff"])
def test_an_invalid_segment_has_no_page(part: str) -> None:
    with pytest.raises(NoSuchPageError):
        unsegment(part)


@given(st.lists(SEGMENTS, min_size=1, max_size=4), st.lists(SEGMENTS, min_size=1, max_size=4))
def test_a_relative_link_leads_where_it_should(source: list[str], target: list[str]) -> None:
    """The link is resolved as a browser would."""
    here, there = "/".join(source), "/".join(target)
    found = unquote(urljoin(f"http://site/{here}", relative(there, here)))
    assert found.removesuffix("/") == f"http://site/{there}"


def test_a_link_keeps_its_fragment() -> None:
    assert relative("runs/a/index.html#users", "runs/a/figures/index.html") == "../index.html#users"
