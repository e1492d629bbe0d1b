"""One run in a store: its manifest, its lock, its shards, its results and its spending."""
