-- Pairs of models on the scenarios that both have played: one row per pair (a, b) and column, and one row per pair and
-- family with several columns, named total, with the sums over these columns.
-- Parameters: $scoring, $metrics (those of the columns), $family (NULL: all), $run_ids and $models (lists of equal length;
-- models are numbered from 0 in this order), $first and $second (lists of equal length: the numbers a and b of each pair).
-- A unit is a scenario in one template; its value is the mean over its epochs, so a model with more or fewer epochs is
-- still compared on the scenario.  The error of the mean difference is clustered by scenario.
WITH compared AS (
    SELECT unnest($run_ids) AS run_id, unnest($models) AS model, unnest(range(len($models))) AS number
),
wanted AS (SELECT unnest($first)::BIGINT AS a, unnest($second)::BIGINT AS b),
-- Scores are cut down before anything is sorted or grouped, as in leaderboard.sql.
narrow AS (
    SELECT
        number,
        run_id,
        model,
        episode_id,
        family,
        scenario_id,
        template,
        outcome,
        attempt,
        shard,
        scorer_version,
        episode_scores(scores, $scoring, $metrics) AS scores,
        NULL AS evidence
    FROM traces
    JOIN compared USING (run_id, model)
    WHERE outcome = 'scored' AND ($family IS NULL OR family = $family)
),
narrow_again AS (
    SELECT
        run_id,
        episode_id,
        scorer_version,
        episode_scores(scores, $scoring, $metrics) AS scores,
        NULL AS evidence
    FROM rescored
    WHERE list_contains($run_ids, run_id)
),
attempts AS MATERIALIZED (FROM with_newest_scores('narrow', 'narrow_again')),
repeated AS MATERIALIZED (SELECT run_id, episode_id FROM attempts GROUP BY ALL HAVING count(*) > 1),
disputed AS (FROM attempts SEMI JOIN repeated USING (run_id, episode_id)),
played AS (
    FROM attempts ANTI JOIN repeated USING (run_id, episode_id)
    UNION ALL
    FROM counted_attempts('disputed')
),
units AS MATERIALIZED (
    SELECT number, name, family, scenario_id, template, avg(score.value) AS value
    FROM (SELECT *, unnest(scores) AS score FROM played)
    JOIN leaderboard_columns USING (family)
    WHERE score.metric = leaderboard_columns.metric
    GROUP BY ALL
),
sizes AS (SELECT number, name, count(*) AS units FROM units GROUP BY ALL),
-- Numbers in place of names: they are joined and grouped several times as fast.
scenarios AS MATERIALIZED (
    SELECT *, row_number() OVER () AS scenario
    FROM (SELECT DISTINCT family, scenario_id FROM units)
),
cells AS MATERIALIZED (
    SELECT *, row_number() OVER () AS cell
    FROM (
        SELECT DISTINCT name, family FROM units
        UNION ALL
        SELECT 'total', family FROM units GROUP BY family HAVING count(DISTINCT name) > 1
    )
),
numbered AS MATERIALIZED (
    SELECT number, cell, family, scenario, template, value
    FROM units
    JOIN scenarios USING (family, scenario_id)
    JOIN cells USING (name, family)
),
pairs AS MATERIALIZED (
    SELECT a, b, one.cell, one.scenario, one.template, one.value AS value_a, other.value AS value_b
    FROM wanted
    JOIN numbered AS one ON one.number = a
    JOIN numbered AS other ON other.number = b AND other.cell = one.cell AND other.scenario = one.scenario
        AND other.template = one.template
),
totals AS (
    SELECT a, b, whole.cell, scenario, template, sum(value_a) AS value_a, sum(value_b) AS value_b
    FROM pairs
    JOIN cells USING (cell)
    JOIN cells AS whole ON whole.family = cells.family AND whole.name = 'total'
    GROUP BY ALL
),
per_scenario AS (
    SELECT
        a,
        b,
        cell,
        scenario,
        count(*) AS n,
        sum(value_a) AS total_a,
        sum(value_b) AS total_b,
        sum(value_a - value_b) AS total
    FROM (FROM pairs UNION ALL FROM totals)
    GROUP BY ALL
),
differences AS (
    SELECT
        a,
        b,
        cell,
        sum(n)::BIGINT AS pairs,
        count(*) AS scenarios,
        clustered_mean(n, total_a) AS mean_a,
        clustered_mean(n, total_b) AS mean_b,
        clustered_mean(n, total) AS mean,
        clustered_se(n, total) AS se,
        -- Values below 1e-12 are rounding errors.
        count(*) FILTER (total > 1e-12) AS a_better,
        count(*) FILTER (total < -1e-12) AS b_better
    FROM per_scenario
    GROUP BY ALL
)
SELECT
    a,
    b,
    cells.family,
    cells.name,
    mean_a,
    mean_b,
    mean,
    se,
    scenarios,
    pairs,
    a_better,
    b_better,
    -- Number of units that only one of the two models has; NULL for a total.
    of_a.units + of_b.units - 2 * pairs AS left_out
FROM differences
JOIN cells USING (cell)
LEFT JOIN sizes AS of_a ON of_a.number = a AND of_a.name = cells.name
LEFT JOIN sizes AS of_b ON of_b.number = b AND of_b.name = cells.name
ORDER BY ALL;
