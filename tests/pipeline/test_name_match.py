"""A user may shorten a name as long as it is clear which one is meant."""

import pytest
from muses_eval.pipeline.name_match import MAX_OFFERED, listed, matching_names, near_names

NAMES = ["base-0a1b2c3d", "baseline-11112222", "baseline-33334444", "Night-2026-11-20", "night-2026-11-21"]


def name_of(run_id: str) -> str:
    return run_id[:-9]


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ("base-0a1b2c3d", NAMES[:1]),
        ("BASE-0A1B2C3D", NAMES[:1]),
        ("base", NAMES[:1]),  # a name, although other ids begin with it
        ("base-", NAMES[:1]),
        ("baseline", NAMES[1:3]),
        ("baseline-3", NAMES[2:3]),
        ("bas", NAMES[:3]),
        ("night-2026-11-20", NAMES[3:4]),
        ("night", NAMES[3:]),
        ("aseline", []),
        ("", []),
    ],
)
def test_exact_then_short_then_the_beginning(wanted: str, found: list[str]) -> None:
    assert matching_names(wanted, NAMES, name_of) == found


def test_near_names_ignore_case() -> None:
    assert near_names("BASELNE-11112222", NAMES)[0] == "baseline-11112222"
    assert near_names("night-2026-11-20", NAMES, 2) == ["Night-2026-11-20", "night-2026-11-21"]
    assert near_names("zzz", NAMES) == []
    assert near_names("oracel", ["scripted/oracle", "scripted/refuse"]) == ["scripted/oracle"]


def test_offered_names_are_few() -> None:
    assert listed(["a", "b"], MAX_OFFERED) == "a, b"
    assert listed([str(number) for number in range(12)], MAX_OFFERED) == "0, 1, 2, 3, 4, 5, 6, 7 and 4 more"
