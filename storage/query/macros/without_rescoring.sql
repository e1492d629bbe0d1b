-- Attempts with the newest version of their scores, in a store in which nothing was rescored: costs no join.
-- with_newest_scores.sql defines the same macro for all other stores.
CREATE MACRO with_newest_scores(attempts, rescored) AS TABLE
FROM query_table(attempts);
