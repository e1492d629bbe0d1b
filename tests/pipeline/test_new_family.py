"""The example family of docs/new_family.md works: the page's code is run, from generated rows to SQL."""

import asyncio
import hashlib
import re
import sys
from dataclasses import asdict
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from muses_eval.flows.job.evaluate import evaluate
from muses_eval.flows.settings import read_settings
from muses_eval.pipeline import families
from muses_eval.pipeline.config.parse import parse_config
from muses_eval.pipeline.errors import MusesError
from muses_eval.pipeline.protocols.released_texts import FILE_NAME, to_json
from muses_eval.storage.query.duckdb_connection import connect

from tests.released import STAND_IN

PAGE = Path(__file__).parents[2] / "docs" / "new_family.md"


@pytest.fixture
def ballot(monkeypatch: pytest.MonkeyPatch) -> Any:
    """Returns the family of the page's module, imported and registered in FAMILIES."""
    (code,) = re.findall(r"```python\n(.*?)```", PAGE.read_text(encoding="utf-8"), re.DOTALL)
    module = ModuleType("muses_eval.pipeline.families.ballot")
    monkeypatch.setitem(sys.modules, module.__name__, module)
    exec(compile(code, str(PAGE), "exec"), module.__dict__)
    family = module.__dict__["BallotFamily"]()
    monkeypatch.setitem(families.FAMILIES, "ballot", family)  # type: ignore[arg-type]
    return family


def test_one_module_is_a_family(ballot: Any, tmp_path: Path) -> None:
    models = [f"scripted/{kind}" for kind in ("oracle", "compliant", "refuse", "random")]
    config = parse_config(
        {"models": models, "families": ["ballot"], "dataset": "generated:40", "store": str(tmp_path)}, "test"
    )
    report = asyncio.run(evaluate(config, read_settings({})))
    assert report.outcomes["scored"] == 160
    with connect(str(tmp_path)) as connection:
        rows = connection.execute(
            "SELECT model, mean FROM leaderboard_cells WHERE metric = 'accuracy' AND scoring = 'corrected'"
        ).fetchall()
    means = {model.removeprefix("scripted/"): mean for model, mean in rows}
    assert means["oracle"] == 1.0
    assert means["refuse"] == 0.0
    assert means["compliant"] == pytest.approx(1 / 3, abs=0.25)  # the first speaker ranks highest one time in three
    assert 0.0 < means["random"] < 1.0


def test_the_released_protocol_does_not_have_it(ballot: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A run is refused before it starts."""
    pinned = {name: hashlib.sha256(text.encode()).hexdigest() for name, text in asdict(STAND_IN).items()}
    monkeypatch.setattr("muses_eval.flows.job.load_protocol.PINNED", pinned)
    monkeypatch.chdir(tmp_path)
    Path("official").mkdir()
    Path("official", FILE_NAME).write_text(to_json(STAND_IN), encoding="utf-8")
    raw = {"models": ["scripted/oracle"], "families": ["ballot"], "dataset": "generated:4", "protocol": "released"}
    config = parse_config({**raw, "store": "s"}, "test")
    with pytest.raises(MusesError, match="protocol: released has no family ballot; leave it out"):
        asyncio.run(evaluate(config, read_settings({})))
    assert not Path("s").exists()


def test_it_is_a_family_to_the_type_checker(ballot: Any) -> None:
    """The class has every member of the protocol."""
    from muses_eval.pipeline.families.family import Family

    wanted = {name for name in dir(Family) if not name.startswith("_")}
    assert wanted <= set(dir(ballot))
