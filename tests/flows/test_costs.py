"""Cost of a run: the provider and the store agree, budgets hold, and no response is paid for twice."""

import json
import re
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Muses
from tests.provider import Provider, Response, completion, refused

PRICES = {"input": 1.0, "output": 10.0, "cached_input": 0.1}
PROMPT, COMPLETION = 900, 100
COST = (PROMPT * 1.0 + COMPLETION * 10.0) / 1e6
"""USD of one call that :func:`costly` answers."""

Run = Callable[..., "tuple[int, dict[str, Any], str]"]


def costly(**details: int) -> Response:
    usage = {"prompt_tokens": PROMPT, "completion_tokens": COMPLETION}
    return completion("{}", usage={**usage, "prompt_tokens_details": details} if details else usage)


def forever(answer: Response) -> Iterator[Response]:
    return iter(lambda: answer, None)


@pytest.fixture
def run(muses: Muses, tmp_path: Path) -> Run:
    """Plays a config; returns the exit code, the JSON summary and stderr."""

    def play(config: Mapping[str, Any], *options: str) -> tuple[int, dict[str, Any], str]:
        (tmp_path / "run.yaml").write_text(json.dumps(config))
        done = muses("run", "run.yaml", "--max-unusable=1", "--json", *options)
        assert done.stdout, done.stderr
        return done.returncode, json.loads(done.stdout), done.stderr

    return play


def api(provider: Provider, name: str = "m", **settings: Any) -> dict[str, Any]:
    return {"model": f"openai:{name}", "base_url": provider.base_url, "prices": PRICES, "max_retries": 0, **settings}


def queue(provider: Provider, count: int = 40, **settings: Any) -> dict[str, Any]:
    return {"models": [api(provider)], "dataset": f"generated:{count}", "families": ["queue"], **settings}


