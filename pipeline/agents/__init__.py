"""Agents: harnesses around a model, which are evaluated instead of the model alone.

In reading order: ``agent_spec`` the agent of a run · ``facts`` the structured facts of a scenario · ``interface`` what
an agent receives and returns, which ``muses_eval.agents`` offers to users.

The reference agents: ``prompt`` · ``told`` · ``guard`` with ``resource_guard``, ``telling_parts`` and
``schedule_guard``.
"""
