"""The object store: a folder or an S3 bucket, and the keys of its objects."""
