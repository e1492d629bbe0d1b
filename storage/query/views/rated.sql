-- Attempts with the newest version of their scores.  This text holds where nothing was rescored, and costs nothing;
-- rated_again.sql holds elsewhere.
CREATE MACRO rated(attempts, again) AS TABLE
FROM query_table(attempts);
