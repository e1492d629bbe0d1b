"""The list of models that a server returns, as OpenAI, Anthropic, Gemini, Ollama and vLLM write it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from difflib import get_close_matches
from typing import Any


@dataclass(frozen=True, slots=True)
class ListedModels:
    """Models that a server lists."""

    names: tuple[str, ...]
    windows: Mapping[str, int] = field(default_factory=dict)
    """Name -> tokens of prompt and completion that fit; only for servers that say so, such as vLLM."""
    complete: bool = True
    """False when there are further pages, which are not read."""

    def find(self, model: str) -> str | None:
        """Returns the name under which a model is listed; None when it is not.

        A list may have a prefix (``models/gemini-2.5-flash``) or a tag (``qwen3:latest``) that requests leave out.
        """
        forms = (model, f"{model}:latest")
        return next((name for name in self.names if name in forms or name.rpartition("/")[2] in forms), None)

    def describe(self, model: str, most: int = 5) -> str:
        """Returns names that the server lists, those similar to *model* first."""
        near = get_close_matches(model, self.names, most)
        shown = list(dict.fromkeys([*near, *self.names]))[:most]
        more = len(self.names) - len(shown)
        return ", ".join(shown) + (f" and {more} more" if more else "")


def parse_listed_models(document: object) -> ListedModels | None:
    """Reads the body of ``GET {base_url}/models``; None when it is no list of models."""
    entries: object = document
    if isinstance(document, Mapping):
        entries = document.get("data", document.get("models"))
    if not isinstance(entries, list):
        return None
    found: dict[str, Mapping[str, Any]] = {}
    for entry in entries:
        name = (entry.get("id") or entry.get("name")) if isinstance(entry, Mapping) else None
        if isinstance(name, str):
            found[name] = entry
    windows = {name: entry.get("max_model_len") for name, entry in found.items()}
    has_more = isinstance(document, Mapping) and bool(document.get("has_more"))
    return ListedModels(
        tuple(found), {name: size for name, size in windows.items() if isinstance(size, int)}, complete=not has_more
    )
