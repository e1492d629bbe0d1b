"""One run from its configuration to its report, as functions that do not need Prefect."""
