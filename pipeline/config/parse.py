"""Parses a configuration.  Errors name every problem: where, what came and what was expected.

Unknown keys are errors that suggest the nearest known key, so a typo never silently selects a default.
"""

import difflib
from collections.abc import Mapping, Sequence
from dataclasses import fields, is_dataclass
from typing import Any, get_args, get_origin

from muses_eval.pipeline.config.plain_values import check_values
from muses_eval.pipeline.config.run import RunConfig
from muses_eval.pipeline.errors import ConfigError
from muses_eval.pipeline.text.credential_masking import mask_json
from pydantic import BaseModel, ValidationError

_SHOWN_CHARS = 100
_SHOWN_CHARS_OF_ERROR = 1000
_SHOWN_PROBLEMS = 20


def parse_config(raw: object, source: str) -> RunConfig:
    """Parses a configuration.

    Args:
        raw: content of the YAML file.
        source: name of the configuration in messages.

    Raises:
        ConfigError: the configuration is invalid; the text has one line per problem.
    """
    if not isinstance(raw, Mapping):
        raise ConfigError(f"{source}: {wrong_kind(raw)}")
    check_values(raw, source)
    try:
        return RunConfig.model_validate(raw)
    except ValidationError as error:
        problems = [_explain(problem) for problem in error.errors(include_url=False)[:_SHOWN_PROBLEMS]]
        if error.error_count() > _SHOWN_PROBLEMS:
            problems.append(f"and {error.error_count() - _SHOWN_PROBLEMS:,} more problems")
        raise ConfigError("\n".join(f"{source}: {problem}" for problem in problems)) from error


def wrong_kind(raw: object) -> str:
    """Returns what is wrong with a configuration that is not keys and values."""
    got = "None (it is empty)" if raw is None else _shown(raw)
    return f"expected keys and values such as `models: [scripted/oracle]`, got {got}"


def _explain(problem: Any) -> str:  # noqa: ANN401 - pydantic's ErrorDetails, a TypedDict of its core
    where = "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in problem["loc"])
    where = where.removeprefix(".") or "config"
    match problem["type"]:
        case "extra_forbidden" | "unexpected_keyword_argument":
            known = sorted(keys_of(_section_at(problem["loc"][:-1])))
            near = difflib.get_close_matches(str(problem["loc"][-1]), known, n=1, cutoff=0.5)
            misspelt = difflib.get_close_matches(str(problem["loc"][-1]), near, n=1, cutoff=0.8)
            if not misspelt and (place := _right_place(problem["loc"])):
                return f"{where}: unknown key here; write it {place}"
            hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(known)}"
            return f"{where}: unknown key; {hint}"
        case "missing":
            return f"{where}: missing"
        case "value_error":
            return f"{where}: {_short(str(problem['ctx']['error']), _SHOWN_CHARS_OF_ERROR)}"
        case kind if kind in _NO_BOOLEAN and isinstance(problem["input"], bool):
            got = str(problem["input"]).lower()
            hint = "YAML reads yes, no, on and off as booleans: put text in quotes"
            return f"{where}: {_NO_BOOLEAN[kind]}, got {got}; {hint}"
        case kind:
            return f"{where}: {_EXPECTED.get(kind, problem['msg'])}, got {_shown(problem['input'], where)}"


def _shown(value: object, name: str = "") -> str:
    """Returns a value for a message, without credentials; *name* tells whether it is one."""
    return _short(repr(mask_json({name: value})[name]), _SHOWN_CHARS)


def _short(text: str, most: int) -> str:
    return text if len(text) <= most else f"{text[:most]}..."


def _section_at(location: Sequence[str | int]) -> type:
    """Returns the class of the section at a location of the configuration."""
    section: type = RunConfig
    for part in location:
        if isinstance(part, str):
            section = keys_of(section)[part] or section
    return section


def _right_place(location: tuple[str | int, ...]) -> str | None:
    """Returns where an unknown key is known: in a section beside it, beside its own section, or two levels below."""
    *parents, key = location
    around = _section_at(parents)
    beside = {name: keys_of(section) for name, section in keys_of(around).items() if section is not None}
    for name, known in beside.items():
        if key in known and _is_list(around, name):
            return f"in an entry of {name}, as {name}: [{{{key}: ...}}]"
        if key in known:
            return f"under {name}, as {name}: {{{key}: ...}}"
    sections = [part for part in parents if isinstance(part, str)]
    if sections and key in keys_of(_section_at(sections[:-1])):
        return f"beside {sections[-1]}, one level up"
    for name, known in beside.items():
        for inner, section in known.items():
            if section is not None and key in keys_of(section):
                place = f"in an entry of {name}" if _is_list(around, name) else f"under {name}"
                return f"{place}, as {inner}: {{{key}: ...}}"
    return None


def _is_list(section: type, key: str) -> bool:
    """Returns True when the value of a key is a list of sections."""
    return get_origin(_annotations(section)[key]) is tuple


def keys_of(section: type) -> dict[str, type | None]:
    """Returns key -> class of the section, alone or in a list; None for a plain value."""
    return {name: _section_in(annotation) for name, annotation in _annotations(section).items()}


def _annotations(section: type) -> dict[str, object]:
    """Returns key -> type of its value."""
    if issubclass(section, BaseModel):
        return {name: field.annotation for name, field in section.model_fields.items()}
    return {field.name: field.type for field in fields(section)} if is_dataclass(section) else {}


def _section_in(annotation: object) -> type | None:
    if isinstance(annotation, type) and (issubclass(annotation, BaseModel) or is_dataclass(annotation)):
        return annotation
    return next(filter(None, map(_section_in, get_args(annotation))), None)


_NO_BOOLEAN = {
    "string_type": "expected a string",
    "literal_error": "expected a string",
    "tuple_type": "expected a list",
    "model_type": "expected keys and values",
    "dataclass_type": "expected keys and values",
}
"""Expected kinds of value where YAML may have read unquoted text as a boolean."""
_EXPECTED = {
    "tuple_type": "expected a list",
    "model_type": "expected keys and values",
    "dataclass_type": "expected keys and values",
    "int_type": "expected a whole number",
    "int_parsing": "expected a whole number",
    "int_from_float": "expected a whole number",
    "finite_number": "expected a finite number",
    "float_type": "expected a number",
    "float_parsing": "expected a number",
    "string_pattern_mismatch": "expected letters, digits, dots, dashes and underscores, at most 150, with a letter or "
    "digit at the beginning and no dot or dash at the end",
    "string_type": "expected a string (in quotes if YAML reads another type)",
}
