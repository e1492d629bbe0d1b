-- Mean and standard error of observations (run_id, scoring, model, family, metric, round, scenario_id, value).
-- Episodes of one scenario are alike, so the scenario is the unit of the error (Miller 2024, "Adding Error Bars to
-- Evals", section 2.2), here with the small-sample factor G / (G - 1); storage/stats.py has the same formula in Python.
CREATE MACRO clustered(observations) AS TABLE
WITH per_scenario AS (
    SELECT run_id, scoring, model, family, metric, round, scenario_id, count(*) AS n, fsum(value) AS total
    FROM query_table(observations)
    GROUP BY ALL
),
with_mean AS (
    SELECT
        *,
        (sum(n) OVER cell)::BIGINT AS episodes,
        count(*) OVER cell AS scenarios,
        fsum(total) OVER cell / sum(n) OVER cell AS mean
    FROM per_scenario
    WINDOW cell AS (PARTITION BY run_id, scoring, model, family, metric, round)
)
SELECT
    run_id,
    scoring,
    model,
    family,
    metric,
    round,
    episodes,
    scenarios,
    mean,
    -- NULL for a single scenario, which says nothing of the others.
    sqrt(scenarios / nullif(scenarios - 1, 0) * fsum((total - n * mean) ** 2)) / episodes AS se
FROM with_mean
GROUP BY run_id, scoring, model, family, metric, round, episodes, scenarios, mean;
