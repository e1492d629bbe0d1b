"""Where bytes live: a folder or an S3 bucket, and the names of the objects in it."""
