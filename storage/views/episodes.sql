-- One row a planned episode, nested columns included.  scores are those of the newest scorer_version.
CREATE VIEW episodes AS
WITH attempts AS (FROM rated('traces', 'rescored'))
FROM once('attempts');
