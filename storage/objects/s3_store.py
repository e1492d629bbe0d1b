"""An object store in an S3 bucket.

This is the only module that imports boto3.  boto3 takes endpoint, region and credentials from the environment; proxy,
certificate authorities and further options are read there too (:mod:`muses_eval.storage.objects.s3_options`).
"""

import mimetypes
import os
import secrets
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypedDict

from muses_eval.pipeline.errors import StoreError
from muses_eval.pipeline.loopback import names_proxy
from muses_eval.pipeline.proxy import Proxy, proxy_for

if TYPE_CHECKING:
    from botocore.credentials import Credentials
    from mypy_boto3_s3 import S3Client
from muses_eval.storage.objects.object_store import CHECK_PREFIX, MissingObjectError, ObjectInfo, VersionedObject
from muses_eval.storage.objects.s3_options import S3Options, ca_bundle

_CONFLICT_TRIES = 6


@dataclass(frozen=True, slots=True)
class S3Settings:
    """Settings with which another S3 client reads the same bucket.  The repr contains no secret."""

    endpoint: str
    """URL with its scheme, such as ``https://s3.eu-west-1.amazonaws.com``."""
    region: str
    key_id: str
    secret: str = field(repr=False)
    token: str | None = field(repr=False)
    """Session token of temporary credentials; None for permanent ones."""
    proxy: Proxy | None = None
    """None when the endpoint is reached directly."""
    ca_bundle: Path | None = None
    """PEM file of the certificate authorities of the endpoint; None for those of the client."""


