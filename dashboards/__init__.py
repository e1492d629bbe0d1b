"""Read-only pages and tables over stored results."""
