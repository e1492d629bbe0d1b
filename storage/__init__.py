"""Objects, tables, numbers: traces as Parquet in a folder or on S3, and SQL over them."""
