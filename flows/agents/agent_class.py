"""Imports the class of a Python agent, and checks that it can be created with the options of the configuration.

Everything that an agent's code can get wrong before its first turn is found here, before a model is paid.
"""

import contextlib
import importlib
import inspect
import sys
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from traceback import extract_tb
from types import ModuleType

from muses_eval.pipeline.agents.agent_spec import FACTS_LEVELS, FactsLevel
from muses_eval.pipeline.errors import ConfigError
from muses_eval.workers.agents.code_folder import CodeFolder

_GIVEN = 2
"""Number of arguments that every agent receives: context and llm."""
_NAMED = 8


@dataclass(frozen=True, slots=True)
class Declaration:
    """Declarations of an agent's class."""

    facts: FactsLevel | None = None
    """None when it declares none."""
    version: str = ""


@dataclass(frozen=True, slots=True)
class CodeFiles:
    """The code of an agent that is not installed."""

    root: Path
    """Folder from which it was read."""
    files: Mapping[str, bytes]
    """Path relative to the root -> content."""


def import_class(where: str, module: str, name: str, code: CodeFiles | None = None) -> type:
    """Returns the class *name* of a module.

    The module of *code* is imported as a worker does it: alone with these files, in a folder of its own.

    Raises:
        ConfigError: the module cannot be imported, or it has no such class; *where* begins the message.
    """
    with contextlib.redirect_stdout(sys.stderr), tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as temporary:
        copy = Path(temporary).resolve()
        try:
            imported = importlib.import_module(module) if code is None else _import(code, copy, module)
        except (KeyboardInterrupt, MemoryError):
            raise
        except BaseException as error:
            place = "" if code is None else _place(error, code, copy)
            raise ConfigError(f"{where}: {place}{_text(error)}{_advice(error)}") from error
    found = getattr(imported, name, None)
    if isinstance(found, type):
        return found
    if found is not None:
        raise ConfigError(f"{where}: {name} is {_a(type(found).__name__)}; expected a class with a method turn(turn)")
    classes = [each for each, value in vars(imported).items() if isinstance(value, type) and hasattr(value, "turn")]
    there = f"; it has {', '.join(classes[:_NAMED])}" if classes else "; it has no class with a method turn(turn)"
    raise ConfigError(f"{where}: the module has no class {name}{there}")


def check_class(where: str, agent: type, options: Mapping[str, object]) -> Declaration:
    """Returns what a class declares, after checking its methods and its options.

    Raises:
        ConfigError: the class is no agent, or does not take the options; *where* begins the message.
    """
    if not callable(getattr(agent, "turn", None)):
        raise ConfigError(f"{where}: the class {agent.__name__} has no method turn(turn), which returns a reply")
    _check_options(where, agent, options)
    facts, version = getattr(agent, "facts", None), getattr(agent, "version", "")
    if facts is not None and facts not in FACTS_LEVELS:
        raise ConfigError(
            f"{where}: the class declares facts = {facts!r}; expected one of {', '.join(map(repr, FACTS_LEVELS))}"
        )
    if not isinstance(version, str | int | float):
        raise ConfigError(f"{where}: the class declares version = {version!r}; expected a string such as '1.2'")
    return Declaration(facts, str(version))


def _check_options(where: str, agent: type, options: Mapping[str, object]) -> None:
    try:
        signature = inspect.signature(agent)
    except (TypeError, ValueError):  # a class in C, which has none
        return
    parameters = list(signature.parameters.values())
    ordered = [each for each in parameters if each.kind in (each.POSITIONAL_ONLY, each.POSITIONAL_OR_KEYWORD)]
    takes_any = any(each.kind == each.VAR_POSITIONAL for each in parameters)
    if len(ordered) < _GIVEN and not takes_any:
        raise ConfigError(f"{where}: {agent.__name__}{signature} does not take (context, llm), which every agent gets")
    named = [each for each in parameters if each.kind in (each.POSITIONAL_OR_KEYWORD, each.KEYWORD_ONLY)]
    known = [each for each in named if each not in ordered[:_GIVEN]]
    names = ", ".join(each.name for each in known) or "none"
    unknown = sorted(options.keys() - {each.name for each in known})
    if unknown and not any(each.kind == each.VAR_KEYWORD for each in parameters):
        raise ConfigError(f"{where}: options: {agent.__name__} has no option {', '.join(unknown)}; it has {names}")
    missing = [each.name for each in known if each.default is each.empty and each.name not in options]
    if missing:
        raise ConfigError(f"{where}: options: {agent.__name__} needs {', '.join(missing)}; its options are {names}")


def _import(code: CodeFiles, copy: Path, module: str) -> ModuleType:
    for path, data in code.files.items():
        target = copy / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(data)
    folder = CodeFolder(copy)
    try:
        return folder.load(module)
    finally:
        folder.close()


def _place(error: BaseException, code: CodeFiles, copy: Path) -> str:
    """Returns the line of the agent's own code at which an import failed."""
    own = [each for each in extract_tb(error.__traceback__) if Path(each.filename).is_relative_to(copy)]
    return f"{code.root / Path(own[-1].filename).relative_to(copy)}, line {own[-1].lineno}: " if own else ""


def _text(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _advice(error: BaseException) -> str:
    if not isinstance(error, ModuleNotFoundError):
        return "; its import must succeed without a model, since it is imported on every worker"
    return "; install it in this environment and, for Ray on other machines, name it in execution.runtime_env"


def _a(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"
