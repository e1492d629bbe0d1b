"""Keeping a store small and whole: compaction, garbage collection, retention, verification."""
