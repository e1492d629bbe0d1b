"""Finds the source closure of a module: the files that its code consists of.

These are the module, the modules that it imports from the same folder, directly or not, and the data files that their
code names.  Only these files form the digest of an agent and are sent to workers.  So a change of another file in the
folder changes nothing, and a file that the code does not name is missing at once instead of being outdated later.
"""

import ast
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from pathlib import Path, PurePosixPath

from muses_eval.pipeline.errors import ConfigError

MOST_BYTES = 4 * 2**20
"""Maximum size of the code of one agent."""
_SHOWN_FILES = 3
_PATH_CALLS = frozenset(
    ("Path", "files", "glob", "iterdir", "join", "joinpath", "listdir", "open", "read_bytes", "read_text", "rglob")
)
"""Functions and methods whose string arguments are paths: these may also name folders and patterns."""
_LEFT_OUT = frozenset(("__pycache__", "env", "node_modules", "site-packages", "venv"))


@dataclass(frozen=True, slots=True)
class Source:
    """Location of the modules of an agent."""

    root: Path
    """Folder from which its modules are imported."""
    module: str
    """Name of the module with the agent's class, below :attr:`root`."""
    boundary: str = ""
    """Package to which the closure is confined; empty for the whole root."""

    @property
    def file(self) -> Path:
        """File of the module."""
        found = _module_file(self.root, self.module)
        if found is None:
            raise FileNotFoundError(f"{self.root / self.module.replace('.', '/')}.py")
        return found


def source_of_file(file: Path) -> Source:
    """Returns where the modules of an agent in *file* are.

    A file belongs to the package of its folder when it imports from the folder above, or from its own folder by the
    folder's name or, next to an ``__init__.py``, relatively.  Any other file is a module of its own, whose neighbours
    are imported by their names or relatively.
    """
    folder = top = file.parent
    while (top.parent / "__init__.py").is_file():
        top = top.parent
    root, imports = top.parent, list(_imports(_parsed(file)))
    own_levels = 0 if (folder / "__init__.py").is_file() else 1
    by_name = any(_is_below(name, top.name) and _module_file(root, name) for _, name in imports)
    if not by_name and all(level <= own_levels for level, _ in imports):
        return Source(folder, file.stem)
    package = ".".join(folder.relative_to(root).parts)
    return Source(root, f"{package}.{file.stem}", boundary=top.name)


def source_closure(source: Source) -> dict[str, bytes]:
    """Returns path relative to the root, with slashes -> content.

    Raises:
        ConfigError: a file cannot be read or parsed, or the files are too large together.
    """
    waiting, files = [source.module], _Files(source)
    seen: set[str] = set()
    while waiting:
        module = waiting.pop()
        file = None if module in seen else _module_file(source.root, module)
        seen.add(module)
        if file is None:
            continue
        files.add(file)
        tree = _parsed(file)
        package = module if file.name == "__init__.py" else module.rpartition(".")[0]
        imported = [_resolved(package, level, name) for level, name in _imports(tree)]
        wanted = {above for name in (module, *imported) if name for above in (name, *_packages_above(name))}
        waiting += sorted(name for name in wanted if not source.boundary or _is_below(name, source.boundary))
        for data_file in _named_files(tree, file.parent, source):
            if data_file.suffix == ".py":
                waiting.append(_module_name(source.root, data_file))
            else:
                files.add(data_file)
    return files.content


class _Files:
    """The files of a closure so far."""

    def __init__(self, source: Source) -> None:
        self._source, self._sizes = source, dict[str, int]()
        self.content: dict[str, bytes] = {}

    def add(self, file: Path) -> None:
        path = file.relative_to(self._source.root).as_posix()
        if path in self._sizes:
            return
        self._sizes[path] = file.stat().st_size
        total = sum(self._sizes.values())
        if total > MOST_BYTES:
            largest = sorted(self._sizes, key=lambda each: -self._sizes[each])[:_SHOWN_FILES]
            shown = ", ".join(f"{each} ({self._sizes[each]:,} bytes)" for each in largest)
            raise ConfigError(
                f"{self._source.file}: the agent and the files that its code names have more than {MOST_BYTES:,} bytes,"
                f" the most that is sent to workers; the largest are {shown}. Move the agent into a folder of its own,"
                " or send large files with execution.runtime_env"
            )
        self.content[path] = _read(file)


