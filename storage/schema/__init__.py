"""The Parquet schema of episodes, and empty files that carry it."""
