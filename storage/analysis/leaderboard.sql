-- The parts of a leaderboard: one row per run, model and family that is planned or played, with the average of the model.
-- Parameters: $scoring, $run_id (NULL: all runs), $columns (names), $metrics (those of the columns, and those that tell
-- which rows are left out) and $released (true: without the rows that the averages of the released code leave out).
-- Scores are cut down to the columns' metrics before anything is sorted or grouped: five times as fast as the view scores.
-- Settled rows are read where they lie, once for the scores and once for the few small columns of the outcomes: to keep
-- them in memory would cost as much as to read them.
WITH again AS (
    SELECT run_id, episode_id, scorer_version, episode_scores(scores, $scoring, $metrics) AS scores, NULL AS evidence
    FROM rescored
    WHERE $run_id IS NULL OR run_id = $run_id
),
attempts AS MATERIALIZED (
    SELECT
        run_id,
        episode_id,
        model,
        base_model,
        agent,
        facts,
        agent <> 'chat' AND list_contains(flags, 'agent_error') AS agent_failed,
        family,
        scenario_id,
        outcome,
        attempt,
        shard,
        cost_usd,
        scorer_version,
        turns,
        unusable_replies(unusable, flags) AS unusable,
        episode_scores(scores, $scoring, $metrics) AS scores,
        NULL AS evidence
    FROM unsettled
    WHERE $run_id IS NULL OR run_id = $run_id
),
-- Few episodes have several attempts: to sort those alone takes half as long as to sort all.
repeated AS MATERIALIZED (SELECT run_id, episode_id FROM attempts GROUP BY ALL HAVING count(*) > 1),
disputed AS (FROM attempts SEMI JOIN repeated USING (run_id, episode_id)),
counted AS MATERIALIZED (
    FROM attempts ANTI JOIN repeated USING (run_id, episode_id)
    UNION ALL
    FROM counted_attempts('disputed')
),
played AS NOT MATERIALIZED (
    FROM counted
    UNION ALL
    SELECT
        run_id,
        episode_id,
        model,
        base_model,
        agent,
        facts,
        agent <> 'chat' AND list_contains(flags, 'agent_error') AS agent_failed,
        family,
        scenario_id,
        outcome,
        attempt,
        shard,
        cost_usd,
        scorer_version,
        turns,
        unusable_replies(unusable, flags) AS unusable,
        episode_scores(scores, $scoring, $metrics) AS scores,
        NULL AS evidence
    FROM settled
    WHERE $run_id IS NULL OR run_id = $run_id
),
scored AS NOT MATERIALIZED (FROM with_newest_scores('played', 'again') WHERE outcome = 'scored'),
observed AS (
    SELECT run_id, model, family, score.metric, scenario_id, score.value
    FROM (SELECT *, unnest(scores) AS score FROM scored WHERE NOT $released OR NOT is_left_out(scores))
),
left_out AS (
    SELECT
        run_id,
        model,
        family,
        count(*) FILTER (is_left_out(scores)) AS left_out,
        count(*) FILTER (NOT knows_left_out(scores)) AS unknown_rows
    FROM scored
    WHERE $released
    GROUP BY ALL
),
cells AS MATERIALIZED (
    SELECT run_id, $scoring AS scoring, model, family, name, mean, se
    FROM clustered('observed')
    JOIN leaderboard_columns USING (family, metric)
    WHERE list_contains($columns, name)
),
estimates AS (
    SELECT
        run_id,
        model,
        family,
        map_from_entries(list({'k': name, 'v': {'mean': mean, 'se': se}})) AS estimates
    FROM cells
    GROUP BY ALL
),
averages AS (SELECT run_id, model, avg, avg_se, avg_columns FROM column_averages('cells')),
outcomes AS (
    SELECT
        run_id,
        model,
        family,
        any_value(base_model) AS base_model,
        any_value(agent) AS agent,
        any_value(facts) AS facts,
        count(*) FILTER (outcome = 'scored' AND agent_failed) AS agent_errors,
        sum(turns) FILTER (outcome = 'scored')::BIGINT AS replies,
        {
            'overflowed': sum(unusable.overflowed) FILTER (outcome = 'scored')::BIGINT,
            'filtered': sum(unusable.filtered) FILTER (outcome = 'scored')::BIGINT,
            'truncated': sum(unusable.truncated) FILTER (outcome = 'scored')::BIGINT,
            'empty': sum(unusable.empty) FILTER (outcome = 'scored')::BIGINT,
            'unreadable': sum(unusable.unreadable) FILTER (outcome = 'scored')::BIGINT
        } AS unusable,
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
SELECT
    run_id,
    model,
    family,
    planned,
    -- An entry that was not played is in the manifest, which says more.
    coalesce(base_model, model) AS base_model,
    coalesce(agent, 'chat') AS agent,
    coalesce(facts, 'prose') AS facts,
    coalesce(agent_errors, 0) AS agent_errors,
    coalesce(replies, 0) AS replies,
    unusable,
    outcomes,
    cost_usd,
    unknown_costs,
    coalesce(left_out, 0) AS left_out,
    coalesce(unknown_rows, 0) AS unknown_rows,
    estimates,
    avg,
    avg_se,
    coalesce(max(avg_columns) OVER (PARTITION BY run_id), 0) AS avg_columns
FROM planned
FULL JOIN outcomes USING (run_id, model, family)
LEFT JOIN left_out USING (run_id, model, family)
LEFT JOIN estimates USING (run_id, model, family)
LEFT JOIN averages USING (run_id, model)
ORDER BY run_id, model, family;
