-- The scores of a whole episode, not of its rounds, in one scoring and for these metrics.
CREATE MACRO episode_scores(scores, of_scoring, of_metrics) AS
list_filter(scores, lambda s: s.round IS NULL AND s.scoring = of_scoring AND list_contains(of_metrics, s.metric));
