-- One row per score.  round is NULL for a score of the whole episode.
CREATE VIEW scores AS
SELECT
    run_id,
    model,
    base_model,
    agent,
    facts,
    family,
    scenario_id,
    episode_id,
    protocol,
    template,
    mode,
    attack,
    disclosure,
    difficulty,
    num_users,
    epoch,
    score.scoring,
    score.metric,
    score.round,
    score.value
FROM (SELECT *, unnest(scores) AS score FROM episodes WHERE outcome = 'scored');
