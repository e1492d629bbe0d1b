-- The effect of an agent: its scores minus those of its model alone (agent chat), one row per run, scoring, agent and column
-- of the leaderboard, over the scenarios that both have; differences are -1 to 1.  A unit is a scenario in one template, its
-- value the mean over its epochs; the error is clustered by scenario.  Agents whose model the run did not evaluate alone
-- are not here.  `muses harness` has tests, corrected p-values and costs.
CREATE VIEW harness_effect AS
WITH units AS MATERIALIZED (
    SELECT run_id, scoring, base_model, agent, facts, name, scenario_id, template, avg(value) AS value
    FROM scores
    JOIN leaderboard_columns USING (family, metric)
    WHERE round IS NULL
    GROUP BY ALL
),
alone AS (SELECT run_id, scoring, base_model, name, scenario_id, template, value FROM units WHERE agent = 'chat'),
paired AS (
    SELECT
        run_id,
        scoring,
        base_model,
        units.agent,
        units.facts,
        name,
        scenario_id,
        units.value - alone.value AS value
    FROM units
    JOIN alone USING (run_id, scoring, base_model, name, scenario_id, template)
    WHERE units.agent <> 'chat'
)
SELECT run_id, scoring, base_model, agent, facts, name AS column_name, mean AS difference, se, scenarios
FROM clustered('paired')
ORDER BY ALL;
