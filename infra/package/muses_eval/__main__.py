"""``python -m muses_eval``: the same as the command ``muses``."""

import sys

from muses_eval.flows.cli import main

sys.exit(main())
