"""``muses init`` writes a configuration that plays as it is and shows every option."""

import re
from pathlib import Path

import pytest
from muses_eval.flows.cli import main
from muses_eval.flows.cli.init import EXAMPLE
from muses_eval.flows.job.strict_yaml import parse_yaml
from muses_eval.pipeline.config.grid import expand
from muses_eval.pipeline.config.parse import keys_of
from muses_eval.pipeline.config.run import RunConfig

OPTION = re.compile(r"^#(?=[a-z_]+:|  )", re.MULTILINE)
"""The `#` of an option that is commented out."""


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


def test_the_file_is_planned_and_run_as_it_is(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["init"]) == 0
    assert "muses run muses.yaml" in capsys.readouterr().out
    assert main(["plan", "muses.yaml"]) == 0
    assert main(["run", "muses.yaml"]) == 0
    assert "scripted/oracle" in capsys.readouterr().out


def test_a_file_is_replaced_only_with_force(capsys: pytest.CaptureFixture[str]) -> None:
    file = Path("new folder/mine.yaml")
    assert main(["init", str(file)]) == 0
    file.write_text("mine")
    assert main(["init", str(file)]) == 2
    assert "already there; nothing was written" in capsys.readouterr().err
    assert file.read_text() == "mine"
    assert main(["init", str(file), "--force"]) == 0
    assert [path.read_bytes() for path in file.parent.iterdir()] == [EXAMPLE.read_bytes()]
    assert main(["init", f"{file}/below.yaml"]) == 2
    assert "cannot be written" in capsys.readouterr().err


def config_keys(section: type = RunConfig) -> set[str]:
    keys = keys_of(section)
    return set(keys).union(*(config_keys(inner) for inner in keys.values() if inner is not None))


def test_every_option_is_there_and_valid() -> None:
    """The file names every key, and is valid with all of its options in use."""
    text = EXAMPLE.read_text(encoding="utf-8")
    raw = parse_yaml(OPTION.sub("", text).encode(), "example")
    assert isinstance(raw, dict)
    assert raw.pop("run_id")  # is for one run, and the grid for several
    assert len(expand(raw, "example")) == 4
    assert {key for key in config_keys() if not re.search(rf"\b{key}:", text)} == set()
