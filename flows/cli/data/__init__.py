"""The commands ``muses data``, one file each, and what they share."""