class S3Store:
    """Objects below a prefix of one bucket."""

    def __init__(self, bucket: str, prefix: str, sleep: Callable[[float], None] = time.sleep) -> None:
        self._bucket, self._prefix, self._sleep = bucket, f"{prefix}/" if prefix else "", sleep
        self._opened: S3Client | None = None
        self._credentials: Credentials | None = None
        """Those of the client; None before it is opened, and when boto3 finds none."""
        self._proxy: Proxy | None = None
        self._ca_bundle: Path | None = None
        self._opening = threading.Lock()

    @property
    def bucket(self) -> str:
        return self._bucket

    @property
    def url(self) -> str:
        return f"s3://{self._bucket}/{self._prefix}".rstrip("/")

    @property
    def endpoint(self) -> str:
        """URL of the server."""
        return self._client().meta.endpoint_url

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
            raise self._store_error("read", error) from error

    def put_if_absent(self, key: str, data: bytes) -> bool:
        return self._put(key, data, {"IfNoneMatch": "*"})

    def replace(self, key: str, data: bytes, tag: str) -> bool:
        return self._put(key, data, {"IfMatch": tag})

    def _put(self, key: str, data: bytes, condition: "_Condition") -> bool:
        """Writes an object under a condition.  Returns False when the condition does not hold."""
        from botocore.exceptions import BotoCoreError, ClientError

        kind = mimetypes.guess_type(key)[0] or "application/octet-stream"  # browsers need the content type of the pages
        for attempt in range(_CONFLICT_TRIES):
            try:
                self._client().put_object(
                    Bucket=self._bucket, Key=self._prefix + key, Body=data, ContentType=kind, **condition
                )
            except (BotoCoreError, ClientError) as error:
                if _code(error) in ("PreconditionFailed", "412", "NoSuchKey"):
                    return _was_retried(error) and self._holds(key, data)
                if _code(error) not in ("ConditionalRequestConflict", "OperationAborted", "409"):
                    raise self._store_error("write", error) from error
                # Two concurrent writers: S3 asks both to retry, and then accepts one.
                self._sleep(0.05 * 2**attempt)
            else:
                return True
        raise StoreError(f"store {self.url}: other writers kept changing {key!r}; start the command again")

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
            raise self._store_error("delete", error) from error

    def temporary_objects(self) -> Iterator[ObjectInfo]:
        """Yields the test objects of killed checks; a write to S3 is one request and leaves nothing."""
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
            raise self._store_error("list", error) from error
        yield from sorted(found)  # not every server sorts as AWS does

    def check(self) -> None:
        key = f"{CHECK_PREFIX}{secrets.token_hex(8)}"
        any(self.list(key))
        self.put_if_absent(key, b"first")
        try:
            listed = any(info.key == key for info in self.list(key))
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
                f"store {self.url}: the server does not support {' and '.join(ignored)}, so one worker could"
                " overwrite the objects of another; use a server with conditional writes (AWS, MinIO, SeaweedFS: a"
                " recent version)"
            )
        if not listed:
            raise StoreError(
                f"store {self.url}: the server does not list what was written there, so no result would be found"
                " again; write a plainer prefix, of letters and digits"
            )

    def client_settings(self) -> S3Settings:
        """Returns the endpoint and the credentials that the store's own client uses now.

        Raises:
            StoreError: boto3 finds no credentials, or cannot renew them.
        """
        from botocore.exceptions import BotoCoreError

        client = self._client()
        if self._credentials is None:
            raise StoreError(f"store {self.url}: {_NO_CREDENTIALS}")
        try:
            frozen = self._credentials.get_frozen_credentials()  # renewed when they expire soon
        except BotoCoreError as error:
            raise self._store_error("use", error) from error
        if not frozen.access_key or not frozen.secret_key:
            raise StoreError(f"store {self.url}: {_NO_CREDENTIALS}")
        region = client.meta.region_name or "us-east-1"
        endpoint = client.meta.endpoint_url
        return S3Settings(
            endpoint,
            region,
            frozen.access_key,
            frozen.secret_key,
            frozen.token,
            self._proxy,
            self._ca_bundle if endpoint.startswith("https:") else None,
        )

    def _client(self) -> "S3Client":
        with self._opening:
            if self._opened is None:
                self._opened = self._open_client()
            return self._opened

    def _open_client(self) -> "S3Client":
        import boto3
        import botocore.session
        from botocore.config import Config
        from botocore.exceptions import BotoCoreError

        config = Config(
            connect_timeout=5,
            read_timeout=20,
            retries={"mode": "standard", "max_attempts": 4},
            s3={"addressing_style": "path"},  # the style that every S3 server supports
            # Several S3 servers do not support boto3's default, checksums in trailers.
            request_checksum_calculation="when_required",
            response_checksum_validation="when_required",
            max_pool_connections=32,
        )
        options = S3Options.read(os.environ)
        try:
            core = botocore.session.Session()
            self._ca_bundle = ca_bundle(core.get_config_variable("ca_bundle"), os.environ)
            verify = None if self._ca_bundle is None else str(self._ca_bundle)
            session = boto3.Session(botocore_session=core)
            client = session.client("s3", config=config, verify=verify)
            self._credentials = session.get_credentials()
            self._proxy = proxy_for(client.meta.endpoint_url, os.environ)
            if names_proxy(os.environ):  # boto3 knows neither ALL_PROXY nor networks in NO_PROXY
                url = None if self._proxy is None else self._proxy.url_with_login
                route = {} if url is None else dict.fromkeys(("http", "https"), url)
                client = session.client("s3", config=config.merge(Config(proxies=route)), verify=verify)
        except (BotoCoreError, ValueError) as error:
            raise self._store_error("use", error) from error
        client.meta.events.register("before-parameter-build.s3", partial(_add_options, options))
        return client

    def _store_error(self, doing: str, error: Exception) -> StoreError:
        from botocore.exceptions import (
            ConnectionError as UnreachableError,
            CredentialRetrievalError,
            HTTPClientError,
            NoCredentialsError,
            ParamValidationError,
            PartialCredentialsError,
            SSLError,
        )

        match _code(error), error:
            case "NoSuchBucket", _:
                advice = (
                    f"there is no bucket {self._bucket!r} ({_reason(error)}); create it, or correct the store's URL"
                )
            case "AccessDenied" | "AllAccessDisabled", _:
                advice = (
                    f"these credentials may not {doing} here ({_reason(error)}); check AWS_ACCESS_KEY_ID, the rights on"
                    " the bucket (list, read, write, delete), and whether it wants encryption (MUSES_S3_SSE) or has"
                    " another owner (MUSES_S3_BUCKET_OWNER)"
                )
            case "InvalidAccessKeyId" | "SignatureDoesNotMatch" | "ExpiredToken" | "InvalidToken", _:
                advice = (
                    f"the server refuses the credentials ({_reason(error)}); check AWS_ACCESS_KEY_ID,"
                    " AWS_SECRET_ACCESS_KEY and AWS_SESSION_TOKEN"
                )
            case _, NoCredentialsError() | PartialCredentialsError() | CredentialRetrievalError():
                advice = _NO_CREDENTIALS
            case _, SSLError():
                advice = (
                    f"the server's certificate is not trusted ({error}); set AWS_CA_BUNDLE to a PEM file with its"
                    " certificate authority"
                )
            case "NotImplemented", _:
                advice = (
                    f"the server does not support what is needed to {doing} here ({_reason(error)}); use a server with"
                    " conditional writes (AWS, MinIO, SeaweedFS: a recent version)"
                )
            case code, _ if code:
                advice = f"the server refuses to {doing} ({_reason(error)})"
            case _, UnreachableError() | HTTPClientError():
                advice = f"cannot reach the server ({error}); check AWS_ENDPOINT_URL and that the server runs"
            case _, ParamValidationError():
                advice = f"{self._bucket!r} cannot be a bucket's name; correct the store's URL"
            case _:
                advice = f"cannot {doing} it: {error}"
        return StoreError(f"store {self.url}: {' '.join(advice.split())}")


class _Condition(TypedDict, total=False):
    """The condition of a write."""

    IfNoneMatch: str
    IfMatch: str


_NO_CREDENTIALS = (
    "no credentials found; set AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY, or AWS_PROFILE, as for any AWS tool"
)


def _code(error: Exception) -> str:
    """Returns the error code of the server's response; empty when there was no response."""
    response = getattr(error, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))


def _reason(error: Exception) -> str:
    """Returns the code and the message of the server's response."""
    found: dict[str, str] = getattr(error, "response", {}).get("Error", {})
    code, message = found.get("Code", ""), found.get("Message", "")
    return f"{code}: {message}" if message and message != code else code


def _add_options(options: S3Options, params: dict[str, Any], model: Any, **_: object) -> None:  # noqa: ANN401
    """Adds the options to the parameters of a request of any kind; an event handler of boto3."""
    found = {"ExpectedBucketOwner": options.bucket_owner}
    if model.name == "PutObject":
        found |= {"ServerSideEncryption": options.encryption, "SSEKMSKeyId": options.kms_key_id}
    params.update({name: value for name, value in found.items() if value is not None})


def _was_retried(error: Exception) -> bool:
    """Returns True when an earlier try of the same request, whose response was lost, may have succeeded."""
    response = getattr(error, "response", None) or {}
    return bool(response.get("ResponseMetadata", {}).get("RetryAttempts", 0))
