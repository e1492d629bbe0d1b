"""Writes the episodes of a shard to the store, without credentials."""

from collections.abc import Sequence
from dataclasses import replace

from muses_eval.pipeline.episode.episode import Episode
from muses_eval.pipeline.episode.masked_evidence import mask_evidence
from muses_eval.pipeline.text.credential_masking import MASK, mask_credentials, mask_json_text
from muses_eval.storage.objects.object_keys import ShardKey
from muses_eval.storage.objects.object_store import ObjectStore
from muses_eval.storage.runs.shards import read_shard, write_shard

CREDENTIAL_MASKED = "credential_masked"
"""Flag of an episode from which a credential was removed."""


def write_episodes(store: ObjectStore, key: ShardKey, played: Sequence[Episode]) -> list[Episode]:
    """Writes episodes and returns what is stored of them: each episode once, scored if it was ever scored.

    Another worker may have stored this attempt before, for instance a second run of the same job.  Stored episodes are
    never overwritten; episodes that are missing there, or that have no scores there and have some here, are written
    under the next free attempt.
    """
    ours = {episode.episode_id: _masked(episode) for episode in played}
    stored = dict(ours)
    while not write_shard(store, key, list(ours.values())):
        for episode in read_shard(store, key):
            mine = ours.get(episode.episode_id)
            if mine and (episode.outcome == "scored" or mine.outcome != "scored"):
                stored[episode.episode_id] = episode
                del ours[episode.episode_id]
        if not ours:
            break
        key = replace(key, attempt=key.attempt + 1)
        ours = {name: replace(episode, attempt=key.attempt) for name, episode in ours.items()}
        stored |= ours
    return list(stored.values())


def _masked(episode: Episode) -> Episode:
    """Returns the episode without credentials; flagged when it had any."""
    texts = [mask_credentials(message.content) for message in episode.messages]
    events = [mask_credentials(event.text) for event in episode.events]
    error = None if episode.error is None else mask_credentials(episode.error)
    sampling = mask_json_text(episode.sampling)  # extra_body may hold anything
    users = mask_credentials(episode.users)
    # A client masks the errors of its server itself.
    if not sum(count for _, count in (*texts, *events, sampling, users)) and MASK not in (error or ("", 0))[0]:
        return episode
    return replace(
        episode,
        evidence=episode.evidence and mask_evidence(episode.evidence, [text for text, _ in texts]),
        messages=tuple(replace(m, content=text) for m, (text, _) in zip(episode.messages, texts, strict=True)),
        events=tuple(replace(e, text=text) for e, (text, _) in zip(episode.events, events, strict=True)),
        error=error and error[0],
        sampling=sampling[0],
        users=users[0],
        flags=(*episode.flags, CREDENTIAL_MASKED),
    )
