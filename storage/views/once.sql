-- Every planned episode once: of several attempts a scored one, or else the last.
CREATE MACRO once(attempts) AS TABLE
SELECT *
FROM query_table(attempts)
QUALIFY row_number() OVER (PARTITION BY run_id, episode_id ORDER BY (outcome = 'scored') DESC, attempt DESC) = 1;
