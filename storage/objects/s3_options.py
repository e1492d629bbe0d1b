"""Options of an S3 store that boto3 does not read itself, from environment variables.

MUSES_S3_SSE           encryption at rest of every written object: AES256, aws:kms or aws:kms:dsse
MUSES_S3_KMS_KEY_ID    id or ARN of the KMS key; needs one of the two kinds of aws:kms
MUSES_S3_BUCKET_OWNER  account number of the bucket's owner; requests to a bucket of another account are refused
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from muses_eval.pipeline.errors import ConfigError

if TYPE_CHECKING:
    from mypy_boto3_s3.literals import ServerSideEncryptionType

_KINDS: tuple["ServerSideEncryptionType", ...] = ("AES256", "aws:kms", "aws:kms:dsse")
_ACCOUNT_DIGITS = 12
_CA_VARIABLES = ("REQUESTS_CA_BUNDLE", "SSL_CERT_FILE")
"""Variables that name certificate authorities where boto3's own setting (AWS_CA_BUNDLE, ca_bundle) does not."""


@dataclass(frozen=True, slots=True)
class S3Options:
    """Options of the requests to a bucket; None sends no header."""

    encryption: "ServerSideEncryptionType | None" = None
    kms_key_id: str | None = None
    bucket_owner: str | None = None

    @classmethod
    def read(cls, environ: Mapping[str, str]) -> "S3Options":
        """Reads the options.

        Raises:
            ConfigError: an option has no valid value.
        """
        kind, key_id, owner = (
            environ.get(name, "").strip() or None
            for name in ("MUSES_S3_SSE", "MUSES_S3_KMS_KEY_ID", "MUSES_S3_BUCKET_OWNER")
        )
        encryption = next((known for known in _KINDS if known == kind), None)
        if encryption != kind:
            raise ConfigError(f"MUSES_S3_SSE={kind!r} in the environment: expected {', '.join(_KINDS)}")
        if key_id is not None and not (encryption or "").startswith("aws:kms"):
            raise ConfigError("MUSES_S3_KMS_KEY_ID needs MUSES_S3_SSE=aws:kms (or aws:kms:dsse) in the environment")
        if owner is not None and not (owner.isascii() and owner.isdigit() and len(owner) == _ACCOUNT_DIGITS):
            raise ConfigError(
                f"MUSES_S3_BUCKET_OWNER={owner!r} in the environment: expected an account of {_ACCOUNT_DIGITS} digits"
            )
        return cls(encryption, key_id, owner)


def ca_bundle(own: str | None, environ: Mapping[str, str]) -> Path | None:
    """Returns the file of the certificate authorities that a server is checked against; None for the usual ones.

    Args:
        own: value of boto3's own setting; None when it has none.
        environ: environment variables.

    Raises:
        ConfigError: there is no such file.
    """
    found = next(filter(None, (own, *map(environ.get, _CA_VARIABLES))), None)
    if found is None:
        return None
    path = Path(found).expanduser().absolute()
    if not path.is_file():
        variables = " or ".join(("AWS_CA_BUNDLE", *_CA_VARIABLES))
        raise ConfigError(
            f"{path} is no file; expected one of certificate authorities in PEM form: correct {variables}"
        )
    return path
