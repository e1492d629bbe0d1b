"""Run first by every Python process that a test starts: it does not find what only developers have installed.

Users have it neither, and NLTK and Arrow, which import it where they find it, would take up to 1.3 s of CPU longer.
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
