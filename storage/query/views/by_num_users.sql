-- Every column of the leaderboard by the number of users (the paper's figure 9).
CREATE VIEW by_num_users AS
WITH observed AS (
    SELECT run_id, scoring, model, family, metric, num_users, scenario_id, value
    FROM scores
    SEMI JOIN leaderboard_columns USING (family, metric)
    WHERE round IS NULL
)
SELECT run_id, scoring, model, family, metric, num_users, episodes, scenarios, mean, se
FROM clustered('observed')
ORDER BY ALL;
