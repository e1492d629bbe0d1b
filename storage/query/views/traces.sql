-- The rows as they are stored, every attempt of an episode.
CREATE VIEW traces AS
FROM settled
UNION ALL
FROM unsettled;
