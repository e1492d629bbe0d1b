-- Meetings by how much principals disclose of their calendars (the paper's figure 5): success (0 to 1) and turns (a count).
CREATE VIEW meeting_disclosure AS
WITH observed AS (
    SELECT run_id, scoring, model, disclosure, metric, scenario_id, value
    FROM scores
    WHERE family = 'meeting' AND metric IN ('success', 'turns') AND round IS NULL
)
SELECT run_id, scoring, model, disclosure, metric, episodes, scenarios, mean, se
FROM clustered('observed')
ORDER BY ALL;
