"""The vLLM version that an interpreter has, and the messages when it has none."""

from pathlib import Path

import pytest
from muses_eval.pipeline.errors import ConfigError
from muses_eval.workers.vllm.engine_build import EngineBuild, find_engine

from tests.stand_in_vllm import stand_in
from tests.workers.test_server_command import server_spec


def test_the_build_of_an_interpreter(tmp_path: Path) -> None:
    assert find_engine(server_spec(stand_in(tmp_path))) == EngineBuild("0.0.1", cpu=True)
    assert find_engine(server_spec(stand_in(tmp_path, "vllm"))) == EngineBuild("0.0.1", cpu=False)


def test_an_interpreter_without_vllm(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"no vLLM in .*python-none on .*: it has no package vllm; install it there"):
        find_engine(server_spec(stand_in(tmp_path, "none")))


def test_no_such_interpreter() -> None:
    with pytest.raises(
        ConfigError, match=r"engine\.python: cannot run /nowhere/python on .*No such file.*; write the path"
    ):
        find_engine(server_spec("/nowhere/python"))


def test_no_such_model(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"vllm:/nowhere/model: there is no such folder on "):
        find_engine(server_spec(stand_in(tmp_path), "/nowhere/model"))
