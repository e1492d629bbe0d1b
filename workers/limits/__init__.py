"""Rate and concurrency limits of providers, shared by all workers and runs.  docs/limits.md describes the algorithm.

A client asks a :class:`Limiter` for a permit before each attempt of a call and gives it back when the attempt ends.  A
call that waits between two attempts holds no permit, so a call that backs off never blocks one that could run.  A
limiter belongs to an :class:`Account`.  In a worker, ``rate_limiter`` is where attempts wait and ``client`` renews its
leases; in the coordinator, ``lease_allocator`` divides the limits of an account between workers and ``registry`` has
all accounts; ``protocol`` has the messages between the two.
"""

from muses_eval.workers.limits.account import Account, AttemptOutcome, Limiter, Permit, limit_conflicts
from muses_eval.workers.limits.client import LimitsClient
from muses_eval.workers.limits.protocol import AccountStatus, LeaseHolder, LimitsSnapshot
from muses_eval.workers.limits.rate_limiter import RateLimiter

__all__ = [
    "Account",
    "AccountStatus",
    "AttemptOutcome",
    "LeaseHolder",
    "Limiter",
    "LimitsClient",
    "LimitsSnapshot",
    "Permit",
    "RateLimiter",
    "limit_conflicts",
]
