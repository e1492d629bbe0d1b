"""Episodes are converted to rows and back without loss, for any text."""

import string
from dataclasses import fields
from datetime import UTC, datetime
from typing import Any, get_args

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings, strategies as st
from muses_eval.pipeline.agents.agent_spec import FACTS_LEVELS
from muses_eval.pipeline.episode.episode import OUTCOMES, Episode
from muses_eval.pipeline.episode.event import Event, EventKind
from muses_eval.pipeline.episode.evidence import Evidence
from muses_eval.pipeline.episode.model_call import Call
from muses_eval.pipeline.episode.score import SCORINGS, Score
from muses_eval.pipeline.episode.transcript import Message
from muses_eval.pipeline.episode.unusable_replies import UnusableReplies
from muses_eval.pipeline.errors import FailureKind, StoreError
from muses_eval.pipeline.protocols import PROTOCOLS
from muses_eval.storage.schema.parquet_schema import (
    SCHEMA,
    SCHEMA_VERSION,
    VERSION_KEY,
    episodes_from_table,
    episodes_table,
    from_parquet,
    to_parquet,
)

from tests.storage.samples import SAMPLE, episode

texts = st.text(st.characters(exclude_categories=["Cs"]))
any_texts = st.text(st.characters())  # includes lone surrogates and NULs
names = st.text(string.ascii_letters, min_size=1)
counts = st.integers(0, 2**31 - 1)
tokens = st.none() | st.integers(0, 2**63 - 1)
numbers = st.floats(allow_nan=False)
kinds = st.sampled_from(get_args(EventKind))

scores = st.builds(Score, st.sampled_from(SCORINGS), names, numbers, st.none() | counts)


def _messages(content: st.SearchStrategy[str]) -> st.SearchStrategy[Message]:
    return st.builds(Message, counts, content, st.lists(content, max_size=3).map(tuple), content)


def _calls(content: st.SearchStrategy[str]) -> st.SearchStrategy[Call]:
    return st.builds(
        Call,
        st.sampled_from(["agent", "user"]),
        content,
        tokens,
        tokens,
        numbers,
        counts,
        content,
        st.booleans(),
        tokens,
        st.none() | numbers,
        st.none() | counts,
        st.none() | counts,
    )


def _evidence(content: st.SearchStrategy[str]) -> st.SearchStrategy[Evidence]:
    return st.builds(
        Evidence,
        scoring=st.sampled_from(SCORINGS),
        metric=names,
        rule=content,
        verdict=st.sampled_from(["pass", "fail", None]),
        principal=st.none() | content,
        turn=st.none() | counts,
        span=content,
        expected=content,
        found=content,
    )


def _episodes(content: st.SearchStrategy[str]) -> st.SearchStrategy[Episode]:
    by_annotation: dict[object, st.SearchStrategy[Any]] = {
        str: content,
        str | None: st.none() | content,
        int: counts,
        int | None: tokens,
        float: numbers,
        float | None: st.none() | numbers,
        datetime: st.datetimes(datetime(1970, 1, 1), datetime(2200, 1, 1), timezones=st.just(UTC)),  # noqa: DTZ001
        tuple[str, ...]: st.lists(content, max_size=3).map(tuple),
        tuple[Score, ...]: st.lists(scores, max_size=3).map(tuple),
        tuple[Message, ...]: st.lists(_messages(content), max_size=3).map(tuple),
        tuple[Call, ...]: st.lists(_calls(content), max_size=3).map(tuple),
        UnusableReplies | None: st.none() | st.builds(UnusableReplies, counts, counts, counts, counts, counts),
        tuple[Event, ...]: st.lists(st.builds(Event, counts, counts, kinds, content), max_size=3).map(tuple),
    }
    chosen = {
        "outcome": st.sampled_from(OUTCOMES),
        "error_kind": st.none() | st.sampled_from(get_args(FailureKind)),
        "protocol": st.sampled_from(PROTOCOLS),
        "facts": st.sampled_from(FACTS_LEVELS),
    }
    by_annotation[tuple[Evidence, ...] | None] = st.none() | st.lists(_evidence(content), max_size=3).map(tuple)
    others = {field.name: by_annotation[field.type] for field in fields(Episode) if field.name not in chosen}
    return st.builds(Episode, **chosen, **others)


