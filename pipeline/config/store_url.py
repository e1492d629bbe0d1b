"""The URL of a store as a configuration names it: a folder, or ``s3://bucket/prefix``.

What looks like a misspelt URL is refused, because it would be the name of a new folder.
"""

import re

from muses_eval.pipeline.text.credential_masking import mask_credentials
from muses_eval.pipeline.text.secret_names import is_secret_name

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
_USER = re.compile(r"\s*(?!file)[A-Za-z][A-Za-z0-9+.-]+\s*:?[/\\]+(?:[^/\\]*@|[^/\\]*:.*@)", re.DOTALL | re.IGNORECASE)
"""A URL with a user; a secret key may have slashes in it."""
_ANY = re.compile(r"\s*(?:s3\w*\s*:[/\\]|[A-Za-z][A-Za-z0-9+.-]+\s*:?[/\\]{2})", re.IGNORECASE)
_SIGNED = ("key", "sig", "signature")
_EXPECTED = "write a folder (results, ~/results, file:///data/results) or s3://bucket/prefix"


def check_store_url(url: str) -> str:
    """Returns *url* unchanged.  Does no I/O.

    Raises:
        ValueError: it names no folder or bucket, holds a credential, or looks like another URL; the text says what
            to write, and does not show a credential.
    """
    if holds_credentials(url):
        raise ValueError(
            "URL with a key or a password (it is not shown here), and a configuration is stored with its run: write "
            "s3://bucket/prefix, and put the key into AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY or into a profile "
            "(AWS_PROFILE)"
        )
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


def holds_credentials(url: str) -> bool:
    """Returns whether a URL has a user, a password, a key or a signature in it; a folder has none."""
    if _ANY.match(url) is None:
        return False
    names = [each.partition("=")[0] for each in re.split("[&;]", url.partition("?")[2])]
    secret = any(is_secret_name(name) or name.lower() in _SIGNED for name in names)
    return secret or _USER.match(url) is not None or mask_credentials(url)[1] > 0


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
