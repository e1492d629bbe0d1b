-- The scored episodes of a run with the lowest scores.  score: mean of the leaderboard's metrics of the family.
WITH judged AS (
    SELECT
        s.run_id,
        s.episode_id,
        s.model,
        s.family,
        s.scenario_id,
        s.epoch,
        s.num_users,
        concat_ws(' ', s.attack, s.mode, s.disclosure, s.difficulty) AS variant,
        avg(s.value) AS score,
        list({'metric': s.metric, 'value': s.value} ORDER BY s.metric) AS metrics
    FROM scores AS s
    JOIN leaderboard_columns AS c ON c.family = s.family AND c.metric = s.metric
    WHERE s.run_id = $run_id AND s.scoring = $scoring AND s.round IS NULL
        AND ($model IS NULL OR s.model = $model)
        AND ($family IS NULL OR s.family = $family)
    GROUP BY ALL
)
SELECT j.*, e.turns, e.flags
FROM judged AS j
JOIN episodes AS e ON e.run_id = j.run_id AND e.episode_id = j.episode_id
ORDER BY j.score, j.model, j.family, j.episode_id
LIMIT $most;
