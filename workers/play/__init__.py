"""Plays shards of episodes.

In reading order: ``shard_spec`` the description of a shard · ``executor`` the interface of an executor ·
``inline_executor`` the executor in this process · ``ray_executor`` the executor on a Ray cluster · ``fair_queue`` the
turns of runs and models · ``shard_worker`` the event loop of a worker · ``play_shard`` one shard · ``shard_episode``
one episode · ``simulated_user`` a user that a model plays · ``episode_record`` and ``shard_writer`` the stored episodes
· ``shard_summary`` the result.
"""
