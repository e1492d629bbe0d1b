"""The coordinator keeps what the workers of a cluster share: limits (``workers.limits``), budgets (``workers.budget``).

``local`` holds the coordinator itself and the way to one in this process; ``ray_actor`` runs it as one named actor of a
Ray cluster and is the only one of the two that needs Ray.
"""
