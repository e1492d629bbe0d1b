-- What models were asked and what that used, one row a run, model, family and role (agent, user); pipeline/episode/call_usage.py counts
-- the same way.  Of several attempts of an episode the one that counts, so that sealing a run changes no figure.
-- Answers out of our own response cache used nothing: they are counted in cached_calls alone.  Token sums are of the calls
-- that reported them, NULL when none did; uncounted says how many did not.  cost_usd is NULL when that of one call is
-- unknown.  cache_hit_rate: of the prompt tokens of calls that tell about their prefix cache, the share that was in it.
CREATE VIEW usage AS
WITH asked AS (
    SELECT run_id, model, family, unnest(calls) AS call
    FROM episodes
),
summed AS (
    SELECT
        run_id,
        model,
        family,
        call.role,
        count(*) FILTER (NOT call.cached) AS calls,
        count(*) FILTER (call.cached) AS cached_calls,
        sum(call.retries) FILTER (NOT call.cached)::BIGINT AS retries,
        sum(call.prompt_tokens) FILTER (NOT call.cached)::BIGINT AS prompt_tokens,
        sum(call.completion_tokens) FILTER (NOT call.cached)::BIGINT AS completion_tokens,
        sum(call.cached_tokens) FILTER (NOT call.cached)::BIGINT AS cached_tokens,
        sum(call.prompt_tokens) FILTER (NOT call.cached AND call.cached_tokens IS NOT NULL) AS told_tokens,
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
    family,
    role,
    calls,
    cached_calls,
    retries,
    prompt_tokens,
    completion_tokens,
    cached_tokens,
    cached_tokens / nullif(told_tokens, 0) AS cache_hit_rate,
    uncounted,
    CASE WHEN calls = 0 THEN 0.0 WHEN unpriced = 0 THEN known_usd END AS cost_usd,
    unpriced
FROM summed
ORDER BY ALL;