def _imports(tree: ast.Module) -> Iterator[tuple[int, str]]:
    """Yields (level of a relative import or 0, dotted name) of every import; a name may be that of a value."""
    for node in ast.walk(tree):
        match node:
            case ast.Import():
                yield from ((0, alias.name) for alias in node.names)
            case ast.ImportFrom():
                base = node.module or ""
                if base:
                    yield node.level, base
                yield from ((node.level, f"{base}.{alias.name}".lstrip(".")) for alias in node.names)
            case ast.Call(func=func, args=[ast.Constant(value=str(name)), *_]) if _called(func) == "import_module":
                yield len(name) - len(name.lstrip(".")), name.lstrip(".")


def _resolved(package: str, level: int, name: str) -> str | None:
    if not level:
        return name
    parts = package.split(".") if package else []
    if level - 1 > len(parts):
        return None
    return ".".join([*parts[: len(parts) - (level - 1)], name])


def _packages_above(module: str) -> list[str]:
    parts = module.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts))]


def _is_below(module: str, package: str) -> bool:
    return module == package or module.startswith(f"{package}.")


def _module_file(root: Path, module: str) -> Path | None:
    if not all(part.strip() for part in module.split(".")):
        return None
    path = root.joinpath(*module.split("."))
    candidates = (path.with_name(f"{path.name}.py"), path / "__init__.py")
    return next((file for file in candidates if file.is_file()), None)


def _module_name(root: Path, file: Path) -> str:
    path = file.relative_to(root).with_suffix("")
    return ".".join(path.parts[:-1] if path.name == "__init__" else path.parts)


def _named_files(tree: ast.Module, folder: Path, source: Source) -> Iterator[Path]:
    """Yields the files below the root that a module names, relative to its own folder or to the root."""
    top = source.root.joinpath(*source.boundary.split(".")) if source.boundary else source.root
    bases = dict.fromkeys(base for base in (folder, top) if base.is_relative_to(top) and base.is_dir())
    paths = set(_path_texts(tree))
    texts = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    for base in bases:
        for text in sorted(texts):
            place = _below(base, text)
            if place is not None and place.is_file():
                yield place
            elif place is not None and text in paths and place.is_dir():
                yield from _files_of(place)
        for pattern in sorted(text for text in paths if "*" in text and text.strip("*/.")):
            yield from (file for file in _files_of(base) if fnmatchcase(file.relative_to(base).as_posix(), pattern))


def _path_texts(tree: ast.Module) -> Iterator[str]:
    """Yields the strings that are operands of ``/`` or arguments of functions that take paths."""
    for node in ast.walk(tree):
        operands: list[ast.expr] = []
        match node:
            case ast.BinOp(op=ast.Div(), left=left, right=right):
                operands = [left, right]
            case ast.Call(func=func, args=arguments) if _called(func) in _PATH_CALLS:
                operands = arguments
        yield from (each.value for each in operands if isinstance(each, ast.Constant) and isinstance(each.value, str))


def _called(func: ast.expr) -> str:
    match func:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name
    return ""


def _below(base: Path, text: str) -> Path | None:
    """Returns the path of a text below *base*; None when the text is no such path, or leads to what is left out."""
    path = PurePosixPath(text)
    is_path = text and len(text) < 256 and text.isprintable() and not path.is_absolute() and ".." not in path.parts
    if not is_path or not path.parts or any(map(_is_left_out, path.parts)):
        return None
    return base.joinpath(*path.parts)


def _files_of(folder: Path) -> Iterator[Path]:
    """Yields the files below a folder, without hidden ones, environments and caches."""
    try:
        entries = sorted(folder.iterdir())
    except OSError as error:
        raise ConfigError(f"{folder}: cannot be read ({error.strerror})") from error
    if any(entry.name == "pyvenv.cfg" for entry in entries):
        return
    for entry in entries:
        if _is_left_out(entry.name):
            continue
        if entry.is_dir():
            yield from _files_of(entry)
        elif entry.is_file():
            yield entry


def _is_left_out(name: str) -> bool:
    return name.startswith(".") or name in _LEFT_OUT


def _read(file: Path) -> bytes:
    try:
        return file.read_bytes()
    except OSError as error:
        raise ConfigError(f"{file}: cannot be read ({error.strerror})") from error


def _parsed(file: Path) -> ast.Module:
    try:
        return ast.parse(_read(file), str(file))
    except SyntaxError as error:
        raise ConfigError(f"{file}, line {error.lineno}: {error.msg}; correct the code of the agent") from error
    except ValueError as error:  # null bytes
        raise ConfigError(f"{file}: {error}; expected Python source") from error
