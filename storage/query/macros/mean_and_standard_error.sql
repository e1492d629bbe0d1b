-- Mean and standard error of scores, clustered by scenario, for all views and analyses.
-- Episodes of one scenario are alike, so the scenario is the unit of the error: E. Miller, "Adding Error Bars to Evals",
-- 2024, arXiv:2411.00640, section 2.2, here with the small-sample factor G / (G - 1).  Over G scenarios with n_g episodes
-- each, whose values sum to total_g, and n = Σ n_g:
--     mean = Σ_g total_g / n        SE² = G / (G - 1) · Σ_g (total_g - n_g · mean)² / n²
-- With one episode per scenario this is the usual s / sqrt(n).

-- Aggregates over rows of one scenario each: n, the number of its episodes, and total, the sum of their values.
CREATE MACRO clustered_mean(n, total) AS fsum(total) / sum(n);

-- NULL for a single scenario, which says nothing about others.
CREATE MACRO clustered_se(n, total) AS
sqrt(
    count(*) / nullif(count(*) - 1, 0)
    * list_sum(
        list_transform(list({'n': n, 'total': total}), lambda s: (s.total - s.n * clustered_mean(n, total)) ** 2)
    )
) / sum(n);

-- Aggregates over rows of one independent mean each.  Sorted, so that equal means give equal averages in any order.
CREATE MACRO mean_of_means(mean) AS fsum(mean ORDER BY mean) / count(*);

-- NULL as soon as one of the errors is unknown.
CREATE MACRO mean_of_means_se(se) AS
CASE WHEN count(se) = count(*) THEN sqrt(fsum(se ** 2 ORDER BY se)) / count(*) END;

-- Error of the difference of two independent means.
CREATE MACRO unpaired_difference_se(se_a, se_b) AS sqrt(se_a ** 2 + se_b ** 2);

-- Mean and standard error of rows that are summed by scenario (scenario_id, n, total, and columns that identify the cell:
-- any number, any names).
-- Rounded to 12 digits: threads add in any order, and the same store must give the same figures.
CREATE MACRO clustered_sums(sums) AS TABLE
SELECT
    COLUMNS(* EXCLUDE (scenario_id, n, total)),
    sum(n)::BIGINT AS episodes,
    count(*) AS scenarios,
    round(clustered_mean(n, total), 12) AS mean,
    round(clustered_se(n, total), 12) AS se
FROM query_table(sums)
GROUP BY ALL;

-- The same of single observations (scenario_id, value, and columns that identify the cell).
CREATE MACRO clustered(observations) AS TABLE
WITH per_scenario AS (
    SELECT COLUMNS(* EXCLUDE (scenario_id, value)), scenario_id, count(*) AS n, fsum(value) AS total
    FROM query_table(observations)
    GROUP BY ALL
)
FROM clustered_sums('per_scenario');
