-- Attempts with the newest version of their scores, those that were computed again included.
CREATE MACRO rated(attempts, again) AS TABLE
WITH newest AS (
    SELECT run_id, episode_id, scorer_version AS new_version, scores AS new_scores
    FROM query_table(again)
    QUALIFY row_number() OVER (PARTITION BY run_id, episode_id ORDER BY scorer_version DESC) = 1
),
-- Joined on equal keys alone: any other condition would make DuckDB compare every row with every row.
joined AS (
    SELECT *, outcome = 'scored' AND new_version > scorer_version AS is_newer
    FROM query_table(attempts)
    LEFT JOIN newest USING (run_id, episode_id)
)
SELECT
    * EXCLUDE (new_scores, new_version, is_newer)
    REPLACE (
        CASE WHEN is_newer THEN new_scores ELSE scores END AS scores,
        CASE WHEN is_newer THEN new_version ELSE scorer_version END AS scorer_version
    )
FROM joined;
