"""The URL of a store is accepted as it is, or refused with what to write instead."""

import pytest
from muses_eval.pipeline.config.store_url import check_store_url


@pytest.mark.parametrize(
    "url",
    ["results", ".muses/store", "~/results", "/data/a b", "file:///data/x", "file://localhost/x", "s3://b", "s3://b/p/q",
     "s3://b/a//b",
     "s3://b/me@x", "file:///me@x", "/data/me:x@y",
     "s3://My_Bucket.1/x", "s3://arn:aws:s3:us-east-1:1:accesspoint/x/p", "s3", "s3/x", "a:b", "2026:x"],
)  # fmt: skip
def test_folders_and_buckets(url: str) -> None:
    assert check_store_url(url) == url


@pytest.mark.parametrize(
    ("url", "words"),
    [
        ("s3:/x", "write s3://x"),
        ("s3:x/y", "write s3://x/y"),
        ("s3//b", "the colon is missing; write s3://b"),
        ("S3//b", "the colon is missing; write s3://b"),
        ("S3://", "write s3://bucket/prefix"),
        ("S3://b/P", "write s3://b/P"),
        ("s3:///x", "write s3://x"),
        (" s3://b", "write s3://b"),
        ("s3 ://b", "write s3://b"),
        (r"s3:\\b\p", r"write s3://b\p"),
        ("s3://", "names no bucket; write s3://bucket or s3://bucket/prefix"),
        ("s3:///", "names no bucket"),
        ("s3://host:9000/b", "'host:9000' is not the name of a bucket; write s3://bucket/prefix, and the address"),
        ("s3://b?x=1", "'b?x=1' is not the name of a bucket"),
        ("gs://b", "gs:// is not supported; write a folder"),
        ("s3a://b", "s3a:// is not supported"),
        ("https://s3.example/b", "their S3 endpoint in AWS_ENDPOINT_URL"),
        ("ss3://b", "ss3:// is not supported"),
        ("s4:/b", "s4:/ is not supported"),
        ("file:/x", "write file:///x"),
        ("file//x", "write file:///x"),
        ("file://data/x", "'data' would be a host; write file:///data/x"),
        ("file:///", "names no folder"),
        ("", "names no folder"),
        (" ", "names no folder"),
    ],
)
def test_what_looks_like_another_url(url: str, words: str) -> None:
    with pytest.raises(ValueError, match=r".") as error:
        check_store_url(url)
    assert words in str(error.value)
    assert repr(url) in str(error.value)


@pytest.mark.parametrize(
    "url",
    [
        "s3://ID:s3cr3t@b/p", "s3://ID:s3/cr3t+x@b", "s3://s3cr3t@b", "S3://ID:s3cr3t@b", "s3:/ID:s3cr3t@b",
        "s3//ID:s3cr3t@b",
        "https://me:s3cr3t@s3.example/b", "https://s3cr3t@s3.example/b", "minio://ID:s3cr3t@h:9000/b", "ID+x://u:s3cr3t@h",
        "s3://b/p?access_key=a&secret_key=s3cr3t", "s3://b?secret=s3cr3t", "https://b.example/c?sv=1&sig=s3cr3t",
    ],
)  # fmt: skip
def test_a_credential_in_a_url_is_refused_and_not_shown(url: str) -> None:
    with pytest.raises(ValueError, match=r"not shown here.*put the key into AWS_ACCESS_KEY_ID") as error:
        check_store_url(url)
    assert "s3cr3t" not in str(error.value)
    assert "cr3t" not in str(error.value)
