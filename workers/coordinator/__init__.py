"""The coordinator keeps what the workers of a cluster share.

These are limits (``muses_eval.workers.limits``) and budgets (``muses_eval.workers.budget``).  ``coordinator`` has the
coordinator itself and the client of one in this process; ``ray_actor`` runs it as one named actor of a Ray cluster, and
``ray_metrics`` exports its metrics.  Only the last two need Ray.
"""
