"""What children run first that actors begin by multiprocessing, by "spawn" or "forkserver".

Such a child imports the main module of its parent before it unpickles what it is to do. A node says
that this is its main module: so the child finds the code of the node's bundles, by the names that
pickles have for it.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from pathlib import Path

from zactor.bundles import load
from zactor.bundles.store import BundleStore

VARIABLE = "ZACTOR_BUNDLES"
"""Of the environment: the folder of the store."""

_NAME = "zactor.supervisor.deployment.spawned_child"


def be_main(folder: Path) -> None:
    """From now on children that are spawned here find the bundles in `folder`."""
    os.environ[VARIABLE] = str(folder)
    sys.modules["__main__"].__spec__ = importlib.util.find_spec(_NAME)


if __name__ == "__mp_main__" and VARIABLE in os.environ:
    load.attach(BundleStore(os.environ[VARIABLE]))
