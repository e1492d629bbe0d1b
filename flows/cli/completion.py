"""``muses completion``: the script with which a shell completes commands and options."""

from typing import Annotated, Literal

from cyclopts import Parameter
from muses_eval.flows.cli import DONE
from muses_eval.flows.cli.output import echo


def completion(shell: Annotated[Literal["bash", "zsh", "fish"], Parameter(help="The shell.")], /) -> int:
    """Print the completion script of a shell, such as `eval "$(muses completion bash)"`."""
    from muses_eval.flows.cli.app import app

    echo(app.generate_completion(shell=shell))
    return DONE
