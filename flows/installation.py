"""Where the running code lies: the package, and the checkout that it may come from."""

from pathlib import Path

import muses_eval

PACKAGE = Path(muses_eval.__file__).parent
"""Folder of the package ``muses_eval``.  In a checkout its sub-packages are links to the folders at the top."""
CHECKOUT = Path(__file__).resolve().parents[1]
"""Folder of the repository.  It has neither ``.git`` nor ``infra/`` when the code was installed from a wheel."""
DEPLOYMENTS = PACKAGE / "prefect.yaml"
"""The deployments that ``muses deploy`` registers by default."""
