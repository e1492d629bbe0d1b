-- The columns of the leaderboard, as pipeline/leaderboard_columns.py declares them.
CREATE VIEW leaderboard_columns AS
FROM (
    VALUES
        {column_rows}
) AS columns (name, family, metric);
