"""The nightly evaluation: its schedule, its canary, the comparison with earlier nights, its pages, and store upkeep."""
