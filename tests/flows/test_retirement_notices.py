"""A retired model is named by `muses plan` and by a run, once, and nothing is refused."""

import asyncio
import json
from pathlib import Path

import pytest
from muses_eval.flows.cli import main
from muses_eval.flows.job.prepare import open_run
from muses_eval.pipeline.config.parse import parse_config

GONE, GOING, STAYING = "openai:gpt-4.1-nano", "openai:gpt-4o-2024-05-13", "openai:gpt-6-luna"
"""The first two were retired on 2026-10-23."""


def notices(said: str) -> list[str]:
    return [line.split(" was retired on ")[0] for line in said.splitlines() if "retired" in line]


@pytest.mark.parametrize("form", [(), ("--json",)])
def test_a_plan_names_retired_models(capsys: pytest.CaptureFixture[str], form: tuple[str, ...]) -> None:
    """The notices are on stderr, so that the JSON on stdout stays as it is."""
    models = [f"--model={model}" for model in (GONE, STAYING, GONE.replace("nano", "nano-2025-04-14"))]
    assert main(["plan", *models, "--dataset=generated:1", "--family=queue", *form]) == 0
    captured = capsys.readouterr()
    assert notices(captured.err) == [
        "gpt-4.1-nano: openai:gpt-4.1-nano",
        "gpt-4.1-nano-2025-04-14: openai:gpt-4.1-nano-2025-04-14",
    ]
    assert "retired" not in captured.out
    if form:
        json.loads(captured.out)


def test_a_plan_of_a_sweep_names_each_model_once(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The users' model counts only where users are asked."""
    sweep = {"models": [GONE], "dataset": "generated:1", "grid": {"epochs": [1, 2], "users": ["scripted", GOING]}}
    (tmp_path / "queue.yaml").write_text(json.dumps({**sweep, "families": ["queue"]}))
    (tmp_path / "meeting.yaml").write_text(json.dumps({**sweep, "families": ["meeting"]}))
    assert main(["plan", str(tmp_path / "queue.yaml")]) == 0
    assert notices(capsys.readouterr().err) == ["gpt-4.1-nano: openai:gpt-4.1-nano"]
    assert main(["plan", str(tmp_path / "meeting.yaml")]) == 0
    assert notices(capsys.readouterr().err) == [
        "gpt-4.1-nano: openai:gpt-4.1-nano",
        "gpt-4o-2024-05-13: openai:gpt-4o-2024-05-13",
    ]


def test_a_run_names_retired_models_that_it_calls(tmp_path: Path) -> None:
    warned: list[str] = []

    async def prepare() -> None:
        config = {"models": [GONE, STAYING], "users": GOING, "dataset": "generated:1", "families": ["queue"]}
        async with open_run(parse_config({**config, "store": str(tmp_path)}, "test"), warned.append):
            pass

    asyncio.run(prepare())
    assert notices("\n".join(warned)) == ["gpt-4.1-nano: openai:gpt-4.1-nano"]
