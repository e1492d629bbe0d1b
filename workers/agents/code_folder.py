"""Imports the code of an agent from its folder, under names of its own.

The files of two agents may have the same names, and one of them may have the name of an installed package.  So a
folder is imported as a package with a unique private name, in whose modules ``import helpers`` finds the file
``helpers.py`` of the folder first, as it does in a script.  Nothing else in the process sees these modules.

Limit: ``importlib.import_module("helpers")``, and other imports by a name that is data, do not find files of the
folder; ``importlib.import_module(".helpers", __package__)`` does.
"""

import builtins
import importlib
import itertools
import sys
from collections.abc import Mapping, Sequence
from functools import partial
from importlib.machinery import (
    EXTENSION_SUFFIXES,
    SOURCE_SUFFIXES,
    ExtensionFileLoader,
    FileFinder,
    ModuleSpec,
    SourceFileLoader,
)
from pathlib import Path
from types import ModuleType
from typing import Any

_NUMBERS = itertools.count(1)


class CodeFolder:
    """The modules of one folder, until it is closed."""

    def __init__(self, folder: Path) -> None:
        self.path = folder
        self._package = f"_muses_agent_{next(_NUMBERS)}"
        self._names = frozenset(path.name.partition(".")[0] for path in folder.iterdir() if _has_code(path))
        self._builtins = {**vars(builtins), "__import__": self._import}
        package = ModuleType(self._package)
        package.__path__ = [str(folder)]
        package.__spec__ = ModuleSpec(self._package, None, is_package=True)
        sys.modules[self._package] = package
        sys.meta_path.insert(0, self)

    def load(self, name: str) -> ModuleType:
        """Returns the module with this name, relative to the folder.  Raises whatever its code raises."""
        return importlib.import_module(f"{self._package}.{name}")

    def close(self) -> None:
        """Forgets the modules; what was imported from them stays usable."""
        sys.meta_path.remove(self)
        for name in [name for name in sys.modules if f"{name}.".startswith(f"{self._package}.")]:
            del sys.modules[name]

    def find_spec(
        self,
        name: str,
        path: Sequence[str] | None,
        target: ModuleType | None = None,  # noqa: ARG002 - of the protocol
    ) -> ModuleSpec | None:
        """Finds a module of the folder; called by Python's import system."""
        if not name.startswith(f"{self._package}."):
            return None
        details: Any = (  # a loader is made by any callable
            (ExtensionFileLoader, EXTENSION_SUFFIXES),
            (partial(_FolderLoader, names=self._builtins), SOURCE_SUFFIXES),
        )
        found = (FileFinder(entry, *details).find_spec(name) for entry in path or ())
        return next((spec for spec in found if spec is not None), None)

    def _import(
        self,
        name: str,
        globals: Mapping[str, object] | None = None,  # noqa: A002 - the signature of __import__
        locals: Mapping[str, object] | None = None,  # noqa: A002
        fromlist: Sequence[str] = (),
        level: int = 0,
    ) -> ModuleType:
        """Replaces ``__import__`` in the modules of the folder."""
        head = name.partition(".")[0]
        if level or head not in self._names:
            return builtins.__import__(name, globals, locals, fromlist, level)
        module = builtins.__import__(f"{self._package}.{name}", globals, locals, fromlist, 0)
        return module if fromlist else sys.modules[f"{self._package}.{head}"]


class _FolderLoader(SourceFileLoader):
    """Runs a file with the folder's own ``__import__``."""

    def __init__(self, name: str, path: str, names: Mapping[str, Any]) -> None:
        super().__init__(name, path)
        self._names = names

    def exec_module(self, module: ModuleType) -> None:
        module.__dict__["__builtins__"] = self._names
        super().exec_module(module)


def _has_code(path: Path) -> bool:
    if path.is_dir():
        return next(path.rglob("*.py"), None) is not None
    return path.name.endswith((*SOURCE_SUFFIXES, *EXTENSION_SUFFIXES))
