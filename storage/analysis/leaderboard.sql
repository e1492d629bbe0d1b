-- What a leaderboard is made of: one row a run, model and family, whether planned or played.
-- Parameters: $scoring, $run_id (NULL: all runs), $metrics (those of the columns).
-- The scores are cut down to the columns' metrics before anything is sorted or grouped: five times as fast as the view scores.
-- Settled rows are read where they lie, once for the scores and once for the few small columns of the outcomes: keeping
-- them in memory would cost as much as reading them.
WITH again AS (
    SELECT run_id, episode_id, scorer_version, picked(scores, $scoring, $metrics) AS scores
    FROM rescored
    WHERE $run_id IS NULL OR run_id = $run_id
),
attempts AS MATERIALIZED (
    SELECT
        run_id,
        episode_id,
        model,
        family,
        scenario_id,
        outcome,
        attempt,
        shard,
        cost_usd,
        scorer_version,
        picked(scores, $scoring, $metrics) AS scores
    FROM unsettled
    WHERE $run_id IS NULL OR run_id = $run_id
),
-- Few episodes have several attempts: to sort those alone takes half as long as to sort all.
repeated AS MATERIALIZED (SELECT run_id, episode_id FROM attempts GROUP BY ALL HAVING count(*) > 1),
disputed AS (FROM attempts SEMI JOIN repeated USING (run_id, episode_id)),
counting AS MATERIALIZED (
    FROM attempts ANTI JOIN repeated USING (run_id, episode_id)
    UNION ALL
    FROM once('disputed')
),
played AS NOT MATERIALIZED (
    FROM counting
    UNION ALL
    SELECT
        run_id,
        episode_id,
        model,
        family,
        scenario_id,
        outcome,
        attempt,
        shard,
        cost_usd,
        scorer_version,
        picked(scores, $scoring, $metrics) AS scores
    FROM settled
    WHERE $run_id IS NULL OR run_id = $run_id
),
observed AS (
    SELECT run_id, model, family, score.metric, scenario_id, score.value
    FROM (SELECT *, unnest(scores) AS score FROM rated('played', 'again') WHERE outcome = 'scored')
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
        count(*) FILTER (cost_usd IS NULL) AS unknown_costs
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
