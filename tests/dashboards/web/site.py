"""Hand-made stores for the pages, an HTTP client, and a parser of pages."""

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from html.parser import HTMLParser
from pathlib import Path
from types import MappingProxyType

from muses_eval.dashboards.web.access_control import AccessRules
from muses_eval.dashboards.web.server import OPEN, make_app
from muses_eval.dashboards.web.store_cache import StoreCache
from muses_eval.pipeline.episode.episode import Episode
from muses_eval.pipeline.episode.principal import AGENT, SYSTEM
from muses_eval.pipeline.episode.score import Score
from muses_eval.pipeline.episode.transcript import Message
from muses_eval.pipeline.hashing import slug
from muses_eval.pipeline.protocols import ProtocolName
from muses_eval.storage.objects.object_keys import ShardKey
from muses_eval.storage.objects.open_store import open_store
from muses_eval.storage.runs.manifest import create_or_check
from muses_eval.storage.runs.run_lock import HEARTBEAT, hold_run_lock
from muses_eval.storage.runs.shards import write_shard
from starlette.testclient import TestClient

from tests.storage.samples import MANIFEST, scored
from tests.storage.test_account_state import ACCOUNT

HOSTILE = (
    "\"><script>alert(1)</script><img src=x onerror=alert(2)><svg onload='alert(3)'></textarea></pre>"
    "![](http://evil.example/x.png) [a](javascript:alert(4)) {{ 7*7 }} \u202etxt\x1b[31m\x1b]8;;http://e\x07 \x00end"
)
"""Hostile text from a model: HTML, Markdown, templates, and control characters."""
QUOTED = 'o\'hara/"q"\\?#%2e &amp;'
"""A model name with characters that need escaping in HTML, paths or URLs."""


def client(cache: StoreCache, rules: AccessRules = OPEN) -> TestClient:
    return TestClient(make_app(cache, rules), "http://127.0.0.1:8600", follow_redirects=False)


def store_of(
    folder: Path,
    episodes: Iterable[Episode],
    planned: dict[tuple[str, str], int] | None = None,
    protocols: Mapping[str, ProtocolName] = MappingProxyType({}),
    builtin: Mapping[str, str] = MappingProxyType({}),
) -> StoreCache:
    """Writes a store of the episodes, one shard for each run, model and family; returns a cache over it.

    *protocols*: run -> protocol, for runs that have another one than ``muses``; *builtin*: name -> kind of the built-in
    agents among the models.
    """
    cache = StoreCache(str(folder))
    store = open_store(cache.store_url)
    shards: dict[tuple[str, str, str], list[Episode]] = {}
    for episode in episodes:
        shards.setdefault((episode.run_id, episode.model, episode.family), []).append(episode)
    counts = {key: len(found) for key, found in shards.items()}
    for run_id in dict.fromkeys(run for run, _, _ in shards):
        plan = planned or {(model, family): n for (run, model, family), n in counts.items() if run == run_id}
        models = {
            model: {"provider": "scripted" if model in builtin else "openai", "model": builtin.get(model, model)}
            for model, _ in plan
        }
        for episode in episodes_of(shards, run_id):
            if episode.agent != "chat":
                models[episode.model] |= {"base_model": episode.base_model, "agent": {"name": episode.agent}}
        first = min(episode.started_at for episode in episodes_of(shards, run_id))
        manifest = replace(MANIFEST, run_id=run_id, planned=plan, models=models, created_at=first)
        create_or_check(store, replace(manifest, protocol=protocols.get(run_id, "muses")))
    for (run_id, model, family), found in shards.items():
        assert write_shard(store, ShardKey(run_id, slug(model), family, 0, 1), found)
    return cache


def episodes_of(shards: dict[tuple[str, str, str], list[Episode]], run_id: str) -> list[Episode]:
    return [episode for (run, _, _), found in shards.items() if run == run_id for episode in found]


def transcript_of(*messages: tuple[int, str, tuple[str, ...], str]) -> tuple[Message, ...]:
    return tuple(Message(*message) for message in messages)


def meeting_of_three(text: str) -> tuple[Message, ...]:
    """Returns two turns of two users and the agent: private messages, one to both, and a raw reply."""
    return transcript_of(
        (0, SYSTEM, (AGENT,), f"briefing {text}"),
        (1, "Ana", (AGENT,), f"ana says {text}"),
        (1, "Bob", (AGENT,), f"bob says {text}"),
        (1, AGENT, (), f"raw {text}"),
        (1, AGENT, ("Ana",), f"for ana {text}"),
        (1, AGENT, ("Ana", "Bob"), f"for both {text}"),
        (2, "Bob", (AGENT,), f"bob again {text}"),
        (2, AGENT, ("Bob",), f"for bob {text}"),
    )


def leaking(name: object, text: str, **changes: object) -> Episode:
    """Returns an access episode whose privacy drops in its second turn."""
    scores = (
        Score("published", "privacy", 1.0, 1),
        Score("published", "privacy", 0.5, 2),
        Score("published", "privacy", 0.5),
        Score("corrected", "privacy", 0.25),
        Score("published", "utility", 0.75),
    )
    found = scored(name, {}, family="access", messages=meeting_of_three(text), turns=2, **changes)
    return replace(found, scores=scores)


@contextmanager
def locked_run(cache: StoreCache, run_id: str, links: dict[str, str]) -> Iterator[None]:
    """Holds the lock of a run, with a heartbeat, :data:`ACCOUNT` and *links*."""
    with hold_run_lock(open_store(cache.store_url), run_id, "muses run", replace(HEARTBEAT, interval_s=0.01)) as lock:
        for name, url in links.items():
            lock.add_link(name, url)
        lock.report_accounts((ACCOUNT,))
        while not (cache.runs_in_progress() and cache.runs_in_progress()[0].accounts):
            pass
        yield


@dataclass
class ParsedPage(HTMLParser):
    """Tags and visible texts of a page."""

    tags: list[tuple[str, dict[str, str | None]]] = field(default_factory=list)
    texts: list[str] = field(default_factory=list)
    """Texts that a browser shows or a screen reader speaks."""

    def __post_init__(self) -> None:
        super().__init__()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))
        self.texts += [value or "" for name, value in attrs if name in ("title", "aria-label", "placeholder")]

    def handle_data(self, data: str) -> None:
        self.texts.append(data)


def parse(html: str) -> ParsedPage:
    found = ParsedPage()
    found.feed(html)
    return found
