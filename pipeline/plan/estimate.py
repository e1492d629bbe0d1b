"""What a run will use: calls, tokens, money and time, before it is played, each with an interval.

The prompt side comes from the scenarios' own texts.  What models answer, and how many turns they take, comes from rules
of thumb (:data:`HABITS`), or from episodes that were played: then the ratio of what they used to what the rules had
expected of these very episodes is applied to the rest of their cell (a ratio estimate).  Rules of thumb are wrong
together, so their errors add up; samples of different cells are independent, so theirs add in squares.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import Any

from muses_eval.pipeline.config.endpoint import Endpoint
from muses_eval.pipeline.config.model import ModelSpec
from muses_eval.pipeline.config.prices import Prices
from muses_eval.pipeline.config.sampling import Sampling
from muses_eval.pipeline.config.users import UsersSpec
from muses_eval.pipeline.episode.dialogue import Dialogue
from muses_eval.pipeline.episode.protocol import PrincipalView
from muses_eval.pipeline.episode.scenario import Scenario
from muses_eval.pipeline.episode.serialization import Template
from muses_eval.pipeline.episode.user_prompt import user_prompt
from muses_eval.pipeline.families import FAMILIES
from muses_eval.pipeline.plan.plan import Cell, Plan
from muses_eval.pipeline.prices import prices_of

LEVEL = 0.9
"""Confidence level of the intervals that come from played episodes."""
UNDECLARED_IN_FLIGHT = 64
"""Calls in flight that are assumed where an account declares no limit."""
_LEAST_SAMPLE = 2
_MILLION = 1_000_000


@dataclass(frozen=True, slots=True)
class Habits:
    """What models usually do in a family; tokens."""

    turns: tuple[float, float, float]
    """Few, usual, many."""
    reply: float
    """An agent's reply, apart from what it writes for each principal."""
    reply_a_user: float
    message: float = 40.0
    """What a user writes in one turn."""


HABITS: Mapping[str, Habits] = {
    "queue": Habits((1, 1, 1), 200, 25),
    "instruct": Habits((1, 1, 1), 100, 70),
    "access": Habits((2, 8, 10), 60, 45),
    "meeting": Habits((2, 5, 10), 60, 40),
}


@dataclass(frozen=True, slots=True)
class Thumb:
    """One reading of the rules of thumb."""

    turns: int
    """Index into :attr:`Habits.turns`."""
    verbosity: float
    """Times the usual length of a reply."""
    chars_a_token: float
    delay_s: float
    """Until a model begins to answer."""
    tokens_a_second: float


LOW = Thumb(0, 0.5, 4.6, 0.3, 120)
MID = Thumb(1, 1.0, 4.0, 0.8, 60)
HIGH = Thumb(2, 3.0, 3.4, 2.0, 25)


@dataclass(frozen=True, slots=True)
class Side:
    """The calls of one role, in sums."""

    calls: float = 0.0
    prompt_tokens: float = 0.0
    completion_tokens: float = 0.0
    seconds: float = 0.0
    """Waited for answers, one call after the other."""

    @property
    def tokens(self) -> float:
        return self.prompt_tokens + self.completion_tokens

    def __add__(self, other: "Side") -> "Side":
        return Side(
            self.calls + other.calls,
            self.prompt_tokens + other.prompt_tokens,
            self.completion_tokens + other.completion_tokens,
            self.seconds + other.seconds,
        )

    def usd(self, prices: Prices | None) -> float:
        """What the tokens cost with nothing cached; NaN where the price is not known."""
        if prices is None:
            return math.nan if self.calls else 0.0
        return (self.prompt_tokens * prices.input + self.completion_tokens * prices.output) / _MILLION


@dataclass(frozen=True, slots=True)
class Load:
    """What an episode, or many, take."""

    agent: Side = Side()
    user: Side = Side()

    @property
    def tokens(self) -> float:
        return self.agent.tokens + self.user.tokens

    def __add__(self, other: "Load") -> "Load":
        return Load(self.agent + other.agent, self.user + other.user)

    def usd(self, model: ModelSpec, users: UsersSpec) -> float:
        """NaN where a price is not known."""
        played_by = None if users.model is None else prices_of(users.model)
        return self.agent.usd(prices_of(model)) + self.user.usd(played_by)


@dataclass(frozen=True, slots=True)
class _Texts:
    """How long a scenario's own texts are, in characters."""

    first_prompt: int
    """What the agent reads in the first turn."""
    users: tuple[int, ...]
    """What each principal's model reads before anything has been said."""


