-- The columns of the leaderboard; COLUMNS in storage/analysis/leaderboard.py says the same to Python.
CREATE VIEW leaderboard_columns AS
FROM (
    VALUES
        ('queue_f1', 'queue', 'f1'),
        ('instruct_accuracy', 'instruct', 'accuracy'),
        ('privacy', 'access', 'privacy'),
        ('utility', 'access', 'utility'),
        ('meeting_success', 'meeting', 'success')
) AS columns (name, family, metric);
