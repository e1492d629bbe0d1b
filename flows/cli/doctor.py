"""``muses doctor``: checks everything that a run needs."""

import os
import sys
from collections.abc import Iterable, Iterator
from dataclasses import asdict, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Annotated

from cyclopts import Parameter
from muses_eval.flows.cli import BAD_USAGE, DONE
from muses_eval.flows.cli.options import Json, RunOptions, load_raw
from muses_eval.flows.cli.output import echo, to_json
from muses_eval.flows.doctor.agent_checks import agent_checks
from muses_eval.flows.doctor.check import Check, checked
from muses_eval.flows.doctor.dataset_check import check_dataset
from muses_eval.flows.doctor.model_check import check_model
from muses_eval.flows.doctor.plugin_checks import package_checks
from muses_eval.flows.doctor.proxy_report import proxy_report, store_endpoints
from muses_eval.flows.doctor.server_checks import check_prefect, check_ray, check_store
from muses_eval.flows.job.load_protocol import load_protocol
from muses_eval.flows.settings import Settings, read_settings, set_environment_defaults
from muses_eval.pipeline.config.grid import expand
from muses_eval.pipeline.config.model_spec import ModelSpec
from muses_eval.pipeline.config.run import RunConfig
from muses_eval.pipeline.retirement import retirement_notices

NoCalls = Annotated[bool, Parameter(name="--no-calls", help="Make no call of a model, which costs some tokens.")]


def doctor(
    config: Annotated[Path | None, Parameter(help="YAML file whose models and store are checked too.")] = None,
    /,
    *,
    options: RunOptions = RunOptions(),  # noqa: B008 - frozen
    no_calls: NoCalls = False,
    as_json: Json = False,
) -> int:
    """Check everything that a run needs, with one short call of each model, and say what to change."""
    settings = read_settings()
    set_environment_defaults(settings)
    runs: tuple[RunConfig, ...] = ()
    if config or options.model:
        runs = tuple(run.config for run in expand(*load_raw(config, options, settings.store)))
    found = []
    for check in _checks(settings, runs, options, call=not no_calls):
        found.append(check)
        if not as_json:
            _print(check)
    if as_json:
        echo(to_json(list(map(asdict, found))))
    return DONE if all(check.ok for check in found) else BAD_USAGE


def _print(check: Check) -> None:
    echo(f"{'ok  ' if check.ok else 'FAIL'}  {check.what}: {check.detail}")
    if check.warning is not None:
        echo(f"WARN  {check.warning}")
    sys.stdout.flush()  # a check may take seconds


def _checks(settings: Settings, runs: tuple[RunConfig, ...], options: RunOptions, *, call: bool) -> Iterator[Check]:
    """Yields the checks of an environment and of the runs of a configuration; what runs share is checked once."""
    first = runs[0] if runs else None
    stores = list(dict.fromkeys(run.store for run in runs)) or [options.store or settings.store]
    for store in stores:
        yield checked("store", partial(check_store, store))
    yield from package_checks()
    address = options.ray_address or (first.execution.ray_address if first else None)
    yield checked("ray", partial(check_ray, settings, address))
    yield checked("prefect", partial(check_prefect, settings))
    yield from _proxy_check(settings, stores, [spec for _, spec in _roles(runs)])
    for run in runs[:1]:
        if run.protocol == "released":
            yield checked("protocol released", partial(_released_texts, run))
    for run in {(run.dataset, run.families): run for run in runs}.values():
        yield checked(f"dataset {run.dataset.name}", partial(check_dataset, run))
    for run in {(run.agents, run.execution): run for run in runs}.values():
        yield from agent_checks(run)
    yield from _model_checks(_roles(runs), call=call)


def _roles(runs: Iterable[RunConfig]) -> list[tuple[str, ModelSpec]]:
    """Returns the models under test and those of the users."""
    models = [("model", model.spec()) for run in runs for model in run.models]
    return models + [("users' model", run.users.spec()) for run in runs if run.users]


def _proxy_check(settings: Settings, stores: Iterable[str], models: Iterable[ModelSpec]) -> Iterator[Check]:
    """Yields a check of the proxies that the environment names, and nothing when it names none."""
    urls = {} if settings.prefect_api_url is None else {"prefect": settings.prefect_api_url}
    for spec in models:
        urls |= {f"model {spec.name}": url for url in (spec.endpoint.base_urls if spec.endpoint else ())}
    check = checked("proxy", lambda: proxy_report(urls | store_endpoints(stores), os.environ) or "")
    if check.detail:
        yield check


def _model_checks(roles: Iterable[tuple[str, ModelSpec]], *, call: bool) -> Iterator[Check]:
    """Yields one check for each model; runs of a grid that differ in the sampling share it."""
    for role, spec in {(role, spec.name, spec.endpoint): (role, spec) for role, spec in roles}.values():
        check = checked(f"{role} {spec.name}", partial(check_model, spec, call=call))
        notices = retirement_notices([spec], datetime.now(UTC).date())
        yield replace(check, warning="; ".join([*notices, *filter(None, [check.warning])]) or None)


def _released_texts(config: RunConfig) -> str:
    load_protocol(config)
    return "the texts of the released evaluator are there, as pinned"
