-- Mean and standard error of what has been summed by scenario (scenario_id, n, total, and the columns that name the cell:
-- any number, any names).
-- Episodes of one scenario are alike, so the scenario is the unit of the error (Miller 2024, "Adding Error Bars to
-- Evals", section 2.2), here with the small-sample factor G / (G - 1); storage/analysis/standard_error.py has the same formula in Python.
-- Rounded far below any meaning: threads add up in any order, and the same store is to give the same figures.
CREATE MACRO clustered_sums(sums) AS TABLE
WITH with_mean AS (
    SELECT
        COLUMNS(* EXCLUDE (scenario_id, n, total)),
        sum(n)::BIGINT AS episodes,
        count(*) AS scenarios,
        fsum(total) / sum(n) AS mean,
        list({'n': n, 'total': total}) AS parts
    FROM query_table(sums)
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
