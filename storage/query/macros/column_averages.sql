-- Average of the leaderboard's columns, one row per run, scoring and model, from cells (run_id, scoring, model, name, mean,
-- se).  avg is over the avg_columns columns in which any model of the run has a value; NULL for a model that lacks one.
CREATE MACRO column_averages(cells) AS TABLE
WITH own AS (
    SELECT
        run_id,
        scoring,
        model,
        count(*) AS own_columns,
        mean_of_means(mean) AS own_avg,
        mean_of_means_se(se) AS own_avg_se
    FROM query_table(cells)
    GROUP BY ALL
),
measured AS (SELECT run_id, scoring, count(DISTINCT name) AS avg_columns FROM query_table(cells) GROUP BY ALL)
SELECT
    run_id,
    scoring,
    model,
    CASE WHEN own_columns = avg_columns THEN own_avg END AS avg,
    CASE WHEN own_columns = avg_columns THEN own_avg_se END AS avg_se,
    avg_columns
FROM own
JOIN measured USING (run_id, scoring);
