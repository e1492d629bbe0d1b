"""``python -m flows.cli``: the same as ``muses``, from a checkout that is not installed."""

import sys

from flows.cli import main

sys.exit(main())
