-- Model calls and what they used, one row per run, model, family and role (agent, user); pipeline/episode/call_usage.py
-- counts in the same way.  Of several attempts of an episode only the one that counts is included, so sealing a run changes
-- no figure.  Calls that our own response cache answered used nothing and are counted in cached_calls alone.  Token sums
-- cover the calls that reported tokens, NULL when none did; uncounted is the number of the other calls.  cost_usd is NULL
-- when the cost of one call is unknown.  cache_hit_rate: share of prompt tokens that were in the provider's prefix cache,
-- over the calls that reported it.
CREATE VIEW usage AS
WITH asked AS (
    SELECT run_id, model, base_model, agent, facts, family, unnest(calls) AS call
    FROM episodes
),
summed AS (
    SELECT
        run_id,
        model,
        base_model,
        agent,
        facts,
        family,
        call.role,
        count(*) FILTER (NOT call.cached) AS calls,
        count(*) FILTER (call.cached) AS cached_calls,
        sum(call.retries) FILTER (NOT call.cached)::BIGINT AS retries,
        sum(call.prompt_tokens) FILTER (NOT call.cached)::BIGINT AS prompt_tokens,
        sum(call.completion_tokens) FILTER (NOT call.cached)::BIGINT AS completion_tokens,
        sum(call.cached_tokens) FILTER (NOT call.cached)::BIGINT AS cached_tokens,
        sum(call.prompt_tokens) FILTER (NOT call.cached AND call.cached_tokens IS NOT NULL) AS cache_known_tokens,
        count(*) FILTER (
            NOT call.cached AND (call.prompt_tokens IS NULL OR call.completion_tokens IS NULL)
        ) AS uncounted,
        fsum(call.cost_usd) FILTER (NOT call.cached) AS known_usd,
        count(*) FILTER (NOT call.cached AND call.cost_usd IS NULL) AS unpriced
    FROM asked
    GROUP BY ALL
)
SELECT
    run_id,
    model,
    base_model,
    agent,
    facts,
    family,
    role,
    calls,
    cached_calls,
    retries,
    prompt_tokens,
    completion_tokens,
    cached_tokens,
    cached_tokens / nullif(cache_known_tokens, 0) AS cache_hit_rate,
    uncounted,
    CASE WHEN calls = 0 THEN 0.0 WHEN unpriced = 0 THEN known_usd END AS cost_usd,
    unpriced
FROM summed
ORDER BY ALL;
