-- Each planned episode once: of several attempts a scored one, or else the last.
CREATE MACRO counted_attempts(attempts) AS TABLE
SELECT *
FROM query_table(attempts)
-- Model and family follow from the episode; named here, they let a query for one of them read no other.
QUALIFY row_number() OVER (
    PARTITION BY run_id, model, family, episode_id ORDER BY (outcome = 'scored') DESC, attempt DESC, shard
) = 1;
