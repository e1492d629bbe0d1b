-- One row per played episode, with nested columns.  scores have the newest scorer_version.
CREATE VIEW episodes AS
WITH played AS (FROM with_newest_scores('unsettled', 'rescored'))
FROM counted_attempts('played')
UNION ALL
FROM with_newest_scores('settled', 'rescored');
