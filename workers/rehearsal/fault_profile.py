"""The fault profile of a rehearsal, as users write it in YAML: latency, limits, faults, killed workers.

The command line and the documentation call a profile the weather.  Times are seconds since the first request.  With the
same seed, the same requests in the same order meet the same faults.
"""

import math
import random
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from muses_eval.pipeline.config.section import Integer, Number
from muses_eval.pipeline.errors import ConfigError
from muses_eval.workers.rehearsal.wire_format import RetryAfter
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, model_validator

_P95 = 1.6448536269514722
"""Standard deviations from the median to the 95th percentile of a normal distribution."""

FaultKind = Literal[
    "rate_limited",
    "server_error",
    "silence",
    "reset",
    "cut_off",
    "garbled",
    "drip",
    "wrong_json",
    "html",
    "error_inside",
]
"""``rate_limited``: 429 regardless of the limits.  ``server_error``: a 5xx.  ``silence``: no response ever.  ``reset``:
the connection breaks before the response.  ``cut_off``: it breaks in the middle of the response.  ``garbled``:
truncated JSON.  ``drip``: a good response in small pieces.  ``wrong_json``: JSON of another shape.  ``html``: an HTML
page.  ``error_inside``: status 200 with an error as its body."""


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True, allow_inf_nan=False)


def _from_number(value: object) -> object:
    return {"median": value} if isinstance(value, (int, float)) and not isinstance(value, bool) else value


class Distribution(_Section):
    """A distribution of a random quantity.

    A number (constant), ``{least, most}`` (uniform) or ``{median, p95}`` (log-normal, as waiting times and lengths of
    texts are).
    """

    median: Number | None = Field(None, ge=0)
    p95: Number | None = Field(None, gt=0)
    least: Number | None = Field(None, ge=0)
    most: Number | None = Field(None, ge=0)

    @model_validator(mode="after")
    def _one_way(self) -> "Distribution":
        given = {name for name in Distribution.model_fields if getattr(self, name) is not None}
        if given not in ({"median"}, {"least", "most"}, {"median", "p95"}):
            raise ValueError("expected a number, {least, most} or {median, p95}")
        if self.least is not None and self.most is not None and self.least > self.most:
            raise ValueError(f"least ({self.least:g}) is more than most ({self.most:g})")
        if self.p95 is not None and not 0 < (self.median or 0.0) <= self.p95:
            raise ValueError("expected a median above 0 and a p95 that is not below it")
        return self

    def draw(self, rng: random.Random) -> float:
        if self.least is not None and self.most is not None:
            return rng.uniform(self.least, self.most)
        median = self.median or 0.0
        if self.p95 is None:
            return median
        return rng.lognormvariate(math.log(median), math.log(self.p95 / median) / _P95)


_Distribution = Annotated[Distribution, BeforeValidator(_from_number)]


class Latency(_Section):
    """Seconds from a request to its response."""

    base: _Distribution = Distribution(median=0.0)
    per_token: Number = Field(0.0, ge=0)
    """Seconds for every token of the reply."""


class HardLimits(_Section):
    """The limits above which the provider refuses requests with 429; a limit that is left out is unlimited.

    Any ``window_s`` seconds admit at most their share of a minute's number: with 600 requests per minute and a window
    of 2 s, 20 requests in any 2 s.
    """

    requests_per_minute: Number | None = Field(None, gt=0)
    tokens_per_minute: Number | None = Field(None, gt=0)
    """Prompt and completion tokens together, counted when a request arrives."""
    concurrency: Integer | None = Field(None, gt=0)
    window_s: Number = Field(60.0, gt=0)
    headers: bool = True
    """True when response headers report the limits and the rest of them."""
    retry_after: RetryAfter = "seconds"
    """Form in which a refusal reports when to retry."""


class LimitChange(_Section):
    """A change of the limits at a time."""

    at_s: Number = Field(ge=0)
    limits: HardLimits


class Fault(_Section):
    """A fault that hits a share of the requests."""

    kind: FaultKind
    share: Number = Field(1.0, gt=0, le=1)
    from_s: Number = Field(0.0, ge=0)
    to_s: Number | None = Field(None, gt=0)
    """End of the fault; None when it has no end."""
    status: Integer = Field(500, ge=500, le=599)
    """HTTP status of a ``server_error``."""
    seconds: Number = Field(5.0, gt=0)
    """Seconds that a ``drip`` takes."""

    def holds(self, at_s: float) -> bool:
        return self.from_s <= at_s and (self.to_s is None or at_s < self.to_s)