class Expectations:
    """What single episodes are expected to take, with the same users."""

    def __init__(self, users: UsersSpec) -> None:
        self._users = users
        self._texts: dict[tuple[str, str, Template], _Texts] = {}

    def load(self, model: ModelSpec, scenario: Scenario[Any], template: Template, thumb: Thumb = MID) -> Load:
        """One episode of *scenario* with *model* as the agent."""
        texts = self._measured(scenario, template)
        habits = HABITS.get(scenario.family) or _habits(FAMILIES[scenario.family].max_turns)
        turns, users = habits.turns[thumb.turns], len(texts.users)
        message = _bounded(habits.message * thumb.verbosity, self._users.model)
        reply = _bounded((habits.reply + habits.reply_a_user * users) * thumb.verbosity, model)
        pairs = turns * (turns - 1) / 2  # how often an earlier turn is read again, over all turns
        agent = Side(
            calls=turns,
            prompt_tokens=turns * texts.first_prompt / thumb.chars_a_token + pairs * (reply + users * message),
            completion_tokens=turns * reply,
            seconds=turns * (thumb.delay_s + reply / thumb.tokens_a_second),
        )
        spoken = users * (turns - 1)
        heard = reply + users * message
        user = Side(
            calls=spoken,
            prompt_tokens=(turns - 1) * sum(texts.users) / thumb.chars_a_token + pairs * heard,
            completion_tokens=spoken * message,
            seconds=spoken * (thumb.delay_s + message / thumb.tokens_a_second),
        )
        return Load(Side() if model.provider == "scripted" else agent, Side() if self._users.model is None else user)

    def _measured(self, scenario: Scenario[Any], template: Template) -> _Texts:
        key = (scenario.family, scenario.id, template)
        if key not in self._texts:
            family = FAMILIES[scenario.family]
            dialogue = Dialogue(scenario, template, partial(family.interpret, scenario), family.max_turns)
            self._texts[key] = _Texts(
                first_prompt=sum(len(message.content) for message in dialogue.observation.prompt),
                users=tuple(
                    sum(
                        len(message.content) for message in user_prompt(principal, PrincipalView(principal.name, 2, ()))
                    )
                    for principal in scenario.principals
                ),
            )
        return self._texts[key]


def _habits(max_turns: int) -> Habits:
    """For a family without an entry of its own."""
    return Habits((min(2, max_turns), math.ceil(max_turns / 2), max_turns), 100, 50)


def _bounded(tokens: float, model: ModelSpec | None) -> float:
    most = None if model is None else model.sampling.max_tokens
    return tokens if most is None else min(tokens, most)


@dataclass(frozen=True, slots=True)
class Range:
    """A number, and between which two it is likely to be."""

    low: float
    mid: float
    high: float


Reach = Callable[[float], float]
"""Degrees of freedom -> how many standard errors to either side an interval of :data:`LEVEL` reaches."""


@dataclass(frozen=True, slots=True)
class Expected:
    """An expected sum with its errors."""

    mid: float = 0.0
    least: float = 0.0
    """What is spent already: no interval goes below."""
    below: float = 0.0
    """How much lower it may be by rules of thumb."""
    above: float = 0.0
    samples: tuple[tuple[float, float], ...] = ()
    """(variance, degrees of freedom) of independent samples."""

    def __add__(self, other: "Expected") -> "Expected":
        return Expected(
            self.mid + other.mid,
            self.least + other.least,
            self.below + other.below,
            self.above + other.above,
            (*self.samples, *other.samples),
        )

    def range(self, reach: Reach) -> Range:
        """Welch's and Satterthwaite's degrees of freedom for the samples together."""
        variance = math.fsum(part for part, _ in self.samples)
        error = 0.0
        if variance > 0:
            df = 1 / math.fsum((part / variance) ** 2 / degrees for part, degrees in self.samples)
            error = reach(df) * math.sqrt(variance)
        return Range(max(self.least, self.mid - self.below - error), self.mid, self.mid + self.above + error)


