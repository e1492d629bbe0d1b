"""The command ``muses``: data on stdout, everything else on stderr, and documented exit codes.

0 done · 2 bad config or usage · 3 finished, coverage below the target or too many unusable replies of all models ·
4 budget reached · 130 interrupted
"""

import asyncio
import shlex
import sys

from muses_eval.flows.cli.streams import flush_or_discard, prepare_streams
from muses_eval.flows.cli.system_error import explain_system_error
from muses_eval.pipeline.errors import Interrupted, MusesError

DONE, BAD_USAGE, COVERAGE_SHORT, BUDGET_REACHED, INTERRUPTED = 0, 2, 3, 4, 130


def main(arguments: list[str] | None = None) -> int:
    """Runs one command and returns its exit code; the console script's entry point."""
    from cyclopts import CycloptsError, UnknownOptionError
    from muses_eval.flows.cli.app import app

    tokens = sys.argv[1:] if arguments is None else arguments
    prepare_streams()
    try:
        code = app(tokens, exit_on_error=False, print_error=False, result_action="return_value")
        sys.stdout.flush()
    except CycloptsError as error:
        see = shlex.join(("muses", *(error.command_chain or ()), "--help"))
        option = error.token if isinstance(error, UnknownOptionError) else None
        name = "" if option is None else (option.keyword or option.value).removeprefix("--")
        command = f" `muses {name}` is a command of its own." if name in app else ""
        return _say(f"{error}{command}\nSee: {see}", BAD_USAGE)
    except MusesError as error:
        return _say(str(error), error.exit_code)
    except (KeyboardInterrupt, asyncio.CancelledError):
        return _say(str(Interrupted("Interrupted.")), INTERRUPTED)
    except BrokenPipeError:  # the reader, such as `head`, closed the pipe
        flush_or_discard()
        return DONE
    except (OSError, RuntimeError) as error:
        explained = explain_system_error(error)
        if explained is None:
            raise
        flush_or_discard()
        return _say(explained, BAD_USAGE)
    return code if isinstance(code, int) else DONE


def _say(text: str, code: int) -> int:
    from muses_eval.pipeline.text.credential_masking import mask_credentials

    print(f"muses: {mask_credentials(text)[0]}", file=sys.stderr)  # noqa: T201 - the command line talks
    return code
