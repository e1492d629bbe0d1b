"""``muses rehearse``: runs an evaluation against a provider that injects faults, and compares both sides' counts."""

import shlex
import signal
import sys
from collections.abc import Mapping
from dataclasses import asdict, replace
from datetime import UTC, datetime
from pathlib import Path
from secrets import token_hex
from typing import Annotated, Any

from cyclopts import Parameter
from muses_eval.flows.cli import BUDGET_REACHED, COVERAGE_SHORT, DONE
from muses_eval.flows.cli.options import Config, Json, Quiet, RunOptions, load_config
from muses_eval.flows.cli.output import echo, to_json
from muses_eval.flows.job.progress import ProgressDisplay
from muses_eval.flows.job.rehearsal import (
    RehearsalReport,
    StoredCalls,
    accounts_of,
    declared_limits,
    rehearse as rehearsal_of,
)
from muses_eval.flows.job.report import fault_lines
from muses_eval.flows.job.signals import interruptible, run_until_signal
from muses_eval.flows.settings import Settings, read_settings, set_environment_defaults
from muses_eval.pipeline.config.run import RunConfig
from muses_eval.pipeline.errors import ConfigError
from muses_eval.pipeline.hashing import slug
from muses_eval.pipeline.text.count_text import count_text
from muses_eval.workers.rehearsal.fault_profile import PRESETS, FaultProfile, parse_fault_profile
from muses_eval.workers.rehearsal.provider import RehearsalProvider
from muses_eval.workers.rehearsal.request_log import PeakUsage, RequestTotals, TokenUsage

_SHOWN_PROBLEMS = 5
_NO_OPTIONS = RunOptions()
_SCORES_MEAN_NOTHING = "The replies were canned: look at what failed and how long it took; scores mean nothing here."


def rehearse(  # noqa: PLR0913 - the options of a command
    config: Config = None,
    /,
    *,
    options: RunOptions = _NO_OPTIONS,
    weather: Annotated[str, Parameter(help=f"{', '.join(PRESETS)}, or a YAML file (docs/rehearsal.md).")] = "storm",
    serve: Annotated[
        bool, Parameter(help="Only serve the provider until Ctrl-C; then print its request counts.")
    ] = False,
    port: Annotated[int, Parameter(help="Port of --serve; 0: any free port.")] = 0,
    quiet: Quiet = False,
    as_json: Json = False,
) -> int:
    """Run an evaluation against a local provider that injects faults. It costs nothing and reads no key."""
    settings = read_settings()
    profile = read_fault_profile(weather)
    if serve:
        real = load_config(config, options, settings.store) if config or options.model else None
        return _serve(profile, real, port, as_json=as_json)
    set_environment_defaults(settings)
    parsed = _own_store(config, options, settings)
    with interruptible(_advice(parsed)), ProgressDisplay(quiet=quiet) as progress:
        result = run_until_signal(lambda _: rehearsal_of(parsed, profile, settings, progress.observer), progress.stop)
    _show(result, weather, as_json=as_json)
    if result.report.budget_reached:
        return BUDGET_REACHED
    return DONE if result.report.complete else COVERAGE_SHORT


def read_fault_profile(name: str) -> FaultProfile:
    """Reads a fault profile: a preset, or a file, which may start from a preset with ``like: storm``.

    Raises:
        ConfigError: there is no such preset or file, or the file is invalid.
    """
    if name in PRESETS:
        return PRESETS[name]
    raw = _read_yaml(Path(name))
    if not isinstance(raw, Mapping) or "like" not in raw:
        return parse_fault_profile(raw, name)
    preset = PRESETS.get(str(raw["like"]))
    if preset is None:
        raise ConfigError(f"{name}: like: no preset {raw['like']!r}; expected one of {', '.join(PRESETS)}")
    own = {key: value for key, value in raw.items() if key != "like"}
    return parse_fault_profile({**preset.model_dump(exclude_unset=True), **own}, name)


def _read_yaml(path: Path) -> object:
    from muses_eval.flows.job.strict_yaml import MAX_BYTES, parse_yaml

    try:
        with path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except (OSError, ValueError) as error:  # ValueError: the path has a NUL
        known = ", ".join(PRESETS)
        why = getattr(error, "strerror", None) or error
        raise ConfigError(f"no fault profile {str(path)!r} ({why}); name a YAML file or one of {known}") from error
    return parse_yaml(data, str(path))


def _own_store(config: Path | None, options: RunOptions, settings: Settings) -> RunConfig:
    """Returns the config of the run with the store and the id of the rehearsal."""
    real = load_config(config, replace(options, store=None), settings.store)
    store = options.store or str(settings.home / "rehearsal")
    if _place(store) == _place(real.store):
        raise ConfigError(
            f"{store} is the store of the run, but episodes of a rehearsal are not results: name another store"
        )
    stamp = f"{datetime.now(UTC):%Y%m%d-%H%M%S}-{token_hex(2)}"
    run_id = options.run_id or f"rehearsal-{slug(real.name)}-{stamp}"
    return real.model_copy(update={"store": store, "run_id": run_id})


def _place(store: str) -> str:
    """Returns one canonical name of a store."""
    return store.rstrip("/") if "://" in store else str(Path(store).expanduser().resolve())


