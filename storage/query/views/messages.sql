-- One row a message, in the order in which they were said (position is 1-based within the episode).
CREATE VIEW messages AS
SELECT
    run_id,
    model,
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
