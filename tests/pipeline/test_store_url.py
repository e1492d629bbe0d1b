"""The URL of a store is accepted as it is, or refused with what to write instead."""

import pytest
from muses_eval.pipeline.config.store_url import check_store_url


@pytest.mark.parametrize(
    "url",
    ["results", ".muses/store", "~/results", "/data/a b", "file:///data/x", "file://localhost/x", "s3://b", "s3://b/p/q",
     "s3://b/a//b", "s3://My_Bucket.1/x", "s3://arn:aws:s3:us-east-1:1:accesspoint/x/p", "s3", "s3/x", "a:b", "2026:x"],
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
        ("s3://key@b/x", "'key@b' is not the name of a bucket"),
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
