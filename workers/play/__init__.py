"""Plays shards of episodes.

In reading order: ``shard_spec`` what is played · ``executor`` the interface, and the executor in this process ·
``ray_executor`` the executor on a Ray cluster, with ``fair_queue`` · ``shard_worker`` one event loop of a worker ·
``play_shard`` one shard · ``shard_episode`` one episode, with ``simulated_user`` · ``episode_record`` and
``shard_writer`` the stored episodes · ``shard_summary`` the result.
"""
