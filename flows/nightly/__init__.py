"""Nightly evaluation: schedule, canary, comparison with earlier nights, published pages, store maintenance."""
