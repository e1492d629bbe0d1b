"""The Arrow schema of traces: one row per episode, with the fields of ``Episode`` in their order.

The metadata of each file contains the schema version; readers accept all older versions and refuse newer ones.  Any
text can be written: characters that UTF-8 cannot encode (lone surrogates, which broken tokenizers produce) become
U+FFFD.

    version 1
    version 2   calls have cached_tokens and cost_usd; read from an older file they are NULL
    version 3   protocol; read from an older file it is ``muses``, the only protocol until then
    version 4   base_model, agent, facts, events, and the turn and step of calls; read from an older file, the base
                model is the model, the agent ``chat``, the facts ``prose``, there are no events, and turn and step
                are NULL
    version 5   unusable; NULL when read from an older file.  Events also have the reasoning of a model without an agent
    version 6   evidence; NULL when read from an older file

Engines that read many files at once take the columns from the first file.  ``templates/`` contains files with the
current columns and no rows; readers put one of them first.
"""

import re
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from importlib.resources import files
from itertools import accumulate, chain
from pathlib import Path
from typing import Any, Literal

import pyarrow as pa
import pyarrow.parquet as pq
from muses_eval.pipeline.episode.episode import Episode
from muses_eval.pipeline.episode.event import Event
from muses_eval.pipeline.episode.evidence import Evidence
from muses_eval.pipeline.episode.model_call import Call
from muses_eval.pipeline.episode.score import Score
from muses_eval.pipeline.episode.transcript import Message
from muses_eval.pipeline.episode.unusable_replies import UNUSABLE_KINDS, UnusableReplies
from muses_eval.pipeline.errors import StoreError
from muses_eval.pipeline.protocols import ProtocolName

SCHEMA_VERSION = 6
VERSION_KEY = b"muses.schema_version"
EARLIER_PROTOCOL: ProtocolName = "muses"
"""The protocol of rows in files without the column ``protocol``."""
EARLIER_VALUES: Mapping[str, Any] = {"protocol": EARLIER_PROTOCOL, "agent": "chat", "facts": "prose", "events": []}
"""Column -> its value in rows of files without the column."""
LATER_COLUMNS = ("base_model", *EARLIER_VALUES, "unusable", "evidence")
"""Columns that files of older versions lack; ``base_model`` is ``model`` there, the others without a value are NULL."""
SINCE_UNUSABLE = 5
"""The schema version with the column ``unusable``, and with events of models without an agent."""
SINCE_EVIDENCE = 6
"""The schema version with the column ``evidence``, also of rescored episodes."""

_SURROGATES = re.compile("[\ud800-\udfff]")

_SCORE = pa.struct(
    [
        pa.field("scoring", pa.string()),
        pa.field("metric", pa.string()),
        pa.field("round", pa.int32()),
        pa.field("value", pa.float64()),
    ]
)
_MESSAGE = pa.struct(
    [
        pa.field("turn", pa.int32()),
        pa.field("sender", pa.string()),
        pa.field("audience", pa.list_(pa.string())),
        pa.field("content", pa.string()),
    ]
)
_CALL = pa.struct(
    [
        pa.field("role", pa.string()),
        pa.field("model", pa.string()),
        pa.field("prompt_tokens", pa.int64()),
        pa.field("completion_tokens", pa.int64()),
        pa.field("latency_s", pa.float64()),
        pa.field("retries", pa.int32()),
        pa.field("finish_reason", pa.string()),
        pa.field("cached", pa.bool_()),
        pa.field("cached_tokens", pa.int64()),
        pa.field("cost_usd", pa.float64()),
        pa.field("turn", pa.int32()),
        pa.field("step", pa.int32()),
    ]
)
_EVENT = pa.struct(
    [
        pa.field("turn", pa.int32()),
        pa.field("step", pa.int32()),
        pa.field("kind", pa.string()),
        pa.field("text", pa.string()),
    ]
)

_EVIDENCE = pa.struct(
    [
        pa.field("scoring", pa.string()),
        pa.field("metric", pa.string()),
        pa.field("rule", pa.string()),
        pa.field("verdict", pa.string()),
        pa.field("principal", pa.string()),
        pa.field("turn", pa.int32()),
        pa.field("span", pa.string()),
        pa.field("expected", pa.string()),
        pa.field("found", pa.string()),
    ]
)

_UNUSABLE = pa.struct([pa.field(kind, pa.int32()) for kind in UNUSABLE_KINDS])

