"""How much of a provider's patience we use, all workers and runs together.  The algorithm: docs/limits.md.

A client asks a :class:`Limit` for a slot before each try of a call and gives it back when the try ends; a call that
waits between two tries holds none, so a backed-off call never blocks one that could run.  A limit belongs to an
:class:`Account`.  ``leased`` is a worker's end of it, ``book`` the keeper's; ``lease`` is what they tell one another.
"""

from workers.limits.account import Account, Limit, Slot, TryEnd, disagreements
from workers.limits.lease import AccountStatus, Holder, Snapshot
from workers.limits.leased import AccountLimits, LeasedLimit

__all__ = [
    "Account",
    "AccountLimits",
    "AccountStatus",
    "Holder",
    "LeasedLimit",
    "Limit",
    "Slot",
    "Snapshot",
    "TryEnd",
    "disagreements",
]
