"""The status of an account is one line, which a narrow terminal gets shorter."""

import pytest
from muses_eval.flows.job.progress import account_lines
from muses_eval.workers.limits import AccountStatus

BUSY = AccountStatus(
    name="openai at https://gateway.example.com/team/v1",
    calls_per_s=20.0,
    tokens_per_s=30_000.0,
    refused_share=0.125,
    failed_share=0.02,
    requests_per_minute=10_000.0,
    tokens_per_minute=2_000_000.0,
    concurrency=256,
    source="headers",
    in_flight=250,
    waiting=1_000,
    paused_s=12.0,
    answered=1,
    refused=1,
    failed=1,
    success_age_s=None,
    try_age_s=None,
    problem=None,
)


@pytest.mark.parametrize(
    ("width", "parts"),
    [
        (None, ["calls/min", "(headers)", "1,800,000 of 2,000,000 tokens/min", "1000 waiting", "paused for 12 s"]),
        (120, ["1.2k/10k calls/min", "250/256 in flight", "1k waiting", "12% refused", "2% failed"]),
        (80, ["1.2k/10k calls/min", "250/256 in flight", "paused 12 s"]),
        (40, ["1.2k/10k calls/min"]),
    ],
)
def test_the_line_fits(width: int | None, parts: list[str]) -> None:
    (line,) = account_lines([BUSY], width)
    assert width is None or len(line) <= width
    assert line.startswith("  open")
    assert all(part in line for part in parts), line
