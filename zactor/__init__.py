"""zactor: networks of interacting actors over many machines, deployed from one console."""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from zactor.kernel.errors import ZactorError as ZactorError

_HOMES: dict[str, str] = {}


def __getattr__(name: str) -> object:
    """Import a public name when it is first used (PEP 562): `import zactor` loads no ZeroMQ."""
    home = _HOMES.get(name)
    if home is None:
        raise AttributeError(f"module 'zactor' has no attribute {name!r}")
    return getattr(importlib.import_module(home), name)
