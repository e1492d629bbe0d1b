-- One run against the mean of earlier runs, episode by episode: one row per model and column, over the episodes that both
-- have, with the mean of the differences clustered by scenario.
-- Parameters: $run_id, $scoring; $runs, $models, $families (lists of equal length): the earlier runs of a model and family.
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
),
per_scenario AS (
    SELECT
        model,
        name,
        scenario_id,
        count(*) AS n,
        fsum(now.value) AS total_now,
        fsum(before.value) AS total_before,
        fsum(now.value - before.value) AS total
    FROM measured AS now
    JOIN before USING (model, name, episode_id)
    WHERE now.run_id = $run_id
    GROUP BY ALL
)
SELECT
    model,
    name,
    count(*) AS scenarios,
    clustered_mean(n, total_now) AS mean_now,
    clustered_mean(n, total_before) AS mean_before,
    clustered_mean(n, total) AS mean,
    clustered_se(n, total) AS se
FROM per_scenario
GROUP BY ALL
ORDER BY ALL;