class FaultProfile(_Section):
    """The latency, limits and faults of a rehearsal."""

    latency: Latency = Latency()
    reply_tokens: _Distribution = Distribution(median=60.0, p95=240.0)
    """Least lengths of replies."""
    limits: HardLimits | None = None
    """Limits of every account.  When left out, each account has the limits that the config declares for it."""
    changes: tuple[LimitChange, ...] = ()
    """Changes of the limits, in the order of their times."""
    faults: tuple[Fault, ...] = ()
    """Possible faults; a request is hit by the first one that is active and drawn by its share."""
    script: tuple[Fault | None, ...] = ()
    """Faults of the first requests, in the order of their arrival; null for none."""
    kill_worker_every_s: Number | None = Field(None, gt=0)
    """Seconds, at least, between two kills of a random worker process; a shard is stored between them as well.

    Needs the executor ray.
    """
    seed: Integer = Field(0, ge=0, lt=2**63)

    @model_validator(mode="after")
    def _in_order(self) -> "FaultProfile":
        times = [change.at_s for change in self.changes]
        if times != sorted(times):
            raise ValueError("changes have to stand in the order of at_s")
        return self

    def limits_at(self, at_s: float, declared: HardLimits | None) -> HardLimits:
        """Returns the limits of an account at a time; *declared*: its limits in the config."""
        past = [change.limits for change in self.changes if change.at_s <= at_s]
        return past[-1] if past else self.limits or declared or HardLimits()

    def fault_at(self, at_s: float, rng: random.Random) -> Fault | None:
        return next((fault for fault in self.faults if fault.holds(at_s) and rng.random() < fault.share), None)

    def end_of_storm(self, at_s: float) -> float:
        """Returns the seconds until the present series of 429s is over; 1 when it has no end."""
        ends = [fault.to_s - at_s for fault in self.faults if fault.kind == "rate_limited" and fault.to_s is not None]
        return min((left for left in ends if left > 0), default=1.0)


_USUAL = Latency(base=Distribution(median=0.15, p95=0.6), per_token=0.0005)

PRESETS: Mapping[str, FaultProfile] = {
    "calm": FaultProfile(latency=_USUAL),
    "storm": FaultProfile(
        latency=_USUAL,
        faults=(
            Fault(kind="rate_limited", from_s=3, to_s=9),
            Fault(kind="rate_limited", share=0.03),
            Fault(kind="server_error", share=0.02, status=503),
            Fault(kind="reset", share=0.01),
            Fault(kind="cut_off", share=0.01),
        ),
    ),
    "outage": FaultProfile(
        latency=_USUAL,
        faults=(
            Fault(kind="server_error", from_s=3, to_s=13, status=503),
            Fault(kind="reset", share=0.5, from_s=13, to_s=15),
        ),
    ),
    "garbage": FaultProfile(
        latency=_USUAL,
        faults=(
            Fault(kind="cut_off", share=0.02),
            Fault(kind="garbled", share=0.02),
            Fault(kind="wrong_json", share=0.02),
            Fault(kind="html", share=0.02),
            Fault(kind="error_inside", share=0.02),
            Fault(kind="drip", share=0.02, seconds=2),
        ),
    ),
    "kills": FaultProfile(latency=_USUAL, kill_worker_every_s=5),
}
"""Profiles that users may choose by name; docs/rehearsal.md describes them."""


def parse_fault_profile(raw: object, source: str) -> FaultProfile:
    """Reads a profile.  *source* names it in messages.

    Raises:
        ConfigError: with one line for every problem.
    """
    if not isinstance(raw, Mapping):
        raise ConfigError(f"{source}: expected keys and values such as `latency: {{base: 0.2}}`, got {raw!r:.100}")
    try:
        return FaultProfile.model_validate(raw)
    except ValidationError as error:
        problems = [_explain(problem) for problem in error.errors(include_url=False)]
        raise ConfigError("\n".join(f"{source}: {problem}" for problem in problems)) from error


def _explain(problem: Any) -> str:  # noqa: ANN401 - pydantic's ErrorDetails, a TypedDict of its core
    where = ".".join(str(part) for part in problem["loc"]) or "weather"
    if problem["type"] == "extra_forbidden":
        return f"{where}: unknown key; docs/rehearsal.md lists what a weather may hold"
    return f"{where}: {problem['msg']}, got {problem['input']!r:.100}"
