"""Plays shards and writes them: the only package that talks to models and machines."""
