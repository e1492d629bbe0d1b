"""Rate and concurrency limits of providers, shared by all workers and runs.  The algorithm: docs/limits.md.

A client asks a :class:`Limiter` for a permit before each attempt of a call and gives it back when the attempt ends.  A
call that waits between two attempts holds no permit, so a call that backs off never blocks one that could run.  A
limiter belongs to an :class:`Account`.  ``client`` and ``leased_limiter`` are a worker's side, ``registry`` and
``account_limiter`` the coordinator's; ``protocol`` holds the messages between the two.
"""

from muses_eval.workers.limits.account import Account, AttemptOutcome, Limiter, Permit, disagreements
from muses_eval.workers.limits.client import LimitsClient
from muses_eval.workers.limits.leased_limiter import LeasedLimiter
from muses_eval.workers.limits.protocol import AccountStatus, LeaseHolder, Snapshot

__all__ = [
    "Account",
    "AccountStatus",
    "AttemptOutcome",
    "LeaseHolder",
    "LeasedLimiter",
    "Limiter",
    "LimitsClient",
    "Permit",
    "Snapshot",
    "disagreements",
]
