"""Loads the agents of a configuration: their classes, their code and their options.

In reading order: ``load_agents`` the agents of a configuration · ``agent_class`` imports and checks a class ·
``source_closure`` the files of which the class consists.
"""