def rows(muses: Muses, query: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = json.loads(muses("sql", query, "--format=json").stdout)
    return found


# Prices


def test_every_call_has_its_price_by_its_role(run: Run, muses: Muses) -> None:
    """Agent and users have their own prices; the cost of an episode or a run is the sum over its calls."""
    with Provider(reply=lambda _: "some words") as provider:
        users = api(provider, "u", prices={"input": 100.0, "output": 0.0})
        code, summary, _ = run({**queue(provider, 2), "families": ["access"], "users": users})
        books = [(json.loads(received.body)["model"], received) for received in provider.completions]
    assert code == 0
    calls = rows(
        muses,
        "select call.role as role, call.model as model, call.prompt_tokens as p, call.completion_tokens as c, "
        "call.cost_usd as usd from (select unnest(calls) as call from episodes)",
    )
    assert sorted(call["model"] for call in calls) == sorted(name for name, _ in books)
    for call in calls:
        price = (1.0, 10.0) if call["role"] == "agent" else (100.0, 0.0)
        assert call["usd"] == pytest.approx((call["p"] * price[0] + call["c"] * price[1]) / 1e6)
    assert summary["cost_usd"] == pytest.approx(sum(call["usd"] for call in calls))
    assert summary["tokens"]["prompt"] == sum(call["p"] for call in calls)
    (total,) = rows(muses, "select sum(cost_usd) as usd from episodes")
    assert total["usd"] == pytest.approx(summary["cost_usd"])


def test_a_price_that_is_missing_is_null_and_said(run: Run, muses: Muses) -> None:
    with Provider(script=forever(costly())) as provider:
        code, summary, said = run({**queue(provider, 2), "models": [api(provider, prices=None), "scripted/oracle"]})
    assert code == 0
    assert summary["cost_usd"] is None
    assert "no price is known of m; write prices" in said
    costs = rows(muses, "select model, any_value(cost_usd) as usd from episodes group by 1 order by 1")
    assert costs == [{"model": "m", "usd": None}, {"model": "scripted/oracle", "usd": 0.0}]


# Caps


@pytest.mark.parametrize(
    ("unit", "later", "execution"),
    [
        pytest.param("tokens", "usd", {"executor": "inline"}, id="inline-tokens-usd"),
        pytest.param("usd", "tokens", {"executor": "inline"}, id="inline-usd-tokens"),
        pytest.param(
            "tokens",
            "usd",
            {"executor": "ray", "workers": 2},
            id="ray",
            marks=[pytest.mark.integration, pytest.mark.slow],
        ),
    ],
)
def test_a_cap_holds_over_all_workers_and_starts(
    run: Run, muses: Muses, unit: str, later: str, execution: dict[str, Any]
) -> None:
    """A cap of 10.5 episodes stops the run and leaves the rest unscored; a higher cap in either unit plays the rest."""
    caps: dict[str, float] = {"usd": 10.5 * COST, "tokens": 10_500}
    each = COST if unit == "usd" else PROMPT + COMPLETION
    most = caps[unit]
    with Provider(script=forever(costly()), latency_s=0.01) as provider:
        config = queue(provider, execution={"shard_size": 5, **execution})
        code, first, said = run({**config, "budget": {unit: most}})
        played = len(provider.completions)
        assert code == 4, said
        assert first["budget"]["reached"]
        assert first["budget"][unit] == most
        assert first["episodes"]["scored"] == played
        assert first["episodes"]["budget_stopped"] == 40 - played
        assert first["tokens"]["prompt"] + first["tokens"]["completion"] == played * (PROMPT + COMPLETION)
        assert first["cost_usd"] == pytest.approx(played * COST)
        assert played * each <= most + each  # all calls cost the same, so the reservations are almost exact
        assert played >= 8
        assert "budget of" in said
        assert "--budget-usd" in said
        outcomes = rows(
            muses, "select outcome, count(*) as n, sum(len(scores)) as s from episodes group by 1 order by 1"
        )
        assert outcomes[0] == {"outcome": "budget_stopped", "n": 40 - played, "s": 0}

        code, second, _ = run(config, f"--budget-{later}={caps[later] * 2}")
        played = len(provider.completions)
        assert code == 4
        assert second["episodes"]["scored"] == played
        assert 16 <= played <= 22

        code, last, _ = run({**config, "execution": {"executor": "inline"}})
        assert code == 0
        assert last["episodes"]["scored"] == len(provider.completions) == 40
        assert last["budget"] is None


def test_a_small_budget_is_shared_by_all_models_and_families_and_used(run: Run, muses: Muses) -> None:
    """With one call in flight, and episodes that use a tenth of what the rules of thumb expect."""
    with Provider(script=forever(completion("{}", usage={"prompt_tokens": 100, "completion_tokens": 20}))) as provider:
        models = [api(provider, name, max_concurrency=1) for name in ("a", "b")]
        config = {**queue(provider, 10), "models": models, "families": ["queue", "instruct"]}
        code, summary, said = run({**config, "budget": {"tokens": 2_400}})  # 20 of 40 episodes
        assert code == 4, said
        assert summary["episodes"]["scored"] == len(provider.completions) == 20
        assert summary["episodes"]["budget_stopped"] == 20
    assert len(re.findall(r"about [45]\d % of the pending episodes; every model plays this share", said)) == 1
    cells = rows(muses, "select count(*) as n from episodes where outcome = 'scored' group by model, family")
    assert len(cells) == 4
    assert all(3 <= cell["n"] <= 7 for cell in cells)


def test_a_budget_that_is_spent_asks_nobody(run: Run) -> None:
    with Provider(script=forever(costly())) as provider:
        assert run(queue(provider, 10), "--budget-tokens=2500")[0] == 4
        asked = len(provider.requests)
        code, summary, said = run(queue(provider, 10), "--budget-tokens=1000")
        assert code == 4, said
        assert len(provider.requests) == asked
        assert summary["budget"]["reached"]


def test_a_cap_in_tokens_needs_no_price(run: Run) -> None:
    """The next start does not count tokens without a price twice."""
    with Provider(script=forever(costly())) as provider:
        config = queue(provider, 10)
        for model in config["models"]:
            model.pop("prices", None)
        first = run({**config, "budget": {"tokens": 5500}})[1]
        second = run({**config, "budget": {"tokens": 8500}})[1]
    assert first["episodes"]["scored"] <= 5
    assert second["episodes"]["scored"] >= 7


def test_a_run_that_owes_nothing_is_done_whatever_it_has_spent(run: Run) -> None:
    with Provider(script=forever(costly())) as provider:
        assert run(queue(provider, 5))[0] == 0
        code, summary, said = run(queue(provider, 5), "--budget-tokens=1000")
        assert (code, summary["budget"]["reached"]) == (0, False), said


def test_a_model_whose_price_is_not_known_cannot_have_a_cap_in_usd(muses: Muses) -> None:
    options = ("--model=openai:m", "--base-url=http://127.0.0.1:1/v1", "--budget-usd=1")
    for command in ("run", "plan", "doctor"):
        done = muses(command, *options)
        assert (done.returncode, done.stdout) == (2, "")
        assert "no price is known for m; write prices" in done.stderr


# A key that becomes invalid in the middle


def test_a_key_that_is_withdrawn_stops_that_model_alone(run: Run) -> None:
    """Waiting requests for the model are not sent, remarks say why, and the next start plays the pending episodes."""
    withdrawn = refused(401, "this key is no longer valid")
    answers = iter([costly(), costly(), costly(), *[withdrawn] * 100])
    with Provider(script=answers) as bad, Provider(script=forever(costly())) as good:
        config = {**queue(good), "models": [api(bad, "locked", max_concurrency=1), api(good, "open")]}
        code, summary, said = run({**config, "dataset": "generated:20"})
        assert code == 3
        assert len(bad.completions) == 3 + 5  # refusals in a row, since the model has answered
    assert {name: count for name, count in summary["episodes"].items() if count} == {
        "planned": 40, "scored": 23, "infra_failed": 17
    }  # fmt: skip
    ended, retried = summary["problems"]  # the fifth refusal ends the model; without retries, four episodes failed
    assert [(each["episodes"], each["kind"]) for each in (ended, retried)] == [(13, "auth"), (4, "auth")]
    assert said.count("this key is no longer valid") == 2


# The response cache


@pytest.mark.parametrize("where", ["local", "store"])
def test_the_same_run_under_another_name_asks_nobody(run: Run, muses: Muses, where: str, tmp_path: Path) -> None:
    with Provider(script=forever(costly())) as provider:
        config = queue(provider, 5, cache=where, epochs=2)
        _, first, _ = run({**config, "run_id": "one"})
        asked = len(provider.completions)
        _, second, _ = run({**config, "run_id": "two"})
        assert asked == len(provider.completions) == 10  # each epoch has its own calls
    assert first["cost_usd"] == pytest.approx(10 * COST)
    assert (second["cost_usd"], second["tokens"]) == (0.0, {"prompt": 0, "completion": 0})
    told = rows(
        muses,
        "select run_id, bool_and(call.cached) as cached, sum(call.prompt_tokens) as p, sum(call.cost_usd) as usd "
        "from (select run_id, unnest(calls) as call from episodes) group by 1 order by 1",
    )
    assert [(row["cached"], row["p"]) for row in told] == [(False, 9_000), (True, 9_000)]
    assert told[1]["usd"] == 0
    folder = tmp_path / ".muses" / ("responses" if where == "local" else "store") / "cache"
    assert len(list(folder.rglob("*.json"))) == 10


# The plan


def test_a_pilot_is_part_of_the_run_and_foretells_it(run: Run, muses: Muses, tmp_path: Path) -> None:
    with Provider(script=forever(costly())) as provider:
        (tmp_path / "run.yaml").write_text(json.dumps(queue(provider, 20)))
        guess = json.loads(muses("plan", "run.yaml", "--json").stdout)["estimate"]
        assert not provider.requests
        assert not (tmp_path / ".muses").exists()  # a plan plays nothing
        pilot = json.loads(muses("plan", "run.yaml", "--pilot=4", "--json").stdout)["estimate"]
        assert len(provider.completions) == 4
        muses("plan", "run.yaml", "--pilot=4")
        assert len(provider.completions) == 4
        code, summary, _ = run(queue(provider, 20))
        assert len(provider.completions) == 20
    assert code == 0
    assert (guess["from"]["played_episodes"], pilot["from"]["played_episodes"]) == (0, 4)
    assert pilot["calls"] == {"low": 20, "mid": 20, "high": 20}
    assert pilot["cost_usd"]["low"] <= summary["cost_usd"] <= pilot["cost_usd"]["high"]
    assert pilot["cost_usd"]["mid"] == pytest.approx(summary["cost_usd"], rel=0.5)
    assert pilot["by_model"][0]["model"] == "m"


def test_a_plan_says_where_its_numbers_come_from(muses: Muses) -> None:
    options = ("--model=openai:m", "--base-url=http://127.0.0.1:1/v1", "--dataset=generated:3", "--family=queue")
    said = muses("plan", *options).stdout
    assert "price not known" in said
    assert "no prices are known for m" in said
    assert "rules of thumb" in said
    assert "no limits are declared for m" in said
    assert muses("plan", *options, "--pilot=1").returncode == 2
    free = muses("plan", "--model=scripted/oracle", "--dataset=generated:3").stdout
    assert "tokens" not in free
