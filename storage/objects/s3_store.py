"""An object store in an S3 bucket.

This is the only module that knows boto3.  Endpoint, region and credentials are what boto3 finds in its environment.
"""

import mimetypes
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, TypedDict

from muses_eval.pipeline.errors import StoreError

if TYPE_CHECKING:
    from mypy_boto3_s3 import S3Client
from muses_eval.storage.objects.object_store import CHECK_PREFIX, MissingObjectError, ObjectInfo, VersionedObject

_CONFLICT_TRIES = 6


@dataclass(frozen=True, slots=True)
class S3Settings:
    """What another S3 client needs to read the same bucket as boto3; secrets stay out of its repr."""

    endpoint: str
    """With its scheme, as ``https://s3.eu-west-1.amazonaws.com``."""
    region: str
    key_id: str
    secret: str = field(repr=False)
    token: str | None = field(repr=False)
    """Session token of temporary credentials; None for permanent ones."""


class S3Store:
    """Objects below a prefix of one bucket."""

    def __init__(self, bucket: str, prefix: str, sleep: Callable[[float], None] = time.sleep) -> None:
        self._bucket, self._prefix, self._sleep = bucket, f"{prefix}/" if prefix else "", sleep
        self._opened: S3Client | None = None
        self._opening = threading.Lock()

    @property
    def bucket(self) -> str:
        return self._bucket

    @property
    def url(self) -> str:
        return f"s3://{self._bucket}/{self._prefix}".rstrip("/")

    def uri(self, key: str) -> str:
        return f"s3://{self._bucket}/{self._prefix}{key}"

    def get(self, key: str) -> bytes:
        return self.read(key).data

    def read(self, key: str) -> VersionedObject:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            answer = self._client().get_object(Bucket=self._bucket, Key=self._prefix + key)
            return VersionedObject(answer["Body"].read(), answer["ETag"])
        except (BotoCoreError, ClientError) as error:
            if _code(error) == "NoSuchKey":
                raise MissingObjectError(self.url, key) from None
            raise self._trouble("read", error) from error

    def put_if_absent(self, key: str, data: bytes) -> bool:
        return self._put(key, data, {"IfNoneMatch": "*"})

    def replace(self, key: str, data: bytes, tag: str) -> bool:
        return self._put(key, data, {"IfMatch": tag})

    def _put(self, key: str, data: bytes, condition: "_Condition") -> bool:
        """False: the condition does not hold."""
        from botocore.exceptions import BotoCoreError, ClientError

        kind = mimetypes.guess_type(key)[0] or "application/octet-stream"  # browsers open pages that are called pages
        for attempt in range(_CONFLICT_TRIES):
            try:
                self._client().put_object(
                    Bucket=self._bucket, Key=self._prefix + key, Body=data, ContentType=kind, **condition
                )
            except (BotoCoreError, ClientError) as error:
                if _code(error) in ("PreconditionFailed", "412", "NoSuchKey"):
                    return _was_retried(error) and self._holds(key, data)
                if _code(error) not in ("ConditionalRequestConflict", "OperationAborted", "409"):
                    raise self._trouble("write", error) from error
                # Two writers met: S3 asks both to try again, and then tells them apart.
                self._sleep(0.05 * 2**attempt)
            else:
                return True
        raise StoreError(f"store {self.url}: other writers of {key!r} kept getting in the way; start the run again")

    def _holds(self, key: str, data: bytes) -> bool:
        try:
            return self.get(key) == data
        except MissingObjectError:
            return False

    def delete(self, key: str) -> None:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            self._client().delete_object(Bucket=self._bucket, Key=self._prefix + key)
        except (BotoCoreError, ClientError) as error:
            raise self._trouble("delete", error) from error

    def temporary_objects(self) -> Iterator[ObjectInfo]:
        """A write is one request here, so only checks leave anything."""
        yield from self.list(CHECK_PREFIX)

    def list(self, prefix: str) -> Iterator[ObjectInfo]:
        from botocore.exceptions import BotoCoreError, ClientError

        try:
            pages = (
                self._client()
                .get_paginator("list_objects_v2")
                .paginate(Bucket=self._bucket, Prefix=self._prefix + prefix)
            )
            found = [
                ObjectInfo(entry["Key"].removeprefix(self._prefix), entry["Size"], entry["LastModified"].timestamp())
                for page in pages
                for entry in page.get("Contents", ())
            ]
        except (BotoCoreError, ClientError) as error:
            raise self._trouble("list", error) from error
        yield from sorted(found)  # not every server sorts as AWS does

    def check(self) -> None:
        key = f"{CHECK_PREFIX}{secrets.token_hex(8)}"
        any(self.list(key))
        self.put_if_absent(key, b"first")
        try:
            ignored = []
            if self.put_if_absent(key, b"second"):
                ignored.append("If-None-Match")
            tag = self.read(key).tag
            if not self.replace(key, b"third", tag) or self.replace(key, b"fourth", tag):
                ignored.append("If-Match")
        finally:
            self.delete(key)
        if ignored:
            raise StoreError(
                f"store {self.url}: the server does not keep to {' and '.join(ignored)}, so that one worker could"
                " overwrite what another has stored; use a server with conditional writes (AWS, MinIO, SeaweedFS: a"
                " recent version)"
            )

    def client_settings(self) -> S3Settings:
        """Endpoint and credentials as boto3 resolved them.

        Raises:
            StoreError: boto3 finds no credentials.
        """
        from botocore.exceptions import BotoCoreError

        client = self._client()
        try:
            # The public way to a client's own credentials does not exist; a fresh session resolves the same ones.
            import boto3

            credentials = boto3.Session().get_credentials()
        except BotoCoreError as error:
            raise self._trouble("use", error) from error
        if credentials is None:
            raise StoreError(f"store {self.url}: {_NO_CREDENTIALS}")
        frozen = credentials.get_frozen_credentials()
        if not frozen.access_key or not frozen.secret_key:
            raise StoreError(f"store {self.url}: {_NO_CREDENTIALS}")
        region = client.meta.region_name or "us-east-1"
        return S3Settings(client.meta.endpoint_url, region, frozen.access_key, frozen.secret_key, frozen.token)

    def _client(self) -> "S3Client":
        with self._opening:
            if self._opened is None:
                self._opened = self._open_client()
            return self._opened

    def _open_client(self) -> "S3Client":
        import boto3
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError

        config = Config(
            connect_timeout=5,
            read_timeout=20,
            retries={"mode": "standard", "max_attempts": 4},
            s3={"addressing_style": "path"},  # the one style that every S3 server answers to
            # Checksums in trailers, boto3's default, are beyond several S3 servers.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            max_pool_connections=32,
        )
        try:
            return boto3.Session().client("s3", config=config)
        except (BotoCoreError, ValueError) as error:
            raise self._trouble("use", error) from error

    def _trouble(self, doing: str, error: Exception) -> StoreError:
        from botocore.exceptions import (
            ConnectionError as UnreachableError,
            CredentialRetrievalError,
            HTTPClientError,
            NoCredentialsError,
            ParamValidationError,
            PartialCredentialsError,
        )

        match _code(error), error:
            case "NoSuchBucket", _:
                advice = f"there is no bucket {self._bucket!r}; create it, or correct the store's URL"
            case "AccessDenied" | "AllAccessDisabled", _:
                advice = (
                    f"these credentials may not {doing} here; check AWS_ACCESS_KEY_ID and the rights on the bucket"
                    " (list, read, write, delete)"
                )
            case "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "ExpiredToken" | "InvalidToken", _:
                advice = (
                    f"the server refuses the credentials ({_code(error)}); check AWS_ACCESS_KEY_ID,"
                    " AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN"
                )
            case _, NoCredentialsError() | PartialCredentialsError() | CredentialRetrievalError():
                advice = _NO_CREDENTIALS
            case _, UnreachableError() | HTTPClientError():
                advice = f"cannot reach the server ({error}); check AWS_ENDPOINT_URL and that the server runs"
            case _, ParamValidationError():
                advice = f"{self._bucket!r} cannot be a bucket's name; correct the store's URL"
            case _:
                advice = f"cannot {doing} it: {error}"
        return StoreError(f"store {self.url}: {' '.join(advice.split())}")


class _Condition(TypedDict, total=False):
    """When a write is to be done."""

    IfNoneMatch: str
    IfMatch: str


_NO_CREDENTIALS = (
    "no credentials found; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, as for any AWS tool"
)


def _code(error: Exception) -> str:
    """The server's name for an error; empty when it is not the server's."""
    response = getattr(error, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))


def _was_retried(error: Exception) -> bool:
    """Whether an earlier try of the same request, whose answer was lost, may have done its work."""
    response = getattr(error, "response", None) or {}
    return bool(response.get("ResponseMetadata", {}).get("RetryAttempts", 0))
