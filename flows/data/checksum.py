"""Checksums that pin the content of a file."""

import hashlib
from dataclasses import dataclass
from typing import Literal

Algorithm = Literal["sha256", "git_blob"]
"""``git_blob`` is the object id of git: the SHA-1 of ``blob``, a space, the size, a NUL and the content."""


@dataclass(frozen=True, slots=True)
class Checksum:
    """The expected checksum of a file."""

    algorithm: Algorithm
    hex: str

    def __str__(self) -> str:
        return f"{'SHA-256' if self.algorithm == 'sha256' else 'git blob id'} {self.hex}"

    def matches(self, content: bytes) -> bool:
        """Returns whether *content* has this checksum."""
        return compute(content, self.algorithm).hex == self.hex


def compute(content: bytes, algorithm: Algorithm) -> Checksum:
    """Returns the checksum of *content*."""
    if algorithm == "sha256":
        return Checksum(algorithm, hashlib.sha256(content).hexdigest())
    # git's own identifier, not a protection of ours: the commit that holds the file is identified by SHA-1 as well
    header = b"blob %d\0" % len(content)
    return Checksum(algorithm, hashlib.sha1(header + content, usedforsecurity=False).hexdigest())
