"""Hides packages that only developers have installed.  Every Python process that a test starts imports this first.

Tests then see the packages that users have.  NLTK and Arrow import the hidden ones when they find them, which takes up
to 1.3 s of CPU.
"""

import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec, PathFinder
from types import ModuleType

_DEVELOPERS_ONLY = frozenset(("pandas", "scipy"))


class _Installed(PathFinder):
    @classmethod
    def find_spec(
        cls, fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        return None if fullname in _DEVELOPERS_ONLY else super().find_spec(fullname, path, target)


sys.meta_path[sys.meta_path.index(PathFinder)] = _Installed
