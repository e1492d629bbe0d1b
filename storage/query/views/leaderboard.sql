-- One row a run, scoring and model: the columns of the paper's table 2 (0 to 1) and their mean.  avg is over the
-- avg_columns columns in which any model of the run has a value, NULL for a model that lacks one of them; episodes
-- counts scored ones.  What is planned and not played is not here: `muses leaderboard` has coverage, bounds and ranks.
CREATE VIEW leaderboard AS
WITH observed AS (
    SELECT run_id, scoring, model, name, scenario_id, value
    FROM scores
    JOIN leaderboard_columns USING (family, metric)
    WHERE round IS NULL
),
cells AS MATERIALIZED (FROM clustered('observed')),
models AS (
    SELECT
        run_id,
        scoring,
        model,
        {column_figures},
        count(*) AS own_columns,
        fsum(mean) / count(*) AS own_avg,
        -- Unknown as soon as one error is.
        CASE WHEN count(se) = count(*) THEN sqrt(fsum(se ** 2)) / count(*) END AS own_avg_se
    FROM cells
    GROUP BY ALL
),
wanted AS (SELECT run_id, scoring, count(DISTINCT name) AS avg_columns FROM cells GROUP BY ALL),
played AS (SELECT run_id, model, count(*) AS episodes FROM episodes WHERE outcome = 'scored' GROUP BY ALL)
SELECT
    * EXCLUDE (own_columns, own_avg, own_avg_se, avg_columns, episodes),
    CASE WHEN own_columns = avg_columns THEN own_avg END AS avg,
    CASE WHEN own_columns = avg_columns THEN own_avg_se END AS avg_se,
    avg_columns,
    episodes
FROM models
JOIN wanted USING (run_id, scoring)
JOIN played USING (run_id, model)
ORDER BY run_id, scoring, avg DESC NULLS LAST, model;
