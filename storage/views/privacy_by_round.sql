-- Privacy and utility up to each round (the paper's figure 4): rounds 1 to the longest of the run, every episode in each.
-- Both are cumulative, so an episode that ended before a round keeps its last value; the denominator never shrinks.
CREATE VIEW privacy_by_round AS
WITH values_by_round AS (
    -- Round 0 stands for the whole episode: it is seen only where there is no round at all.
    SELECT run_id, scoring, model, metric, scenario_id, episode_id, coalesce(round, 0) AS round, value
    FROM scores
    WHERE family = 'access' AND metric IN ('privacy', 'utility')
),
spans AS (
    SELECT
        *,
        lead(round) OVER (PARTITION BY run_id, episode_id, scoring, metric ORDER BY round) AS next_round,
        max(round) OVER (PARTITION BY run_id) AS last_round
    FROM values_by_round
),
rounds AS (
    SELECT
        run_id,
        scoring,
        model,
        metric,
        unnest(generate_series(greatest(round, 1), coalesce(next_round - 1, last_round)))::INTEGER AS round,
        scenario_id,
        value
    FROM spans
)
SELECT run_id, scoring, model, metric, round, episodes, scenarios, mean, se
FROM clustered('rounds')
ORDER BY ALL;
