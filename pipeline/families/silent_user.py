"""The scripted user of families with one turn."""

from muses_eval.pipeline.episode.interfaces import PrincipalView


class SilentUser:
    """A user that never replies: in a family with one turn, all users have written before the agent answers."""

    def speak(self, view: PrincipalView) -> str:  # noqa: ARG002 - part of the protocol
        return ""
