"""``muses init`` writes a configuration that plays as it is and shows every option."""

import re
from pathlib import Path

import pytest
from muses_eval.flows.cli import main
from muses_eval.flows.cli.init import EXAMPLE
from muses_eval.flows.job.strict_yaml import parse_yaml
from muses_eval.pipeline.config.grid import expand

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


def test_the_file_is_valid_with_all_of_its_options_in_use() -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    raw = parse_yaml(OPTION.sub("", text).encode(), "example")
    assert isinstance(raw, dict)
    assert raw.pop("run_id")  # is for one run, and the grid for several
    assert len(expand(raw, "example")) == 4
