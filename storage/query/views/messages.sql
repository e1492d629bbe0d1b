-- One row per message, in the order of the episode (position starts at 1).
CREATE VIEW messages AS
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
    message.turn,
    message.sender,
    message.audience,
    message.content
FROM (
    SELECT *, unnest(messages) AS message, generate_subscripts(messages, 1) AS position
    FROM episodes
);
