-- Of one episode's scores those of the whole episode, in one scoring and these metrics.
CREATE MACRO picked(scores, of_scoring, of_metrics) AS
list_filter(scores, lambda s: s.round IS NULL AND s.scoring = of_scoring AND list_contains(of_metrics, s.metric));
