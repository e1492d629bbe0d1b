-- One row per model call.  called_model is the provider's name of the model that was called, the agent's or a user's.
-- step counts the calls of one role and speaker in one turn; turn and step are NULL in rows of older versions.
CREATE VIEW calls AS
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
    call.turn,
    call.step,
    call.role,
    call.model AS called_model,
    call.prompt_tokens,
    call.completion_tokens,
    call.latency_s,
    call.retries,
    call.finish_reason,
    call.cached,
    call.cached_tokens,
    call.cost_usd
FROM (SELECT *, unnest(calls) AS call, generate_subscripts(calls, 1) AS position FROM episodes);
