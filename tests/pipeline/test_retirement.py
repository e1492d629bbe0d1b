"""Notices about retired models: who gets one, from when on, and what it says."""

from datetime import date, timedelta

import pytest
from muses_eval.pipeline.config.model_spec import ModelSpec
from muses_eval.pipeline.config.parse import parse_config
from muses_eval.pipeline.price_table import parse_price_table
from muses_eval.pipeline.retirement import NOTICE_DAYS, retirement_notices

TABLE = parse_price_table(
    """
    as_of = 2030-01-01
    sources = []
    [openai]
    old = { input = 1, output = 2, retires = 2030-03-01, replacement = "new" }
    odd = { input = 1, output = 2, retires = 2030-03-01 }
    new = { input = 1, output = 2 }
    """
)
LAST = date(2030, 3, 1)


def model(**settings: object) -> ModelSpec:
    return parse_config({"models": [settings]}, "here").models[0].spec()


OLD = model(model="openai:old", name="subject")


@pytest.mark.parametrize(
    ("days", "said"),
    [
        (NOTICE_DAYS + 1, None),
        (NOTICE_DAYS, "retires on 2030-03-01, in 90 days"),
        (1, "retires on 2030-03-01, in 1 day"),
        (0, "retires today, on 2030-03-01"),
        (-1, "was retired on 2030-03-01"),
        (-4000, "was retired on 2030-03-01"),
    ],
)
def test_a_notice_comes_ninety_days_ahead(days: int, said: str | None) -> None:
    notices = retirement_notices([OLD], LAST - timedelta(days=days), TABLE)
    expected = f"subject: openai:old {said}; openai recommends new instead (known on 2030-01-01)"
    assert notices == (() if said is None else (expected,))


def test_without_a_replacement_none_is_named() -> None:
    (notice,) = retirement_notices([model(model="openai:odd")], LAST, TABLE)
    assert notice == "odd: openai:odd retires today, on 2030-03-01 (known on 2030-01-01)"


def test_a_dated_name_retires_with_the_name_before_the_date() -> None:
    assert len(retirement_notices([model(model="openai:old-2029-12-01")], LAST, TABLE)) == 1


def test_only_models_at_their_providers_own_address_are_considered() -> None:
    others = [
        model(model="openai:old", base_url="http://127.0.0.1:1/v1"),
        model(model="openai:old", base_url=["https://api.openai.com/v1", "http://127.0.0.1:1/v1"]),
        model(model="anthropic:old"),
        model(model="vllm:old"),
        model(model="scripted/oracle"),
        model(model="openai:new"),
        model(model="openai:unknown"),
    ]
    assert retirement_notices(others, LAST, TABLE) == ()
    assert len(retirement_notices([model(model="openai:old", base_url="https://api.openai.com/v1/")], LAST, TABLE)) == 1


def test_own_prices_do_not_hide_a_retirement() -> None:
    assert len(retirement_notices([model(model="openai:old", prices={"input": 0, "output": 0})], LAST, TABLE)) == 1


def test_a_model_is_named_once() -> None:
    assert len(retirement_notices([OLD, OLD, model(model="openai:old", name="other")], LAST, TABLE)) == 2


def test_the_table_of_this_version_is_the_default() -> None:
    (notice,) = retirement_notices([model(model="openai:gpt-4.1-nano")], date(2026, 11, 30))
    assert notice.startswith("gpt-4.1-nano: openai:gpt-4.1-nano was retired on 2026-10-23; openai recommends gpt-")
