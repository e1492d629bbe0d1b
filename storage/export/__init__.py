"""A run in the forms that other tools read: tables, and the logs of Inspect."""