@dataclass(frozen=True, slots=True)
class CellForecast:
    """What is known of a cell before it is played to its end."""

    model: ModelSpec
    family: str
    played: tuple[tuple[Load, Load], ...]
    """(expected, used) of episodes that were played."""
    rest: tuple[Load, Load, Load]
    """Usage of all other episodes together: low, mid and high."""
    rest_count: int
    users: UsersSpec = UsersSpec()

    @property
    def sampled(self) -> bool:
        """Whether played episodes say more than rules of thumb."""
        return len(self.played) >= _LEAST_SAMPLE

    def expect(self, measure: Callable[[Load], float]) -> Expected:
        """One measure of the whole cell."""
        pairs = [(measure(expected), measure(used)) for expected, used in self.played]
        spent = math.fsum(used for _, used in pairs)
        low, mid, high = (measure(load) for load in self.rest)
        base = math.fsum(expected for expected, _ in pairs)
        if not self.sampled or base <= 0:
            return Expected(spent + mid, spent, mid - low, high - mid)
        ratio, count = spent / base, len(pairs)
        noise = math.fsum((used - ratio * expected) ** 2 for expected, used in pairs) / (count - 1)
        # The ratio's own error, and what single episodes scatter around it.
        variance = noise * ((mid / base) ** 2 * count + self.rest_count)
        return Expected(spent + ratio * mid, spent, samples=((variance, count - 1.0),))


def forecast(
    plan: Plan, scenarios: Mapping[str, Mapping[str, Scenario[Any]]], used: Mapping[str, Load]
) -> tuple[CellForecast, ...]:
    """Every cell of a plan.

    Args:
        plan: the whole run.
        scenarios: family -> id -> scenario.
        used: episode id -> what it took, for those that were played.
    """
    expectations = Expectations(plan.users)
    cells = (_cell_forecast(cell, scenarios[cell.family], used, expectations) for cell in plan.cells)
    return tuple(replace(cell, users=plan.users) for cell in cells)


def _cell_forecast(
    cell: Cell, scenarios: Mapping[str, Scenario[Any]], used: Mapping[str, Load], expectations: Expectations
) -> CellForecast:
    played: list[tuple[Load, Load]] = []
    rest = [Load(), Load(), Load()]
    count = 0
    for episode in (episode for shard in cell.shards for episode in shard.episodes):
        expect = partial(expectations.load, cell.model, scenarios[episode.scenario_id], episode.template)
        if episode.id in used:
            played.append((expect(MID), used[episode.id]))
            continue
        count += 1
        rest = [total + expect(thumb) for total, thumb in zip(rest, (LOW, MID, HIGH), strict=True)]
    return CellForecast(cell.model, cell.family, tuple(played), (rest[0], rest[1], rest[2]), count)


@dataclass(frozen=True, slots=True)
class Line:
    """One model in one role."""

    model: str
    role: str
    calls: Range
    prompt_tokens: Range
    completion_tokens: Range
    cost_usd: Range | None
    """None: no price is known."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A whole run, or several that are played side by side."""

    lines: tuple[Line, ...]
    calls: Range
    tokens: Range
    cost_usd: Range | None
    """None: the price of a model is not known."""
    seconds: Range
    sampled_cells: int
    """Cells whose numbers come from played episodes."""
    sampled_episodes: int
    cells: int
    """Cells that call any model."""
    unpriced: tuple[str, ...] = ()
    """Models whose price is not known."""
    undeclared: tuple[str, ...] = ()
    """Models whose account declares no limits."""


AccountOf = Callable[[Endpoint], object]
"""Which endpoints share their limits: those with equal answers."""


@dataclass(frozen=True, slots=True)
class _Callers:
    """Callers of one model, with their role."""

    model: ModelSpec
    role: str
    cells: tuple[CellForecast, ...]

    def side(self, load: Load) -> Side:
        return load.agent if self.role == "agent" else load.user

    def expect(self, measure: Callable[[Side], float]) -> Expected:
        return _sum(cell.expect(lambda load: measure(self.side(load))) for cell in self.cells)


def estimate(cells: Sequence[CellForecast], reach: Reach, account_of: AccountOf) -> Estimate:
    """Sums up what the cells of a run take, or those of several runs that are played side by side."""
    callers = [each for each in _callers(cells) if each.expect(lambda side: side.calls).mid > 0]
    calling = [cell for cell in cells if _calls(cell) > 0]
    usd = _sum(cell.expect(partial(_usd, cell.model, cell.users)) for cell in calling)
    sampled = [cell for cell in calling if cell.sampled]
    return Estimate(
        lines=tuple(_line(each, reach) for each in callers),
        calls=_sum(cell.expect(lambda load: load.agent.calls + load.user.calls) for cell in calling).range(reach),
        tokens=_sum(cell.expect(lambda load: load.tokens) for cell in calling).range(reach),
        cost_usd=None if math.isnan(usd.mid) else usd.range(reach),
        seconds=_seconds(callers, reach, account_of),
        sampled_cells=len(sampled),
        sampled_episodes=sum(len(cell.played) for cell in sampled),
        cells=len(calling),
        unpriced=_names(each for each in callers if prices_of(each.model) is None),
        undeclared=_names(each for each in callers if each.model.endpoint and not _declares(each.model.endpoint)),
    )


