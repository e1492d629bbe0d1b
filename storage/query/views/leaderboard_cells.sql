-- Mean and standard error of every metric, whole episodes only.
CREATE VIEW leaderboard_cells AS
WITH whole AS (
    SELECT run_id, scoring, model, base_model, agent, facts, family, metric, scenario_id, value
    FROM scores
    WHERE round IS NULL
)
SELECT run_id, scoring, model, base_model, agent, facts, family, metric, episodes, scenarios, mean, se
FROM clustered('whole');
