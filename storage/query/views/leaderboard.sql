-- One row per run, scoring and model: the columns of the paper's table 2 (0 to 1) and their mean.  avg is over the
-- avg_columns columns in which any model of the run has a value, NULL for a model that lacks one of them; episodes
-- counts scored ones.  Episodes that were not played are not here: `muses leaderboard` has coverage, bounds and ranks.
CREATE VIEW leaderboard AS
WITH observed AS (
    SELECT run_id, scoring, model, name, scenario_id, value
    FROM scores
    JOIN leaderboard_columns USING (family, metric)
    WHERE round IS NULL
),
cells AS MATERIALIZED (FROM clustered('observed')),
models AS (SELECT run_id, scoring, model, {column_figures} FROM cells GROUP BY ALL),
averages AS (FROM column_averages('cells')),
played AS (
    SELECT run_id, model, base_model, agent, facts, any_value(protocol) AS protocol, count(*) AS episodes
    FROM episodes
    WHERE outcome = 'scored'
    GROUP BY ALL
)
SELECT run_id, scoring, model, base_model, agent, facts, * EXCLUDE (run_id, scoring, model, base_model, agent, facts)
FROM models
JOIN averages USING (run_id, scoring, model)
JOIN played USING (run_id, model)
ORDER BY run_id, scoring, avg DESC NULLS LAST, model;
