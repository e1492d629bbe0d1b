-- Privacy and utility up to each round (the paper's figure 4).
CREATE VIEW privacy_by_round AS
WITH rounds AS (
    FROM scores
    WHERE family = 'access' AND metric IN ('privacy', 'utility') AND round IS NOT NULL
)
SELECT run_id, scoring, model, metric, round, episodes, scenarios, mean, se
FROM clustered('rounds');
