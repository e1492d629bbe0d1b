"""Imports the class of a Python agent, and checks that it can be created with the options of the configuration.

Everything that an agent's code can get wrong before its first turn is found here, before a model is paid.
"""

import contextlib
import importlib
import inspect
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from traceback import extract_tb

from muses_eval.pipeline.agents.agent_spec import FACTS_LEVELS, FactsLevel
from muses_eval.pipeline.errors import ConfigError

_GIVEN = 2
"""Number of arguments that every agent receives: context and llm."""
_NAMED = 8


@dataclass(frozen=True, slots=True)
class Declaration:
    """What a class declares about itself."""

    facts: FactsLevel | None = None
    """None when it declares none."""
    version: str = ""


def import_class(where: str, module: str, name: str, root: Path | None = None) -> type:
    """Returns the class *name* of a module; *root* is the folder of a module that is not installed.

    Such a module, and those of the same folder that it imports, are forgotten afterwards, since the agents of another
    folder may have modules of the same names.

    Raises:
        ConfigError: the module cannot be imported, or it has no such class; *where* begins the message.
    """
    with _importing_from(root), contextlib.redirect_stdout(sys.stderr):
        try:
            imported = importlib.import_module(module)
        except (KeyboardInterrupt, MemoryError):
            raise
        except BaseException as error:
            raise ConfigError(f"{where}: {_place(error, root)}{_text(error)}{_advice(error)}") from error
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


@contextlib.contextmanager
def _importing_from(root: Path | None) -> Iterator[None]:
    """Lets modules of a folder be imported, before installed ones, until the end of the block."""
    if root is None:
        yield
        return
    place, before = str(root), dict(sys.modules)
    hidden = [name for name in before if _has_module(root, name.partition(".")[0])]
    for name in hidden:
        del sys.modules[name]
    writes = sys.dont_write_bytecode
    sys.path.insert(0, place)
    sys.dont_write_bytecode = True
    importlib.invalidate_caches()
    try:
        yield
    finally:
        sys.dont_write_bytecode = writes
        sys.path.remove(place)
        for name in [name for name in sys.modules if name not in before and _is_from(sys.modules[name], root)]:
            del sys.modules[name]
        sys.modules.update({name: before[name] for name in hidden})


def _has_module(root: Path, name: str) -> bool:
    return (root / f"{name}.py").is_file() or (root / name / "__init__.py").is_file()


def _is_from(module: object, root: Path) -> bool:
    places: Sequence[object] = [getattr(module, "__file__", None), *(getattr(module, "__path__", None) or ())]
    return any(isinstance(place, str) and Path(place).is_relative_to(root) for place in places)


def _place(error: BaseException, root: Path | None) -> str:
    """Returns the line of the agent's own code at which an import failed."""
    frames = extract_tb(error.__traceback__)
    own = [each for each in frames if root is not None and Path(each.filename).is_relative_to(root)]
    if not own:
        return ""
    return f"{own[-1].filename}, line {own[-1].lineno}: "


def _text(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}" if str(error) else type(error).__name__


def _advice(error: BaseException) -> str:
    if not isinstance(error, ModuleNotFoundError):
        return "; its import must succeed without a model, since it is imported on every worker"
    return "; install it in this environment and, for Ray on other machines, name it in execution.runtime_env"


def _a(noun: str) -> str:
    return f"an {noun}" if noun[0] in "aeiou" else f"a {noun}"
