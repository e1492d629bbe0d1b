-- Scores of one run beside the mean of earlier runs' scores of the very same episodes: one row a model, column and episode.
-- Parameters: $run_id, $scoring; $runs, $models, $families (lists of equal length): which earlier runs count for whom.
WITH past AS (SELECT unnest($runs) AS run_id, unnest($models) AS model, unnest($families) AS family),
measured AS (
    SELECT run_id, model, family, scenario_id, episode_id, leaderboard_columns.name, value
    FROM scores
    JOIN leaderboard_columns USING (family, metric)
    WHERE scoring = $scoring AND round IS NULL
),
before AS (
    SELECT model, name, episode_id, avg(value) AS value
    FROM measured
    JOIN past USING (run_id, model, family)
    GROUP BY ALL
)
SELECT model, name, scenario_id, now.value, before.value
FROM measured AS now
JOIN before USING (model, name, episode_id)
WHERE now.run_id = $run_id
ORDER BY ALL;
