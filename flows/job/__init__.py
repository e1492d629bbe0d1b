"""One run from its configuration to its report, as plain functions that need no Prefect."""
