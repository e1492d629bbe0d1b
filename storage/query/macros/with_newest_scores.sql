-- Attempts with the newest version of their scores and evidence, rescored ones included.  Of one version, a row with
-- evidence is newer: muses rescore adds it to rows of older schema versions, which have none.
-- Both tables need a column evidence; it may be NULL where only scores are wanted.
CREATE MACRO with_newest_scores(attempts, rescored) AS TABLE
WITH newest AS (
    SELECT run_id, episode_id, scorer_version AS new_version, scores AS new_scores, evidence AS new_evidence
    FROM query_table(rescored)
    QUALIFY row_number() OVER (
        PARTITION BY run_id, episode_id ORDER BY scorer_version DESC, (evidence IS NULL)
    ) = 1
),
-- Joined on equal keys alone: with any other condition DuckDB would compare every row with every row.
joined AS (
    SELECT
        *,
        outcome = 'scored'
        AND (
            new_version > scorer_version
            OR (new_version = scorer_version AND evidence IS NULL AND new_evidence IS NOT NULL)
        ) AS is_newer
    FROM query_table(attempts)
    LEFT JOIN newest USING (run_id, episode_id)
)
SELECT
    * EXCLUDE (new_scores, new_version, new_evidence, is_newer)
    REPLACE (
        CASE WHEN is_newer THEN new_scores ELSE scores END AS scores,
        CASE WHEN is_newer THEN new_version ELSE scorer_version END AS scorer_version,
        CASE WHEN is_newer THEN new_evidence ELSE evidence END AS evidence
    )
FROM joined;
