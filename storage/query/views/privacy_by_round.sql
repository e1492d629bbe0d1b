-- Privacy and utility up to each round (the paper's figure 4): rounds 1 to the longest of the run, every episode in each.
-- Both are cumulative and have a row for every round: an episode keeps its last value in rounds without a score, and after
-- its end, so the denominator is the same everywhere and the last row is the mean on the leaderboard.  Each scoring scores
-- rounds of its own: `published` passes over replies that it cannot read.  Before its first scored round an episode has
-- the values of a conversation in which nothing was sent: privacy 1, utility 0.
-- Scores are summed by scenario before values are repeated: a million episodes become a few thousand rows.
CREATE VIEW privacy_by_round AS
WITH played AS (
    SELECT run_id, model, scenario_id, list_filter(scores, lambda s: s.metric IN ('privacy', 'utility')) AS scores
    FROM episodes
    WHERE family = 'access' AND outcome = 'scored'
),
-- One row per episode, scoring and metric; named here, since to collect the names takes a third of the time.
metrics AS (
    SELECT
        * EXCLUDE (scores),
        list_transform(
            list_filter(scores, lambda s: s.scoring = name.scoring AND s.metric = name.metric),
            lambda s: {'round': s.round, 'value': s.value}
        ) AS found
    FROM (
        SELECT
            *,
            unnest([
                {'scoring': 'published', 'metric': 'privacy'},
                {'scoring': 'published', 'metric': 'utility'},
                {'scoring': 'corrected', 'metric': 'privacy'},
                {'scoring': 'corrected', 'metric': 'utility'}
            ]) AS name
        FROM played
    )
),
curves AS (SELECT *, list_sort(list_filter(found, lambda s: s.round IS NOT NULL)) AS scored FROM metrics),
-- The values from round 1 on; an episode without scored rounds has that of the whole episode.
from_start AS (
    SELECT
        * EXCLUDE (found, scored),
        CASE
            WHEN len(scored) = 0 THEN [{'round': 1, 'value': found[1].value}]
            WHEN scored[1].round = 1 THEN scored
            ELSE list_prepend({'round': 1, 'value': CASE name.metric WHEN 'privacy' THEN 1.0 ELSE 0.0 END}, scored)
        END AS points
    FROM curves
),
-- A value holds until the next scored round; the last one to the end of the run's longest episode.
steps AS (
    SELECT
        * EXCLUDE (points),
        unnest(list_transform(points, lambda p, i: {'value': p.value, 'first': p.round, 'next': points[i + 1].round})) AS step
    FROM from_start
),
sums AS MATERIALIZED (
    SELECT
        run_id,
        name.scoring,
        model,
        name.metric,
        scenario_id,
        step.first AS first_round,
        step.next AS next_round,
        count(*) AS n,
        fsum(step.value) AS total
    FROM steps
    WHERE step.value IS NOT NULL -- an episode that lacks the metric
    GROUP BY ALL
),
last_rounds AS (SELECT run_id, max(first_round) AS last_round FROM sums GROUP BY ALL),
repeated AS (
    SELECT
        * EXCLUDE (first_round, next_round, last_round),
        unnest(generate_series(first_round, coalesce(next_round - 1, last_round)))::INTEGER AS round
    FROM sums
    JOIN last_rounds USING (run_id)
),
per_scenario AS (
    SELECT run_id, scoring, model, metric, round, scenario_id, sum(n)::BIGINT AS n, fsum(total) AS total
    FROM repeated
    GROUP BY ALL
)
SELECT run_id, scoring, model, metric, round, episodes, scenarios, mean, se
FROM clustered_sums('per_scenario')
ORDER BY ALL;
