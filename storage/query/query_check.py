"""The check of an untrusted query's text, before anything of it runs.

DuckDB's own parser says what a text is.  Allowed are one SELECT over the views with harmless table functions, EXPLAIN
of one, and PIVOT.  Some functions that a SELECT can call write files (``enable_logging``) or read memory
(``arrow_scan``) despite all locks, and DuckDB's own catalogs (``pg_settings``, ``duckdb_views``) show settings and
paths.
"""

import json
import re
from collections.abc import Iterator
from typing import Any

import duckdb

_HARMLESS_FUNCTIONS = frozenset({"generate_series", "json_each", "json_tree", "range", "unnest"})
_HARMLESS_CATALOG = frozenset({"tables", "columns"})
"""Views of ``information_schema`` that show only the names and types of the columns."""
_COMMENTS = r"(?:\s|--[^\n]*(?:\n|$)|/\*.*?\*/)*"
_EXPLAIN = re.compile(rf"{_COMMENTS}explain\b\s*(?:\(\s*format\s+\w+\s*\))?", re.IGNORECASE | re.DOTALL)
_ANALYZE = re.compile(rf"{_COMMENTS}explain\b\s*(?:analyze\b|\([^)]*\banalyze\b)", re.IGNORECASE | re.DOTALL)
_WORD = re.compile(r"\w+")


def refusal(connection: duckdb.DuckDBPyConnection, sql: str) -> str | None:
    """Returns the reason to refuse a text, or None when it may run.  Does not execute it."""
    try:
        statements = connection.extract_statements(sql)
    except duckdb.Error as error:
        return str(error)
    kinds = [statement.type.name for statement in statements]
    if kinds == ["EXPLAIN"] and (explain := _EXPLAIN.match(sql)):
        if _ANALYZE.match(sql):
            return "EXPLAIN ANALYZE: not allowed, because it shows the paths of the store's objects; use EXPLAIN"
        return refusal(connection, sql[explain.end() :])
    if kinds == ["CREATE", "SELECT"] and not any(statement.query for statement in statements):
        return _refusal_of_pivot(connection, sql)
    if kinds != ["SELECT"]:
        found = ", ".join(kinds) or "nothing"
        forms = "also FROM, WITH, VALUES, PIVOT, DESCRIBE, SUMMARIZE and EXPLAIN"
        return f"only one SELECT is allowed ({forms}); this is {found}"
    return _refusal_of_select(connection, sql)


def _refusal_of_select(connection: duckdb.DuckDBPyConnection, sql: str) -> str | None:
    (serialized,) = connection.execute("SELECT json_serialize_sql($1)", [sql]).fetchone() or ("{}",)
    tree = json.loads(serialized)
    if tree.get("error", True):
        return f"only one SELECT is allowed; DuckDB rejects this one: {tree.get('error_message', 'unknown statement')}"
    return _refusal_of_tree(tree, _catalog_views(connection))


def _refusal_of_tree(tree: object, catalog: frozenset[str]) -> str | None:
    nodes = list(_nodes(tree))
    functions = {
        str(node["function"].get("function_name", "?")).lower()
        for node in nodes
        if node.get("type") == "TABLE_FUNCTION"
    }
    if foreign := sorted(functions - _HARMLESS_FUNCTIONS):
        allowed = ", ".join(sorted(_HARMLESS_FUNCTIONS))
        return f"{', '.join(foreign)}: not allowed in FROM; allowed functions are {allowed}"
    for node in nodes:
        if node.get("type") == "BASE_TABLE" and not _is_view(node, catalog):
            return f"{node['table_name']}: not allowed in FROM, because it shows settings and paths; use the views"
        if node.get("class") == "FUNCTION" and str(node.get("function_name")).lower() == "current_setting":
            return "current_setting: not allowed, because settings contain the password of a proxy"
    return None


def _is_view(table: dict[str, Any], catalog: frozenset[str]) -> bool:
    database, schema, name = (str(table[key]).lower() for key in ("catalog_name", "schema_name", "table_name"))
    if schema == "information_schema":
        return name in _HARMLESS_CATALOG
    return database in ("", "memory") and schema in ("", "main", "memory") and name not in catalog


def _refusal_of_pivot(connection: duckdb.DuckDBPyConnection, sql: str) -> str | None:
    """Returns the reason to refuse a PIVOT that finds its columns in the data, or None.

    DuckDB makes two statements of it and cannot serialize them, so every word of the text counts, in any place.
    """
    names = connection.execute(
        "SELECT DISTINCT lower(function_name) FROM duckdb_functions()"
        " WHERE function_type IN ('table', 'table_macro', 'pragma')"
    ).fetchall()
    forbidden = {name for (name,) in names} - _HARMLESS_FUNCTIONS
    forbidden |= _catalog_views(connection) | {"current_setting", "pg_catalog", "information_schema", "system", "temp"}
    found = sorted(forbidden & {word.lower() for word in _WORD.findall(sql)})
    if found:
        return f"{', '.join(found)}: not allowed in a PIVOT without IN; name the columns: PIVOT ... ON ... IN (...)"
    return None


def _catalog_views(connection: duckdb.DuckDBPyConnection) -> frozenset[str]:
    """Returns the names of DuckDB's own views, in lower case."""
    rows = connection.execute("SELECT lower(view_name) FROM duckdb_views() WHERE internal").fetchall()
    return frozenset(name for (name,) in rows) - _HARMLESS_CATALOG


def _nodes(node: object) -> Iterator[dict[str, Any]]:
    """Yields the objects of a parse tree, at any depth."""
    if isinstance(node, dict):
        yield node
        node = list(node.values())
    if isinstance(node, list):
        for inner in node:
            yield from _nodes(inner)
