-- One row a planned episode, nested columns included.  scores are those of the newest scorer_version.
CREATE VIEW episodes AS
WITH played AS (FROM rated('unsettled', 'rescored'))
FROM once('played')
UNION ALL
FROM rated('settled', 'rescored');
