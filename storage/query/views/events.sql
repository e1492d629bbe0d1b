-- One row per event inside an agent, in the order of the episode (position starts at 1): lines that it logged (log), replies
-- of its model (call) and tracebacks of turns in which it failed (error).  step is the number of its model calls in the
-- turn until then, for a call its own number.  The model alone (agent chat) has no events.
CREATE VIEW events AS
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
    event.turn,
    event.step,
    event.kind,
    event.text
FROM (SELECT *, unnest(events) AS event, generate_subscripts(events, 1) AS position FROM episodes);