def in_turns(whole: Range, turns: Sequence[Range]) -> Range:
    """How long it takes where some models wait for others: their turns one after the other, the rest beside them."""
    ends = [(turn.low, turn.mid, turn.high) for turn in turns]
    return _slowest([whole, Range(*map(math.fsum, zip(*ends, strict=True)))]) if ends else whole


def _callers(cells: Sequence[CellForecast]) -> list[_Callers]:
    """Groups callers by model.  Runs that differ only in how they ask it, for example in temperature, are one group."""
    agents: dict[ModelSpec, list[CellForecast]] = {}
    users: dict[ModelSpec, list[CellForecast]] = {}
    for cell in cells:
        agents.setdefault(replace(cell.model, sampling=Sampling()), []).append(cell)
        if cell.users.model is not None:
            users.setdefault(replace(cell.users.model, sampling=Sampling()), []).append(cell)
    return [
        *(_Callers(model, "agent", tuple(asked)) for model, asked in agents.items()),
        *(_Callers(model, "user", tuple(asked)) for model, asked in users.items()),
    ]


def _usd(model: ModelSpec, users: UsersSpec, load: Load) -> float:
    return load.usd(model, users)


def _calls(cell: CellForecast) -> float:
    return cell.expect(lambda load: load.agent.calls + load.user.calls).mid


def _names(callers: Iterable[_Callers]) -> tuple[str, ...]:
    return tuple(dict.fromkeys(each.model.name for each in callers))


def _declares(endpoint: Endpoint) -> bool:
    limits = endpoint.limits
    return any((limits.requests_per_minute, limits.tokens_per_minute, limits.concurrency))


def _line(callers: _Callers, reach: Reach) -> Line:
    prices = prices_of(callers.model)
    usd = callers.expect(lambda side: side.usd(prices))
    return Line(
        model=callers.model.name,
        role=callers.role,
        calls=callers.expect(lambda side: side.calls).range(reach),
        prompt_tokens=callers.expect(lambda side: side.prompt_tokens).range(reach),
        completion_tokens=callers.expect(lambda side: side.completion_tokens).range(reach),
        cost_usd=None if math.isnan(usd.mid) else usd.range(reach),
    )


@dataclass(slots=True)
class _Account:
    """What the models of one account are asked for together, and what it allows."""

    requests_per_minute: float = math.inf
    tokens_per_minute: float = math.inf
    concurrency: float = math.inf
    callers: list[_Callers] = field(default_factory=list)

    def add(self, callers: _Callers, endpoint: Endpoint) -> None:
        """Where endpoints of one account disagree, the smallest number holds."""
        limits = endpoint.limits
        self.requests_per_minute = min(self.requests_per_minute, limits.requests_per_minute or math.inf)
        self.tokens_per_minute = min(self.tokens_per_minute, limits.tokens_per_minute or math.inf)
        self.concurrency = min(self.concurrency, limits.concurrency or math.inf)
        self.callers.append(callers)

    def seconds(self, reach: Reach) -> Range:
        in_flight = min(self.concurrency, UNDECLARED_IN_FLIGHT if self._unlimited else math.inf)
        paces = (
            (lambda side: side.calls, self.requests_per_minute / 60),
            (lambda side: side.tokens, self.tokens_per_minute / 60),
            (lambda side: side.seconds, in_flight),
        )
        needed = [
            _over(_sum(each.expect(measure) for each in self.callers).range(reach), pace) for measure, pace in paces
        ]
        return _slowest(needed)

    @property
    def _unlimited(self) -> bool:
        return math.isinf(self.requests_per_minute) and math.isinf(self.tokens_per_minute)


def _seconds(callers: Sequence[_Callers], reach: Reach, account_of: AccountOf) -> Range:
    """Accounts work side by side, so the slowest one decides."""
    accounts: dict[object, _Account] = {}
    for each in callers:
        endpoint = each.model.endpoint
        if endpoint is not None:
            accounts.setdefault(account_of(endpoint), _Account()).add(each, endpoint)
    return _slowest([account.seconds(reach) for account in accounts.values()])


def _over(amount: Range, pace: float) -> Range:
    return Range(amount.low / pace, amount.mid / pace, amount.high / pace)


def _slowest(ranges: Sequence[Range]) -> Range:
    if not ranges:
        return Range(0.0, 0.0, 0.0)
    return Range(max(r.low for r in ranges), max(r.mid for r in ranges), max(r.high for r in ranges))


def _sum(parts: Iterable[Expected]) -> Expected:
    total = Expected()
    for part in parts:
        total += part
    return total
