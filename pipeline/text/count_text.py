"""Numbers with their nouns, for tables and messages."""


def count_text(number: int, noun: str) -> str:
    """Returns "1 pair" or "3 pairs"."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
