"""The prefix of an S3 store, checked so that every server and every reader finds the same keys.

boto3, DuckDB, Polars and object stores over file systems read some prefixes differently: an empty segment and a dot are
dropped by some, and wildcards are matched by others.  Such a prefix is refused before anything is written below it.
"""

from muses_eval.pipeline.errors import ConfigError

_WILDCARDS = "*?[\\"
_NO_NAMES = ("", ".", "..")


def checked_prefix(url: str, prefix: str) -> str:
    """Returns the prefix without slashes at its ends.

    Args:
        url: URL of the store, for messages.
        prefix: the part of the URL after the bucket.

    Raises:
        ConfigError: servers or readers would disagree about the keys below it.
    """
    segments = prefix.strip("/").split("/") if prefix.strip("/") else []
    if any(segment in _NO_NAMES for segment in segments):
        kept = "/".join(segment for segment in segments if segment not in _NO_NAMES)
        raise ConfigError(
            f"store {url!r}: '//', '.' and '..' are names in S3, but some servers and tools drop them, and results "
            f"would be lost; write s3://{url.partition('://')[2].partition('/')[0]}/{kept}"
        )
    if unfit := sorted({mark for mark in prefix if mark in _WILDCARDS or not mark.isprintable()}):
        raise ConfigError(
            f"store {url!r}: tools read {' '.join(map(repr, unfit))} in a prefix as wildcards or not at all; write a "
            "prefix of letters, digits, spaces and . _ - = % / +"
        )
    return "/".join(segments)
