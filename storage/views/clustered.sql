-- Mean and standard error of observations (scenario_id, value, and the columns that name the cell: any number, any names).
-- Episodes of one scenario are alike, so the scenario is the unit of the error (Miller 2024, "Adding Error Bars to
-- Evals", section 2.2), here with the small-sample factor G / (G - 1); storage/stats.py has the same formula in Python.
-- Rounded far below any meaning: threads add up in any order, and the same store is to give the same figures.
CREATE MACRO clustered(observations) AS TABLE
WITH per_scenario AS (
    SELECT COLUMNS(* EXCLUDE (scenario_id, value)), scenario_id, count(*) AS n, fsum(value) AS total
    FROM query_table(observations)
    GROUP BY ALL
),
with_mean AS (
    SELECT
        COLUMNS(* EXCLUDE (scenario_id, n, total)),
        sum(n)::BIGINT AS episodes,
        count(*) AS scenarios,
        fsum(total) / sum(n) AS mean,
        list({'n': n, 'total': total}) AS parts
    FROM per_scenario
    GROUP BY ALL
)
SELECT
    * EXCLUDE (parts) REPLACE (round(mean, 12) AS mean),
    -- NULL for a single scenario, which says nothing of the others.
    round(
        sqrt(
            scenarios / nullif(scenarios - 1, 0)
            * list_sum(list_transform(parts, lambda p: (p.total - p.n * with_mean.mean) ** 2))
        ) / episodes,
        12
    ) AS se
FROM with_mean;
