-- Cost of conflicting instructions (the paper's figure 3): instruct accuracy in mode aligned minus that in mode conflict.
-- The two modes have different scenarios, so the difference is unpaired; NULL for a model with scores in one mode only.
CREATE VIEW conflict_gap AS
WITH observed AS (
    SELECT run_id, scoring, model, mode, scenario_id, value
    FROM scores
    WHERE family = 'instruct' AND metric = 'accuracy' AND round IS NULL
),
modes AS MATERIALIZED (FROM clustered('observed')),
aligned AS (
    SELECT run_id, scoring, model, mean AS aligned, se AS aligned_se, episodes AS aligned_episodes
    FROM modes
    WHERE mode = 'aligned'
),
conflict AS (
    SELECT run_id, scoring, model, mean AS conflict, se AS conflict_se, episodes AS conflict_episodes
    FROM modes
    WHERE mode = 'conflict'
)
SELECT
    run_id,
    scoring,
    model,
    aligned - conflict AS gap,
    unpaired_difference_se(aligned_se, conflict_se) AS gap_se,
    aligned,
    aligned_se,
    aligned_episodes,
    conflict,
    conflict_se,
    conflict_episodes
FROM aligned
FULL JOIN conflict USING (run_id, scoring, model)
ORDER BY ALL;
