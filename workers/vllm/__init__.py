"""Serves models with vLLM on a Ray cluster: one model has a set of replicas, and one replica is one server process.

In reading order: ``server_command`` the command line of a server · ``engine_build`` the vLLM that an interpreter has ·
``server_process`` and ``process_supervisor`` the process, which never outlives its owner · ``server_log`` the end of
its log · ``server_load`` its load · ``health_check`` notices a dead server · ``replica`` restarts it ·
``replica_actor`` the replica as a Ray actor · ``replica_set`` all replicas of a model, and ``autoscaler`` their number
· ``server_discovery`` the addresses, as workers look them up · ``gpu_capacity`` the GPUs of the cluster · ``fleet`` all
models of a run · ``gpu_scheduler`` the turns of models when there are too few GPUs for all of them.
"""
