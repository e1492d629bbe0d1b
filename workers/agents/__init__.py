"""Plays episodes with agents, harnesses around a model, instead of the model alone.

In reading order: ``harness`` the interface of an agent in one episode · ``session`` the harness in the place of the
model · ``llm`` the model as the agent calls it, with ``chat_arguments`` and ``own_time`` · ``event_log`` what the trace
keeps · ``python_agent`` a class in Python, with ``agent_thread``, ``loop_watch``, ``printed_lines`` and
``agent_traceback`` · ``http_agent`` a service, with ``http_messages`` · ``bridge`` the model for clients of other
libraries, with ``chat_completions`` · ``code_folder`` the imported code · ``agent_host`` the agents of one worker.
"""
