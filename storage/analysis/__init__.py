"""Statistics over scores: the leaderboard, comparisons of models, of runs and of nights."""
