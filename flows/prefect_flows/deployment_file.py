"""Reads the file of deployments (infra/prefect.yaml) and completes it with a configuration."""

import shlex
import sys
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import yaml
from muses_eval.flows.nightly.schedule import refuse_run_id
from muses_eval.flows.settings import Settings, set_environment_defaults
from muses_eval.pipeline.config.grid import MOST_CELLS, expand, has_grid
from muses_eval.pipeline.errors import ConfigError
from muses_eval.pipeline.text.credential_masking import mask_json
from muses_eval.storage.objects.open_store import open_store
from prefect.client.schemas.schedules import CronSchedule, IntervalSchedule, RRuleSchedule
from prefect.types import NonEmptyishName
from prefect.utilities.annotations import NotSet
from prefect.utilities.collections import get_from_dict
from prefect.utilities.templating import apply_values, find_placeholders
from pydantic import BaseModel, ConfigDict, ValidationError

Schedule = CronSchedule | IntervalSchedule | RRuleSchedule
TAG_PREFIX = "muses: "
"""Prefix of the tag that names the configuration of a deployment."""
MOVED_ENTRY_POINTS = {
    f"flows.{name}_flow.{name}_flow": f"muses_eval.flows.prefect_flows.{name}_flow.{name}_flow"
    for name in ("evaluate", "maintain", "nightly", "sweep")
}
"""Entry point of version 0.1.0 -> the present one."""
_SECTIONS = ("nightly", "maintain")
_BANNED = frozenset("/%&<>")


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class WorkPool(_Part):
    """Work pool and queue in which the runs of a deployment wait for a worker."""

    name: NonEmptyishName
    work_queue_name: NonEmptyishName = "default"
    job_variables: dict[str, Any] = {}


class Deployment(_Part):
    """One deployment of the file, with its placeholders filled in."""

    name: NonEmptyishName
    entrypoint: str
    """Module and name of a flow, such as ``muses_eval.flows.prefect_flows.evaluate_flow.evaluate_flow``."""
    description: str | None = None
    tags: tuple[str, ...] = ()
    parameters: dict[str, Any] = {}
    schedules: tuple[Schedule, ...] = ()
    work_pool: WorkPool


@dataclass(frozen=True, slots=True)
class ParsedDeployments:
    """Deployments of a file for one configuration."""

    deployments: tuple[Deployment, ...]
    left_out: Mapping[str, str]
    """Entry point -> reason why it has no deployment."""
    tag: str
    """Tag that identifies the configuration at the server."""
    moved: Mapping[str, str]
    """Entry point of version 0.1.0, as the file has it -> the present one, which is registered."""


def placeholder_values(
    raw: Mapping[str, Any], source: str, settings: Settings, folder: Path, most_cells: int = MOST_CELLS
) -> dict[str, Any]:
    """Returns the values of the placeholders of the file.

    Args:
        raw: the configuration as it was written, with its store.
        source: the name of the configuration in messages.
        settings: the settings of the command.
        folder: the folder to which relative paths of the configuration are relative.
        most_cells: the maximum number of cells of a sweep.

    Raises:
        ConfigError: the configuration is invalid, or it contains a credential.
    """
    runs = expand(raw, source, most_cells)
    if mask_json(dict(raw)) != dict(raw):
        raise ConfigError(
            f"{source}: it contains a credential, which the Prefect server would store and show; put it into an "
            "environment variable of the worker, and write the name of the variable there (api_key_env)"
        )
    quiet: dict[str, str] = {}
    set_environment_defaults(settings, quiet)
    # The worker has its own settings of Prefect.
    ours = {name: value for name, value in quiet.items() if not name.startswith("PREFECT_")}
    name = str(raw.get("name", "sweep" if has_grid(raw) else runs[0].config.name))
    if banned := sorted(_BANNED.intersection(name)):
        raise ConfigError(
            f"{source}: name {name!r}: Prefect does not allow {' '.join(banned)} in the name of a deployment; leave "
            "them out"
        )
    found: dict[str, Any] = {
        "name": name,
        # A configuration without a name is identified by its file, because the default name is not unique.
        "tag": f"{TAG_PREFIX}{raw.get('name') or folder / source} in {open_store(runs[0].config.store).url}",
        "folder": str(folder),
        "python": shlex.quote(sys.executable),
        "environment": {**ours, "MUSES_HOME": str(settings.home)},
    }
    if "nightly" in raw:
        refuse_run_id(runs[0].config)
    if has_grid(raw):
        return {**found, "sweep": dict(raw), "most_cells": most_cells}
    run = runs[0].config.model_dump(mode="json")
    return {**found, "run": run, **{section: run[section] for section in _SECTIONS if section in raw}}


def read_deployments(file: Path, given: Mapping[str, Any]) -> ParsedDeployments:
    """Reads the deployments of a file and fills in the values of its placeholders.

    Raises:
        ConfigError: the file is invalid; the message says where, what came and what was expected.
    """
    deployments, left_out, moved = [], {}, {}
    for entry in _raw_entries(file):
        missing = sorted(
            found.name for found in find_placeholders(entry) if get_from_dict(dict(given), found.name, NotSet) is NotSet
        )
        where = entry.get("entrypoint", "an entry without an entrypoint")
        if missing:
            left_out[str(where)] = _lacking({name.partition(".")[0] for name in missing}, given)
            continue
        try:
            deployment = Deployment.model_validate(apply_values(entry, dict(given)))
        except ValidationError as error:
            raise ConfigError("\n".join(_explained(file, str(where), error))) from error
        if (present := MOVED_ENTRY_POINTS.get(deployment.entrypoint)) is not None:
            moved[deployment.entrypoint] = present
            deployment = deployment.model_copy(update={"entrypoint": present})
        deployments.append(deployment)
    return ParsedDeployments(tuple(deployments), left_out, given["tag"], moved)


def _lacking(names: Collection[str], given: Mapping[str, Any]) -> str:
    if "sweep" in given:
        return "it is for a single run, and the configuration is a grid"
    return "the configuration has no " + ("grid" if "sweep" in names else f"section {min(names)}")


def _raw_entries(file: Path) -> list[dict[str, Any]]:
    try:
        document = yaml.safe_load(file.read_text(encoding="utf-8"))
    except OSError as error:
        raise ConfigError(
            f"{file}: cannot be read ({error.strerror}); name a file of deployments with --prefect-file, such as the "
            "infra/prefect.yaml of the project"
        ) from error
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{file}: not YAML: {' '.join(str(error).split())}") from error
    entries = document.get("deployments") if isinstance(document, Mapping) else None
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise ConfigError(f"{file}: expected a list of deployments under `deployments`")
    return entries


def _explained(file: Path, where: str, error: ValidationError) -> Iterable[str]:
    for problem in error.errors(include_url=False):
        place = ".".join(map(str, problem["loc"]))
        yield f"{file}: {where}: {place}: {problem['msg']}, got {problem['input']!r}"
