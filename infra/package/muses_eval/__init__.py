"""muses-eval: distributed evaluation of LLM agents that serve many users at once.

The sub-packages are the folders at the top of the repository.  In a checkout they are links to these folders.
"""
