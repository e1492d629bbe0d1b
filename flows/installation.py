"""Folders of the installed package and of the repository."""

from pathlib import Path

import muses_eval

PACKAGE = Path(muses_eval.__file__).parent
"""Folder of the package ``muses_eval``.  In a checkout, its sub-packages are links to the top-level folders."""
CHECKOUT = Path(__file__).resolve().parents[1]
"""Folder of the repository.  Without ``.git`` and ``infra/`` when the code was installed from a wheel."""
DEPLOYMENTS = PACKAGE / "prefect.yaml"
"""The deployments that ``muses deploy`` registers by default."""
