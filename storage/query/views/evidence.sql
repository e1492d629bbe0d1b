-- One row per check behind the scores, in the order of the episode (position starts at 1).  No row for an episode of an
-- older schema version until muses rescore adds its evidence.
CREATE VIEW evidence AS
SELECT
    run_id,
    model,
    base_model,
    agent,
    facts,
    family,
    scenario_id,
    episode_id,
    position,
    item.scoring,
    item.metric,
    item.rule,
    item.verdict,
    item.principal,
    item.turn,
    item.span,
    item.expected,
    item.found
FROM (SELECT *, unnest(evidence) AS item, generate_subscripts(evidence, 1) AS position FROM episodes);