def _serve(profile: FaultProfile, config: RunConfig | None, port: int, *, as_json: bool) -> int:
    """Serves until a signal arrives.  Both signals are blocked before the thread of the server starts."""
    signals = (signal.SIGINT, signal.SIGTERM)
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    declared = {} if config is None else declared_limits(config, accounts_of(config))
    provider = RehearsalProvider(profile, declared, port=port)
    provider.start()
    for account in declared or ("",):
        print(f"listening on {provider.base_url(account)}; stop with Ctrl-C", file=sys.stderr, flush=True)  # noqa: T201
    signal.sigwait(signals)
    provider.stop()
    totals = provider.log.totals()
    echo(
        to_json(_provider_record(totals, provider.peak_usage())) if as_json else _render(totals, provider.peak_usage())
    )
    return DONE


def _advice(config: RunConfig) -> str:
    again = shlex.join(["muses", *sys.argv[1:], *(() if "--run-id" in sys.argv else ("--run-id", str(config.run_id)))])
    return f"interrupted; finished episodes are stored. Resume with: {again}"


def _show(result: RehearsalReport, weather: str, *, as_json: bool) -> None:
    if as_json:
        echo(to_json({**_summary(result), "weather": weather}))
    else:
        echo(_render(result.totals, result.peaks, result.recorded))
        for line in result.disagreements or ("The counts of the provider and the store agree.",):
            echo(line)
    for line in _remarks(result):
        print(line, file=sys.stderr)  # noqa: T201


def _remarks(result: RehearsalReport) -> list[str]:
    """Returns the remarks below the tables."""
    report = result.report
    counts = ", ".join(f"{count} {outcome}" for outcome, count in report.outcomes.items() if count)
    planned = count_text(report.planned, "episode")
    head = f"rehearsal {report.run_id} in {report.store}: {planned} planned, {counts or 'none played'}"
    kills = f", {count_text(len(result.killed), 'worker')} killed" if result.killed else ""
    lines = [f"{head} in {report.seconds:.1f} s{kills}"]
    lines += [f"  {text}" for text in fault_lines(report.faults)]
    lines += [f"  {count} x {kind}: {text}" for count, kind, text in report.problems[:_SHOWN_PROBLEMS]]
    return [*lines, _SCORES_MEAN_NOTHING]


def _summary(result: RehearsalReport) -> dict[str, Any]:
    report = result.report
    return {
        "run_id": report.run_id,
        "store": report.store,
        "episodes": {"planned": report.planned, **report.outcomes},
        "coverage": report.outcomes["scored"] / report.planned,
        "seconds": round(report.seconds, 3),
        "killed_workers": len(result.killed),
        "provider": _provider_record(result.totals, result.peaks),
        "recorded": {
            "calls": result.recorded.calls,
            "tries": result.recorded.tries,
            "by_model": _by_model(result.recorded.by_model),
        },
        "books_agree": not result.disagreements,
        "disagreements": result.disagreements,
        "problems": [dict(zip(("episodes", "kind", "text"), problem, strict=True)) for problem in report.problems],
    }


def _provider_record(totals: RequestTotals, peaks: tuple[PeakUsage, ...]) -> dict[str, Any]:
    return {
        "asked": totals.asked,
        "accepted": totals.accepted,
        "answered": totals.answered,
        "refused": totals.refused,
        "faulted": totals.faulted,
        "abandoned": totals.abandoned,
        "most_in_flight": totals.peak,
        "by_model": _by_model(totals.by_model),
        "busiest_windows": [asdict(one) for one in peaks],
    }


def _by_model(sums: Mapping[str, TokenUsage]) -> dict[str, Any]:
    return {model: asdict(tokens) for model, tokens in sums.items()}


def _render(totals: RequestTotals, peaks: tuple[PeakUsage, ...], recorded: StoredCalls | None = None) -> str:
    """Renders the totals of the provider as tables, with those of the store beside them when they are given."""
    from muses_eval.dashboards.tables.text_table import text_table

    answered = sum(totals.by_model.values(), TokenUsage())
    kept = None if recorded is None else sum(recorded.by_model.values(), TokenUsage())
    rows: list[tuple[str, int, int | None]] = [
        ("requests, and our tries", totals.asked, None if recorded is None else recorded.tries),
        ("let in", totals.accepted, None),
        *((f"refused: {reason}", count, None) for reason, count in sorted(totals.refused.items())),
        *((f"fault: {kind}", count, None) for kind, count in sorted(totals.faulted.items())),
        ("client went away", totals.abandoned, None),
        ("answered, and our calls", answered.calls, None if kept is None else kept.calls),
        ("prompt tokens", answered.prompt, None if kept is None else kept.prompt),
        ("completion tokens", answered.completion, None if kept is None else kept.completion),
        ("most in flight", totals.peak, None),
    ]
    shown = [[what, str(there), "" if here is None else str(here)] for what, there, here in rows]
    windows = [
        [
            one.account or "-",
            f"{one.window_s:g}",
            _share(one.requests, one.requests_allowed),
            _share(one.tokens, one.tokens_allowed),
        ]
        for one in peaks
    ]
    head = ["account", "window s", "most requests", "most tokens"]
    tables = [text_table(["", "provider", "store"], shown, numeric=(1, 2))]
    return "\n\n".join((*tables, text_table(head, windows, numeric=(1, 2, 3)))) if windows else tables[0]


def _share(most: int, allowed: int | None) -> str:
    return str(most) if allowed is None else f"{most} of {allowed}"
