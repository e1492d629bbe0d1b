"""The table of default prices and retirements: lookups, plausible content, and messages about malformed entries."""

from datetime import date

import pytest
from muses_eval.pipeline.config.prices import Prices
from muses_eval.pipeline.errors import DatasetError
from muses_eval.pipeline.price_table import Retirement, TableEntry, default_prices, parse_price_table
from muses_eval.pipeline.providers import PROVIDERS

HEAD = 'as_of = 2030-01-01\nsources = ["https://provider.example/prices"]\n[openai]\n'
TABLE = HEAD + (
    "m = { input = 1, output = 2.5, retires = 2030-03-01, replacement = 'n' }\n"
    "n = { input = 1, cached_input = 0.1, output = 2 }\n"
    "'m-2029-01-01' = { input = 3, output = 4 }\n"
)


def test_entries_are_read() -> None:
    table = parse_price_table(TABLE)
    assert (table.as_of, table.sources) == (date(2030, 1, 1), ("https://provider.example/prices",))
    assert table.find("openai", "m") == TableEntry(Prices(1.0, 2.5), Retirement(date(2030, 3, 1), "n"))
    assert table.find("openai", "n") == TableEntry(Prices(1.0, 2.0, 0.1))


@pytest.mark.parametrize(
    ("name", "same_as"),
    [
        ("m-2029-12-31", "m"),
        ("m-20291231", "m"),
        ("m-latest", "m"),
        ("m-2029-01-01", "m-2029-01-01"),  # its own entry, also for the retirement
        ("m-pro", None),
        ("m-2029", None),
    ],
)
def test_a_dated_name_has_the_entry_of_the_name_before_the_date(name: str, same_as: str | None) -> None:
    table = parse_price_table(TABLE)
    assert table.find("openai", name) == (None if same_as is None else table.entries["openai", same_as])
    assert table.find("anthropic", name) is None


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("as_of = ", r"expected TOML"),
        ("sources = []", r"field 'as_of': Field required|Missing"),
        (HEAD.replace("2030-01-01", "2030"), r"field 'as_of': .*date, got 2030"),
        (HEAD.replace("2030-01-01", "2030-01-01T00:00:00"), r"field 'as_of': .*date, got datetime"),
        (
            HEAD + "m = { input = 1, output = 2, retires = '2030-03-01' }",
            r"field 'openai\.m\.retires': .*date, got '2030",
        ),
        (HEAD + "m = { input = 1, output = 2, retires = 2030-03-01T10:00:00 }", r"field 'openai\.m\.retires': .*date"),
        (HEAD + "m = { input = 1, output = 2, retires = 2030-02-30 }", r"expected TOML"),
        (HEAD + "m = { input = 1, output = 2, retired = 2030-03-01 }", r"field 'openai\.m\.retired'"),
        (HEAD + "m = { input = 1, output = 2, replacement = 'n' }", r"field 'openai\.m': .*add the date"),
        (HEAD + "m = { input = 1 }", r"field 'openai\.m\.output'"),
        (HEAD + "m = { input = -1, output = 2 }", r"field 'openai\.m\.input': .*greater than or equal to 0, got -1"),
        (HEAD + "m = { input = true, output = 2 }", r"field 'openai\.m\.input': .*expected a number, got true"),
        (HEAD + "m = 3", r"field 'openai\.m'"),
    ],
)
def test_a_malformed_table_names_its_entry(text: str, said: str) -> None:
    with pytest.raises(DatasetError, match=rf"^prices\.toml.*({said})"):
        parse_price_table(text)


def test_the_table_of_this_version_is_plausible() -> None:
    table = default_prices()
    assert {provider for provider, _ in table.entries} <= PROVIDERS.keys()
    assert all(source.startswith("https://") for source in table.sources)
    for (_, name), entry in table.entries.items():
        assert 0 < entry.prices.input < entry.prices.output <= 100, name
        assert entry.prices.cached_input is None or 0 < entry.prices.cached_input < entry.prices.input, name


def test_recommended_replacements_outlive_what_they_replace() -> None:
    table = default_prices()
    for (provider, name), entry in table.entries.items():
        if entry.retirement is not None and entry.retirement.replacement is not None:
            instead = table.find(provider, entry.retirement.replacement)
            assert instead is not None, name
            assert instead.retirement is None or instead.retirement.on > entry.retirement.on, name


def test_models_that_documents_name_are_not_about_to_retire() -> None:
    """The models of the examples in the documentation have prices and no announced end."""
    for provider, name in (("openai", "gpt-6-luna"), ("openai", "gpt-6.2-sol"), ("anthropic", "claude-haiku-5-5")):
        entry = default_prices().find(provider, name)
        assert entry is not None
        assert entry.retirement is None