_FIELDS: "list[pa.Field[Any]]" = [
    pa.field("episode_id", pa.string(), nullable=False),
    pa.field("run_id", pa.string(), nullable=False),
    pa.field("model", pa.string(), nullable=False),
    pa.field("base_model", pa.string(), nullable=False),
    pa.field("agent", pa.string(), nullable=False),
    pa.field("facts", pa.string(), nullable=False),
    pa.field("provider", pa.string(), nullable=False),
    pa.field("provider_model", pa.string(), nullable=False),
    pa.field("family", pa.string(), nullable=False),
    pa.field("scenario_id", pa.string(), nullable=False),
    pa.field("dataset", pa.string(), nullable=False),
    pa.field("dataset_version", pa.string(), nullable=False),
    pa.field("protocol", pa.string(), nullable=False),
    pa.field("template", pa.string(), nullable=False),
    pa.field("mode", pa.string()),
    pa.field("attack", pa.string()),
    pa.field("disclosure", pa.string()),
    pa.field("difficulty", pa.string()),
    pa.field("num_users", pa.int32(), nullable=False),
    pa.field("users", pa.string(), nullable=False),
    pa.field("sampling", pa.string(), nullable=False),
    pa.field("epoch", pa.int32(), nullable=False),
    pa.field("shard", pa.int32(), nullable=False),
    pa.field("attempt", pa.int32(), nullable=False),
    pa.field("outcome", pa.string(), nullable=False),
    pa.field("error_kind", pa.string()),
    pa.field("error", pa.string()),
    pa.field("flags", pa.list_(pa.string()), nullable=False),
    pa.field("scorer_version", pa.int32(), nullable=False),
    pa.field("turns", pa.int32(), nullable=False),
    pa.field("started_at", pa.timestamp("us", tz="UTC"), nullable=False),
    pa.field("seconds", pa.float64(), nullable=False),
    pa.field("prompt_tokens", pa.int64()),
    pa.field("completion_tokens", pa.int64()),
    pa.field("cost_usd", pa.float64()),
    pa.field("scores", pa.list_(_SCORE), nullable=False),
    pa.field("messages", pa.list_(_MESSAGE), nullable=False),
    pa.field("calls", pa.list_(_CALL), nullable=False),
    pa.field("events", pa.list_(_EVENT), nullable=False),
    pa.field("unusable", _UNUSABLE),
    pa.field("evidence", pa.list_(_EVIDENCE)),
]
_VERSION: dict[bytes | str, bytes | str] = {VERSION_KEY: str(SCHEMA_VERSION).encode()}
SCHEMA = pa.schema(_FIELDS, metadata=_VERSION)

RESCORED_SCHEMA = pa.schema(
    [SCHEMA.field(name) for name in ("run_id", "episode_id", "scorer_version", "scores", "evidence")], metadata=_VERSION
)
"""Schema of recomputed scores; its columns are columns of :data:`SCHEMA`."""

NESTED_DICTIONARIES = (
    *(f"scores.list.element.{name}" for name in ("scoring", "metric", "round")),
    *(f"evidence.list.element.{field.name}" for field in _EVIDENCE if field.name != "turn"),
)
"""Nested columns with few distinct values; dictionary encoding makes reading those of scores twice as fast."""


def episodes_table(episodes: Sequence[Episode]) -> pa.Table:
    """Returns the episodes as rows, in their order; accepts any text."""
    return to_table(episodes, SCHEMA)


def to_table(values: Sequence[object], schema: pa.Schema) -> pa.Table:
    """Returns values as rows, in their order; their attributes have the names of the columns."""
    columns = [_column([getattr(value, field.name) for value in values], field.type) for field in schema]
    return pa.Table.from_arrays(columns, schema=schema)


def episodes_from_table(table: pa.Table) -> list[Episode]:
    """Returns the rows as episodes, the inverse of :func:`episodes_table`; columns may be in any order."""
    return [_episode(row) for row in table.to_pylist()]


def to_parquet(table: pa.Table) -> bytes:
    """Returns the bytes of one Parquet file."""
    sink = pa.BufferOutputStream()
    flat = [field.name for field in table.schema if not pa.types.is_nested(field.type)]
    # Dictionaries and statistics help for keys; for transcripts they cost more than they save.
    pq.write_table(
        table,
        sink,
        compression="zstd",
        compression_level=3,
        use_dictionary=[*flat, *NESTED_DICTIONARIES],  # type: ignore[arg-type]  # the stubs lack the list
        write_statistics=flat,
        # Readers that verify checksums detect flipped bits.
        write_page_checksum=True,
    )
    return sink.getvalue().to_pybytes()


