"""The coordinator's metrics: the state of accounts and budgets as Ray metrics, which Prometheus scrapes."""

from collections.abc import Callable, Mapping

from muses_eval.workers.budget import BudgetStatus
from muses_eval.workers.coordinator.gauges import GaugeDefinitions, Gauges
from muses_eval.workers.limits.protocol import AccountStatus, LimitsSnapshot
from ray.util.metrics import Counter, Gauge

_GAUGES: GaugeDefinitions[AccountStatus] = {
    "muses_calls_per_second": ("Attempts started per second, over ten seconds", lambda s: s.calls_per_s),
    "muses_tokens_per_second": ("Prompt and completion tokens per second, over ten seconds", lambda s: s.tokens_per_s),
    "muses_calls_in_flight": ("Attempts in flight", lambda s: s.in_flight),
    "muses_calls_waiting": ("Attempts that wait for the limit", lambda s: s.waiting),
    "muses_requests_limit_per_minute": ("Bound on requests; -1: none", lambda s: s.requests_per_minute),
    "muses_tokens_limit_per_minute": ("Bound on tokens; -1: none", lambda s: s.tokens_per_minute),
    "muses_concurrency_limit": ("Bound on attempts in flight; -1: none", lambda s: s.concurrency),
    "muses_paused_seconds": ("Seconds until attempts may start again, after a refusal", lambda s: s.paused_s),
}
_BUDGET_GAUGES: GaugeDefinitions[BudgetStatus] = {
    "muses_spent_usd": ("Spent by a run or sweep with a budget, over all its starts", lambda s: s.spent.usd),
    "muses_reserved_usd": ("Reserved for its episodes in flight", lambda s: s.held.usd),
    "muses_budget_usd": ("Cap in USD; -1: no cap", lambda s: s.cap.usd),
    "muses_spent_tokens": ("Prompt and completion tokens of a run or sweep with a budget", lambda s: s.spent.tokens),
    "muses_budget_tokens": ("Cap in tokens; -1: no cap", lambda s: s.cap.tokens),
}
_COUNTERS: Mapping[str, tuple[str, Callable[[AccountStatus], int]]] = {
    "muses_answered": ("Attempts that were answered", lambda s: s.answered),
    "muses_refused": ("Attempts that a limit of the provider refused", lambda s: s.refused),
    "muses_failed": ("Attempts that failed otherwise", lambda s: s.failed),
}


class RayMetrics:
    """The state of all accounts and budgets as Ray metrics, which Prometheus scrapes."""

    def __init__(self) -> None:
        self._gauges, self._budgets = Gauges(Gauge, _GAUGES, "account"), Gauges(Gauge, _BUDGET_GAUGES, "run")
        self._counters = {name: Counter(name, text, ("account",)) for name, (text, _) in _COUNTERS.items()}
        self._counted: dict[tuple[str, str], int] = {}

    def show(self, snapshot: LimitsSnapshot) -> None:
        for status in snapshot.accounts:
            tags = {"account": status.name}
            self._gauges.show(status.name, status)
            for name, (_, counted) in _COUNTERS.items():
                total, before = counted(status), self._counted.get((name, status.name), 0)
                self._counted[name, status.name] = total
                if total > before:
                    self._counters[name].inc(total - before, tags)

    def show_budget(self, budget: BudgetStatus) -> None:
        self._budgets.show(budget.name, budget)
