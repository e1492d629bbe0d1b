-- What a leaderboard is made of: one row a run, model and family, whether planned or played.
-- Parameters: $scoring, $run_id (NULL: all runs), $metrics (those of the columns).
-- The scores are cut down to the columns' metrics before anything is sorted or grouped: five times as fast as the view scores.
WITH narrow AS (
    SELECT
        run_id,
        episode_id,
        model,
        family,
        scenario_id,
        outcome,
        attempt,
        cost_usd,
        list_filter(
            scores,
            lambda s: s.round IS NULL
                AND s.scoring = $scoring
                AND list_contains($metrics, s.metric)
        ) AS scores
    FROM traces
    WHERE $run_id IS NULL OR run_id = $run_id
),
played AS MATERIALIZED (FROM once('narrow')),
observed AS (
    SELECT run_id, score.scoring, model, family, score.metric, score.round, scenario_id, score.value
    FROM (SELECT *, unnest(scores) AS score FROM played WHERE outcome = 'scored')
),
cells AS (
    SELECT run_id, model, family, list({'metric': metric, 'episodes': episodes, 'mean': mean, 'se': se}) AS cells
    FROM clustered('observed')
    GROUP BY ALL
),
outcomes AS (
    SELECT
        run_id,
        model,
        family,
        histogram(outcome) AS outcomes,
        fsum(cost_usd) AS cost_usd,
        count(*) FILTER (outcome = 'scored' AND cost_usd IS NULL) AS unknown_costs
    FROM played
    GROUP BY ALL
),
planned AS (
    SELECT run_id, cell.model, cell.family, cell.episodes AS planned
    FROM (SELECT run_id, unnest(planned) AS cell FROM runs WHERE $run_id IS NULL OR run_id = $run_id)
)
SELECT run_id, model, family, planned, outcomes, cost_usd, unknown_costs, cells
FROM planned
FULL JOIN outcomes USING (run_id, model, family)
LEFT JOIN cells USING (run_id, model, family)
ORDER BY run_id, model, family;
