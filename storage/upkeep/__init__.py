"""Maintenance of a store: compaction, garbage collection, retention and verification."""
