"""One run in a store: its manifest, its lock, its shards and what they add up to."""
