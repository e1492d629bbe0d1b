"""Reading a store: DuckDB with its views, Polars, and a sandbox for foreign queries."""
