"""The texts of the released evaluator are found beside the dataset, or the message says how to get them."""

import hashlib
from collections.abc import Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

import pytest
from muses_eval.flows.job.load_protocol import load_protocol
from muses_eval.pipeline.config.parse import parse_config
from muses_eval.pipeline.config.run import RunConfig
from muses_eval.pipeline.errors import ConfigError, DatasetError
from muses_eval.pipeline.protocols.muses import MUSES
from muses_eval.pipeline.protocols.released import ReleasedProtocol
from muses_eval.pipeline.protocols.released_texts import FILE_NAME, TEXT_NAMES, ReleasedTexts, to_json

TEXTS = ReleasedTexts(*TEXT_NAMES)
"""Stand-ins: each text is its own name."""


def config(dataset: str, protocol: str = "released") -> RunConfig:
    raw: Mapping[str, Any] = {"models": ["scripted/oracle"], "dataset": dataset, "protocol": protocol}
    return parse_config(raw, "test")


@pytest.fixture(autouse=True)
def _stand_ins(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Pins the stand-ins, in an empty working folder."""
    pinned = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in asdict(TEXTS).items()}
    monkeypatch.setattr("muses_eval.flows.job.load_protocol.PINNED", pinned)
    monkeypatch.chdir(tmp_path)


@pytest.mark.parametrize("dataset", ["pulled", "pulled/data", "pulled/data/rows.jsonl", "pulled/data/none.jsonl"])
def test_the_texts_are_found_above_the_dataset(dataset: str) -> None:
    Path("pulled/data").mkdir(parents=True)
    Path("pulled/data/rows.jsonl").touch()
    Path("pulled", FILE_NAME).write_text(to_json(TEXTS))
    assert load_protocol(config(dataset)) == ReleasedProtocol(TEXTS)


@pytest.mark.parametrize("dataset", ["generated:tiny", "elsewhere/rows.jsonl"])
def test_other_datasets_use_the_folder_of_the_documentation(dataset: str) -> None:
    Path("official").mkdir()
    Path("official", FILE_NAME).write_text(to_json(TEXTS))
    assert load_protocol(config(dataset)) == ReleasedProtocol(TEXTS)


@pytest.mark.parametrize(
    ("dataset", "beside"),
    [("generated:tiny", ""), ("rows.jsonl", "in the folder of the dataset rows.jsonl and its parents, and ")],
)
def test_without_texts(dataset: str, beside: str, tmp_path: Path) -> None:
    """The message says what was looked for, where, and how to get it; ``muses`` needs no texts."""
    with pytest.raises(ConfigError) as error:
        load_protocol(config(dataset))
    assert str(error.value) == (
        "protocol: released needs the texts of the released evaluator; looked for released_texts.json "
        f"{beside}in {tmp_path / 'official'}; `muses data pull --out official` stores it there, or choose protocol: "
        "muses"
    )
    assert load_protocol(config(dataset, "muses")) is MUSES


@pytest.mark.parametrize("content", [b"{}", b"\xff", to_json(ReleasedTexts(*map(str.upper, TEXT_NAMES))).encode()])
def test_a_file_with_other_texts(content: bytes) -> None:
    """A damaged or changed file is refused, also when there is another one further up."""
    Path("official/data").mkdir(parents=True)
    Path("official", FILE_NAME).write_text(to_json(TEXTS))
    Path("official/data", FILE_NAME).write_bytes(content)
    with pytest.raises(DatasetError, match=rf"{FILE_NAME}.*delete .*pull again"):
        load_protocol(config("official/data"))
