-- Privacy and utility up to each round (the paper's figure 4): rounds 1 to the longest of the run, every episode in each.
-- Both are cumulative and have a row for every round: an episode that ended earlier keeps its last value, so the
-- denominator never shrinks.
-- Scores are summed by scenario before last values are repeated: a million episodes become a few thousand rows.
CREATE VIEW privacy_by_round AS
WITH played AS (
    SELECT run_id, model, scenario_id, scores, list_max([s.round for s in scores if s.metric IN ('privacy', 'utility')]) AS ended
    FROM episodes
    WHERE family = 'access' AND outcome = 'scored'
),
rows AS (SELECT run_id, model, scenario_id, ended, unnest(scores) AS score FROM played),
sums AS MATERIALIZED (
    SELECT
        run_id,
        score.scoring,
        model,
        score.metric,
        scenario_id,
        -- Round 0 stands for the whole episode; it is used only for episodes without rounds.
        coalesce(score.round, 0) AS round,
        count(*) AS n,
        fsum(score.value) AS total,
        count(*) FILTER (score.round IS NOT DISTINCT FROM ended) AS n_ended,
        fsum(score.value) FILTER (score.round IS NOT DISTINCT FROM ended) AS total_ended
    FROM rows
    WHERE score.metric IN ('privacy', 'utility') AND (score.round IS NOT NULL OR ended IS NULL)
    GROUP BY ALL
),
last_rounds AS (SELECT run_id, max(round) AS last_round FROM sums GROUP BY ALL),
repeated AS (
    SELECT
        run_id,
        scoring,
        model,
        metric,
        scenario_id,
        unnest(generate_series(round + 1, last_round))::INTEGER AS round,
        n_ended AS n,
        total_ended AS total
    FROM sums
    JOIN last_rounds USING (run_id)
    WHERE n_ended > 0
),
per_scenario AS (
    SELECT run_id, scoring, model, metric, round, scenario_id, sum(n)::BIGINT AS n, fsum(total) AS total
    FROM (
        SELECT run_id, scoring, model, metric, round, scenario_id, n, total FROM sums WHERE round > 0
        UNION ALL
        SELECT run_id, scoring, model, metric, round, scenario_id, n, total FROM repeated
    )
    GROUP BY ALL
)
SELECT run_id, scoring, model, metric, round, episodes, scenarios, mean, se
FROM clustered_sums('per_scenario')
ORDER BY ALL;
