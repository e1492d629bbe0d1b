"""The URL of a store as a configuration names it: a folder, or ``s3://bucket/prefix``.

What looks like a misspelt URL is refused, because it would be the name of a new folder.
"""

import re

_URL = re.compile(r"\s*([A-Za-z][A-Za-z0-9+.-]*)\s*:(?P<slashes>[/\\]*)(?P<rest>.*)", re.DOTALL)
_SCHEMES = ("s3", "file")
_OTHER = (
    "s3a",
    "s3n",
    "gs",
    "gcs",
    "az",
    "abfs",
    "abfss",
    "wasb",
    "wasbs",
    "hdfs",
    "http",
    "https",
    "ftp",
    "minio",
    "r2",
)
_NO_COLON = re.compile(r"\s*(s3|s3a|gs|file)[/\\]{2,}(?P<rest>.*)", re.DOTALL | re.IGNORECASE)
_EXPECTED = "write a folder (results, ~/results, file:///data/results) or s3://bucket/prefix"


def check_store_url(url: str) -> str:
    """Returns *url* unchanged.  Does no I/O.

    Raises:
        ValueError: it names no folder or bucket, or looks like another URL; the text says what to write.
    """
    if not url.strip():
        raise ValueError(f"{url!r} names no folder; {_EXPECTED}")
    if found := _NO_COLON.match(url):
        raise ValueError(f"{url!r}: the colon is missing; write {_written(found.group(1), found['rest'])}")
    found = _URL.match(url)
    if found is None:
        return url
    name, slashes, rest = found.group(1), found["slashes"], found["rest"]
    scheme = name.lower()
    if scheme in _SCHEMES:
        exact = url.startswith(f"{scheme}://") and "\\" not in slashes
        if not exact or (scheme == "s3" and len(slashes) > 2 and rest):
            raise ValueError(f"{url!r}: not spelt as a URL; write {_written(scheme, rest)}")
        _check_place(url, scheme, slashes, rest)
    elif scheme in _OTHER or slashes:
        raise ValueError(
            f"{url!r}: {name}:{slashes} is not supported; {_EXPECTED} "
            "(other clouds: their S3 endpoint in AWS_ENDPOINT_URL)"
        )
    return url


def _check_place(url: str, scheme: str, slashes: str, rest: str) -> None:
    """Checks what follows ``s3://`` or ``file://``."""
    if scheme == "file":
        if slashes == "//" and rest and not rest.startswith("localhost/"):
            raise ValueError(f"{url!r}: {rest.partition('/')[0]!r} would be a host; write file:///{rest}")
        if not rest.strip("/"):
            raise ValueError(f"{url!r} names no folder; {_EXPECTED}")
        return
    bucket = rest.partition("/")[0]
    if not bucket:
        raise ValueError(f"{url!r} names no bucket; write s3://bucket or s3://bucket/prefix")
    if not bucket.startswith("arn:") and re.search(r"[\s:@?#\\]", bucket):
        raise ValueError(
            f"{url!r}: {bucket!r} is not the name of a bucket; write s3://bucket/prefix, and the address of a "
            "server in AWS_ENDPOINT_URL"
        )


def _written(scheme: str, rest: str) -> str:
    rest = rest.strip().lstrip("/\\")
    if scheme.lower() == "file":
        return f"file:///{rest or 'folder'}"
    return f"s3://{rest or 'bucket/prefix'}"
