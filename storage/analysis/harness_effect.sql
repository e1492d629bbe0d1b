-- Usage per episode of agents and of their models alone, over the episodes that both have scored: one row per agent and
-- family, and one per agent over all families (family NULL).
-- Parameters: $run_id, $family (NULL: all), $agents and $alone (lists of equal length: names of the entries).
-- Calls of the agent count, those of simulated users do not; seconds are those of the whole episode.  A mean is NULL as soon
-- as the figure of one episode is unknown.  A reply from our response cache cost nothing and took no time, which says
-- nothing about the agent: cost and seconds of its episode are unknown.  Episodes that a night copied keep their seconds.
WITH compared AS (SELECT unnest($agents)::VARCHAR AS entry, unnest($alone)::VARCHAR AS alone),
played AS (
    SELECT
        model,
        family,
        scenario_id,
        template,
        epoch,
        seconds,
        flags,
        list_filter(calls, lambda call: call.role = 'agent') AS own
    FROM episodes
    WHERE
        run_id = $run_id
        AND outcome = 'scored'
        AND ($family IS NULL OR family = $family)
        AND (list_contains($agents, model) OR list_contains($alone, model))
),
figures AS MATERIALIZED (
    SELECT
        model,
        family,
        scenario_id,
        template,
        epoch,
        len(own) AS calls,
        list_aggregate([coalesce(call.prompt_tokens + call.completion_tokens, 'nan'::DOUBLE) for call in own], 'sum') AS tokens,
        list_contains([call.cached for call in own], true) AS is_cached,
        list_aggregate([coalesce(call.cost_usd, 'nan'::DOUBLE) for call in own], 'fsum') AS cost_usd,
        seconds,
        list_contains(flags, 'reused') AS is_reused,
        list_contains(flags, 'agent_error') AS failed
    FROM played
),
known AS (
    SELECT
        * REPLACE (
            CASE WHEN calls = 0 THEN 0.0 WHEN NOT isnan(tokens) THEN tokens END AS tokens,
            CASE WHEN calls = 0 THEN 0.0 WHEN NOT is_cached AND NOT isnan(cost_usd) THEN cost_usd END AS cost_usd,
            CASE WHEN is_reused OR NOT is_cached THEN seconds END AS seconds
        )
    FROM figures
)
SELECT
    entry,
    agent.family,
    count(*) AS episodes,
    CASE WHEN count(alone.cost_usd) = count(*) THEN fsum(alone.cost_usd) / count(*) END AS alone_cost_usd,
    CASE WHEN count(alone.tokens) = count(*) THEN fsum(alone.tokens) / count(*) END AS alone_tokens,
    avg(alone.calls) AS alone_calls,
    CASE WHEN count(alone.seconds) = count(*) THEN fsum(alone.seconds) / count(*) END AS alone_seconds,
    CASE WHEN count(agent.cost_usd) = count(*) THEN fsum(agent.cost_usd) / count(*) END AS agent_cost_usd,
    CASE WHEN count(agent.tokens) = count(*) THEN fsum(agent.tokens) / count(*) END AS agent_tokens,
    avg(agent.calls) AS agent_calls,
    CASE WHEN count(agent.seconds) = count(*) THEN fsum(agent.seconds) / count(*) END AS agent_seconds,
    count(*) FILTER (agent.failed) / count(*) AS agent_error_share
FROM compared
JOIN known AS agent ON agent.model = entry
JOIN known AS alone ON alone.model = compared.alone AND alone.family = agent.family
    AND alone.scenario_id = agent.scenario_id AND alone.template = agent.template AND alone.epoch = agent.epoch
GROUP BY GROUPING SETS ((entry, agent.family), (entry))
ORDER BY entry, agent.family NULLS LAST;
