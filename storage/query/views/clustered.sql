-- Mean and standard error, clustered by scenario, of observations (scenario_id, value, and the columns that name the cell:
-- any number, any names).
CREATE MACRO clustered(observations) AS TABLE
WITH per_scenario AS (
    SELECT COLUMNS(* EXCLUDE (scenario_id, value)), scenario_id, count(*) AS n, fsum(value) AS total
    FROM query_table(observations)
    GROUP BY ALL
)
FROM clustered_sums('per_scenario');