def test_the_columns_are_the_fields_of_an_episode() -> None:
    """The columns are all fields in their order, and the version is in the metadata."""
    assert SCHEMA.names == [field.name for field in fields(Episode)]
    read = from_parquet(to_parquet(episodes_table([SAMPLE]))).schema
    assert read.equals(SCHEMA)
    assert (read.metadata or {})[VERSION_KEY] == str(SCHEMA_VERSION).encode()


@settings(deadline=None)
@given(st.lists(_episodes(texts), max_size=4))
def test_round_trip(episodes: list[Episode]) -> None:
    """Every episode is read back equal from Arrow and Parquet."""
    assert episodes_from_table(from_parquet(to_parquet(episodes_table(episodes)))) == episodes


@settings(deadline=None)
@given(_episodes(any_texts))
def test_any_text_can_be_written(one: Episode) -> None:
    """Characters that UTF-8 cannot encode become U+FFFD in every text of an episode; nothing else changes."""
    (read,) = episodes_from_table(from_parquet(to_parquet(episodes_table([one]))))
    assert read.error == (None if one.error is None else _mended(one.error))
    assert read.flags == tuple(map(_mended, one.flags))
    assert [(m.sender, m.audience, m.content) for m in read.messages] == [
        (_mended(m.sender), tuple(map(_mended, m.audience)), _mended(m.content)) for m in one.messages
    ]
    assert [call.finish_reason for call in read.calls] == [_mended(call.finish_reason) for call in one.calls]


def _mended(text: str) -> str:
    return "".join("\ufffd" if 0xD800 <= ord(character) <= 0xDFFF else character for character in text)


def test_times_come_back_in_utc() -> None:
    """Times are read in UTC with any timezone library of Arrow."""
    (read,) = episodes_from_table(episodes_table([SAMPLE]))
    assert read.started_at == SAMPLE.started_at
    assert read.started_at.tzinfo is UTC


def test_a_newer_version_is_refused() -> None:
    """The message lists the readable versions and says to upgrade."""
    newer = SCHEMA.with_metadata({VERSION_KEY: b"99"})
    with pytest.raises(
        StoreError, match=f"schema version 99; this muses-eval reads versions up to {SCHEMA_VERSION}: upgrade it"
    ):
        from_parquet(to_parquet(episodes_table([SAMPLE]).cast(newer)))


def _parquet(table: pa.Table) -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(table, sink)
    return sink.getvalue().to_pybytes()


def _with_lists_for_ids() -> pa.Table:
    table = episodes_table([episode(1)])
    return table.set_column(0, "episode_id", pa.array([["a"]])).replace_schema_metadata(SCHEMA.metadata)


def _flipped(data: bytes) -> bytes:
    """Flips one bit in the column ``seconds``, which only the checksum of the page detects."""
    group = pq.ParquetFile(pa.BufferReader(data)).metadata.row_group(0)
    column = group.column(SCHEMA.names.index("seconds"))
    last = (column.dictionary_page_offset or column.data_page_offset) + column.total_compressed_size - 2
    return data[:last] + bytes([data[last] ^ 1]) + data[last + 1 :]


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "not a readable Parquet file"),
        (b"PAR1 and then nothing", "not a readable Parquet file"),
        (to_parquet(episodes_table([episode(1)]))[:-9], "not a readable Parquet file"),
        (_parquet(pa.table({"a": [1]})), "no trace of muses-eval"),
        (_parquet(episodes_table([episode(1)]).drop_columns(["outcome"])), "without the columns outcome"),
        (_parquet(_with_lists_for_ids()), "columns of another kind"),
        (_flipped(to_parquet(episodes_table([episode(1)]))), "not a readable Parquet file"),
    ],
)
def test_other_files_are_refused(data: bytes, expected: str) -> None:
    """Truncated and foreign files are refused with a reason."""
    with pytest.raises(StoreError, match=expected):
        from_parquet(data)
