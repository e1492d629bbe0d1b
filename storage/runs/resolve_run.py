"""Finds the run that a user means: by its id, by the beginning of its id, or by its name."""

import re

from muses_eval.pipeline.errors import StoreError
from muses_eval.pipeline.name_match import MAX_OFFERED, listed, matching_names
from muses_eval.storage.objects.object_keys import manifest_key
from muses_eval.storage.objects.object_store import ObjectStore
from muses_eval.storage.runs.manifest import NoSuchRunError, list_run_ids

_HASH = re.compile(r"-[0-9a-f]{8}$")
"""End of an id that is derived from a run's name and content (:func:`muses_eval.pipeline.plan.plan.make_plan`)."""


class AmbiguousRunError(StoreError):
    """Several runs have this name, or ids that begin with it."""


def run_name(run_id: str) -> str:
    """Returns the name in an id that is derived from a name; any other id unchanged."""
    return _HASH.sub("", run_id)


def resolve_run(store: ObjectStore, wanted: str) -> str:
    """Returns the id of the run that *wanted* stands for: an id, the beginning of one, or a run's name.

    Raises:
        NoSuchRunError: no run fits; the message lists similar ids.
        AmbiguousRunError: several runs fit; the message lists them.
        StoreError: the store cannot be read.
    """
    run_ids = list_run_ids(store)
    found = matching_names(wanted, run_ids, run_name)
    if len(found) == 1:
        return found[0]
    if not found:
        manifest_key(wanted)  # refuses what cannot be an id
        raise NoSuchRunError(store.url, wanted, run_ids)
    shown = listed(found, MAX_OFFERED)
    raise AmbiguousRunError(
        f"{wanted!r} may be {len(found)} runs of the store {store.url}: {shown}; write more of the id"
    )
