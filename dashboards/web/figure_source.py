"""The source line of a figure: where its numbers are from, also when it has left the page."""

from pathlib import PurePath

from muses_eval.dashboards.web.store_cache import RunSummary


def store_name(store_url: str) -> str:
    """Returns the name of a store: its address, or of a folder its name alone, which a published figure may show."""
    scheme, colon, _ = store_url.partition("://")
    return PurePath(store_url).name if not colon or scheme == "file" else store_url


def source_line(store_url: str, run: RunSummary, scoring: str = "published") -> str:
    """Returns store, run, scoring, protocol, date of the run and the version that played it."""
    version = run.manifest.versions.get("muses-eval", "?")
    parts = (
        f"store {store_name(store_url)}",
        f"run {run.run_id}",
        f"{scoring} scoring",
        f"protocol {run.protocol}",
        f"{run.created_at:%Y-%m-%d}",
        f"muses-eval {version}",
        "mean and 95 % interval",
    )
    return " · ".join(parts)
