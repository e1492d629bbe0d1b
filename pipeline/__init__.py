"""The definition of an evaluation as frozen values and pure functions.

Nothing in this package uses the network, Ray or Prefect, or reads a file other than its own data.  Suggested reading
order: ``episode.principal`` (the users), ``episode.scenario`` (one problem), ``episode.interfaces`` (the rules of an
episode), ``episode.rules`` and ``episode.serialization`` (the agent's prompt), ``families`` (the four kinds of scenario
of the benchmark), ``protocols`` (the two ways to play a scenario), ``plan.plan`` (the episodes of a run) and ``seeds``.
"""
