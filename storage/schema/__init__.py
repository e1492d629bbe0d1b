"""The Parquet schema of episodes, and empty template files with that schema."""
