"""Runs an evaluation from Python, in a script or in a notebook."""

import os
from typing import TYPE_CHECKING

from muses_eval.flows.api.config import ConfigSource, read_config
from muses_eval.flows.job.own_thread import run_in_own_thread
from muses_eval.flows.settings import read_settings, set_environment_defaults

if TYPE_CHECKING:
    from muses_eval.flows.job.report import RunReport

INTERRUPTED = "interrupted; finished episodes are stored, and the same call resumes the run"


def run(config: ConfigSource, *, store: str | os.PathLike[str] | None = None, progress: bool = True) -> "RunReport":
    """Runs an evaluation: plays every episode that has no score yet, as ``muses run`` does.

    The call returns when the run is complete, when its budget is reached, or when no more episodes can be played; the
    same call resumes it.  It works in a notebook, whose event loop is running already.  Environment variables of Ray
    that are not set get this project's defaults.

    Args:
        config: the path of a YAML file, a mapping with the same keys (docs/reference.md), or a ``RunConfig``.
        store: a folder or ``s3://bucket/prefix``, in place of the store of the configuration.
        progress: False to show no progress, which is a bar on a terminal or in a notebook, and lines on stderr
            elsewhere; warnings are then logged, not printed.

    Returns:
        The result over this call and all earlier ones.  ``report.leaderboard`` is a frame, ``report.complete`` tells
        whether every model reached the coverage of the configuration, and ``report.outcomes`` counts the episodes.

    Raises:
        ConfigError: the configuration is invalid.
        DatasetError: the dataset cannot be read.
        RunMismatchError: a run with this id exists and was planned differently.
        RunLockedError: another process works on the run.
        EndpointError: no model of the run can be reached.
        Stalled: no model replied for too long; finished episodes are stored.
        StoreError: the store cannot be read or written.
        KeyboardInterrupt: Ctrl-C, or the stop button of a notebook; finished episodes are stored.
    """
    settings = read_settings()
    set_environment_defaults(settings)
    parsed = read_config(config, store, settings.store)
    from muses_eval.flows.job.evaluate import NO_OBSERVER, evaluate
    from muses_eval.flows.job.progress import ProgressDisplay

    with ProgressDisplay() as display:
        observer = display.observer if progress else NO_OBSERVER
        return run_in_own_thread(lambda: evaluate(parsed, settings, observer), INTERRUPTED)
