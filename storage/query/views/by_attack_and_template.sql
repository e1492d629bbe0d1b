-- Privacy and utility of whole episodes by attack and by the serialisation of the messages (the paper's figure 8).
CREATE VIEW by_attack_and_template AS
WITH observed AS (
    SELECT run_id, scoring, model, attack, template, metric, scenario_id, value
    FROM scores
    WHERE family = 'access' AND metric IN ('privacy', 'utility') AND round IS NULL
)
SELECT run_id, scoring, model, attack, template, metric, episodes, scenarios, mean, se
FROM clustered('observed')
ORDER BY ALL;