def from_parquet(data: bytes) -> pa.Table:
    """Returns the table of a Parquet file of this version or any older one, the inverse of :func:`to_parquet`.

    Raises:
        StoreError: the bytes are not a Parquet file of this project, or a newer version wrote them.
    """
    try:
        table = pq.read_table(pa.BufferReader(data), page_checksum_verification=True)
    except (pa.ArrowException, OSError) as error:
        raise StoreError(f"not a readable Parquet file ({_first_line(error)})") from error
    check_version(table.schema.metadata or {})
    table = with_later_columns(table)
    missing = [name for name in SCHEMA.names if name not in table.column_names]
    if missing:
        raise StoreError(f"a trace without the columns {', '.join(missing)}")
    try:
        return table.select(SCHEMA.names).cast(SCHEMA)
    except (pa.ArrowException, ValueError) as error:
        raise StoreError(f"a trace with columns of another kind ({_first_line(error)})") from error


def with_later_columns(table: pa.Table) -> pa.Table:
    """Returns the episodes of any version with all columns that later versions added; recomputed scores unchanged."""
    if "model" not in table.column_names:
        return table
    for name in LATER_COLUMNS:
        if name not in table.column_names:
            table = table.append_column(SCHEMA.field(name), _earlier(table, name))
    return table


def _earlier(table: pa.Table, name: str) -> Any:  # noqa: ANN401 - the stubs have no common type
    if name == "base_model":
        return table.column("model").cast(pa.string())
    return pa.array([EARLIER_VALUES.get(name)] * table.num_rows, SCHEMA.field(name).type)


def schema_template(rows: Literal["traces", "rescored"]) -> Path:
    """Returns the path of an empty Parquet file with the columns of :data:`SCHEMA` or :data:`RESCORED_SCHEMA`."""
    return Path(str(files("muses_eval.storage.schema") / "templates" / f"{rows}.parquet"))


def check_version(metadata: dict[bytes, bytes]) -> None:
    """Raises StoreError unless a file with this metadata is a trace that this version can read."""
    found = metadata.get(VERSION_KEY, b"").decode(errors="replace")
    if not found.isdecimal():
        raise StoreError("a Parquet file that is no trace of muses-eval (it names no schema version)")
    if int(found) > SCHEMA_VERSION:
        raise StoreError(
            f"written with schema version {found}; this muses-eval reads versions up to {SCHEMA_VERSION}: upgrade it"
        )


def _column(values: list[Any], kind: pa.DataType) -> "pa.Array[Any]":
    """Converts column by column, which is three times as fast as one dict per item."""
    if isinstance(kind, pa.ListType):
        lists = [value or () for value in values]
        offsets = pa.array(list(accumulate(map(len, lists), initial=0)), pa.int32())
        items = _column(list(chain.from_iterable(lists)), kind.value_type)
        missing = pa.array([value is None for value in values], pa.bool_())
        return pa.ListArray.from_arrays(offsets, items, mask=missing)
    if isinstance(kind, pa.StructType):
        fields = [kind.field(index) for index in range(kind.num_fields)]
        columns = [
            _column([None if value is None else getattr(value, field.name) for value in values], field.type)
            for field in fields
        ]
        missing = pa.array([value is None for value in values], pa.bool_())
        return pa.StructArray.from_arrays(columns, fields=fields, mask=missing)
    try:
        return pa.array(values, kind)
    except UnicodeEncodeError:
        return pa.array([value and _SURROGATES.sub("\ufffd", value) for value in values], kind)


def _episode(row: dict[str, Any]) -> Episode:
    nested = {
        "flags": tuple(row["flags"]),
        "started_at": _utc(row["started_at"]),
        "scores": tuple(Score(**score) for score in row["scores"]),
        "messages": tuple(_message(message) for message in row["messages"]),
        "calls": tuple(Call(**call) for call in row["calls"]),
        "events": tuple(Event(**event) for event in row["events"]),
        "unusable": None if row["unusable"] is None else UnusableReplies(**row["unusable"]),
        "evidence": None if row["evidence"] is None else tuple(Evidence(**each) for each in row["evidence"]),
    }
    return Episode(**(row | nested))


def _message(row: dict[str, Any]) -> Message:
    return Message(row["turn"], row["sender"], tuple(row["audience"]), row["content"])


def _utc(moment: datetime) -> datetime:
    return moment.astimezone(UTC)


def _first_line(error: BaseException) -> str:
    return next(iter(str(error).splitlines()), type(error).__name__)
