-- One row per score and scorer version, the first and all later ones; newest marks the scores of the other views.
CREATE VIEW score_versions AS
WITH played AS (
    SELECT run_id, model, base_model, agent, facts, family, scenario_id, episode_id, scorer_version, scores
    FROM (FROM counted_attempts('unsettled') UNION ALL FROM settled)
    WHERE outcome = 'scored'
),
versions AS (
    FROM played
    UNION ALL
    SELECT
        run_id,
        model,
        base_model,
        agent,
        facts,
        family,
        scenario_id,
        episode_id,
        rescored.scorer_version,
        rescored.scores
    FROM rescored
    JOIN played USING (run_id, episode_id)
    WHERE rescored.scorer_version > played.scorer_version
    -- An episode is rescored a second time by one version to add its evidence.
    QUALIFY row_number() OVER (PARTITION BY run_id, episode_id, rescored.scorer_version) = 1
),
marked AS (
    SELECT *, scorer_version = max(scorer_version) OVER (PARTITION BY run_id, episode_id) AS newest
    FROM versions
)
SELECT
    run_id,
    model,
    base_model,
    agent,
    facts,
    family,
    scenario_id,
    episode_id,
    scorer_version,
    newest,
    score.scoring,
    score.metric,
    score.round,
    score.value
FROM (SELECT *, unnest(scores) AS score FROM marked);
